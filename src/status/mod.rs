//! The command `status`: asks a running gateway about itself and prints the answer. Owns what is
//! printed and the exit status; has no log, and no part of the gateway runs.

mod table;

use std::io::{self, ErrorKind, IsTerminal, Write};

use serde_json::Value;

use crate::config::address::ListenAddress;
use crate::config::admin::AdminAddress;
use crate::config::flags::Typed;
use crate::config::limits::STATUS_INTERVAL;
use crate::config::status::{StatusCommand, StatusOutput};
use crate::net::status_client::{Place, Screen, get_status, pause, screen};

/// The exit status where the gateway is ready.
const READY: u8 = 0;
/// The exit status where it is not.
const NOT_READY: u8 = 3;

/// Erases the screen, and goes to its first place (ECMA-48: ED, CUP).
const ERASE_ALL: &str = "\x1b[2J";
const FIRST_PLACE: &str = "\x1b[H";
/// Erases the rest of the line, or of the screen (ECMA-48: EL, ED).
const ERASE_LINE: &str = "\x1b[K";
const ERASE_REST: &str = "\x1b[J";

/// Why nothing was shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// One line for standard error.
    pub reason: String,
    /// The exit status.
    pub status: u8,
}

/// Asks once, or again and again. Returns the exit status: 0 where the gateway is ready, 3 where it
/// is not. With repetition it ends only with the reader of standard output, or by a signal.
///
/// # Errors
/// [`Failed`] with exit status 2 for bad usage, and with 1 where the gateway cannot be reached or
/// gives no answer that can be shown, or where that cannot be printed.
pub fn run(typed: &Typed) -> Result<u8, Failed> {
    let command = StatusCommand::from_typed(typed)
        .map_err(|error| Failed { reason: error.to_string(), status: 2 })?;
    let shown = match command.is_repeated {
        true => watch(&command),
        false => once(&command),
    };
    shown.map_err(|reason| Failed { reason, status: 1 })
}

fn once(command: &StatusCommand) -> Result<u8, String> {
    let answer = ask(command)?;
    print(&answer.shown)?;
    Ok(answer.exit_status)
}

/// What a gateway answered.
struct Answer {
    /// What is printed; ends with a newline.
    shown: Vec<u8>,
    exit_status: u8,
}

fn ask(command: &StatusCommand) -> Result<Answer, String> {
    let host = command.host_and_port();
    let place = match (&command.address, &host) {
        (_, Some((host, port))) => Place::Host(host, *port),
        (AdminAddress::Unix(path), None) => Place::Path(path),
        (
            AdminAddress::Listen(ListenAddress::Any { port } | ListenAddress::Host { port, .. }),
            None,
        ) => Place::Loopback(*port),
    };
    let answered =
        get_status(place, command.time_limit).and_then(|body| read(body, command.output));
    answered.map_err(|reason| format!("{}: {reason}", command.address))
}

/// The answer in a body of `/status`.
fn read(mut body: Vec<u8>, output: StatusOutput) -> Result<Answer, String> {
    let document: Option<Value> = serde_json::from_slice(&body).ok();
    let document = document.ok_or("no answer of a gateway: not JSON")?;
    let is_ready = document["ready"].as_bool().filter(|_| is_of_gateway(&document));
    let is_ready = is_ready.ok_or("no answer of a gateway: another JSON document")?;
    let shown = match output {
        StatusOutput::Table => table::table(&document).into_bytes(),
        StatusOutput::Json => {
            if !body.ends_with(b"\n") {
                body.push(b'\n');
            }
            body
        }
    };
    Ok(Answer { shown, exit_status: if is_ready { READY } else { NOT_READY } })
}

/// Whether it has fields that the status of a gateway always has: other programs, too, say whether
/// they are ready.
fn is_of_gateway(document: &Value) -> bool {
    let [version, state] = ["version", "state"].map(|name| document[name].is_string());
    version && state && document["endpoints"].is_array()
}

/// Asks each second. A terminal is drawn in place; elsewhere answers follow each other.
fn watch(command: &StatusCommand) -> Result<u8, String> {
    let is_drawn = command.output == StatusOutput::Table && io::stdout().is_terminal();
    if is_drawn {
        print(ERASE_ALL.as_bytes())?;
    }
    loop {
        let shown = match ask(command) {
            Ok(answer) => answer.shown,
            // On standard output each line is a document.
            Err(reason) if command.output == StatusOutput::Json => {
                let _ = writeln!(io::stderr(), "etcd-gateway: {reason}");
                Vec::new()
            }
            Err(reason) => format!("not reachable: {reason}\n").into_bytes(),
        };
        let text = match command.output {
            StatusOutput::Json => shown,
            StatusOutput::Table if is_drawn => frame(&shown, screen()).into_bytes(),
            StatusOutput::Table => [&shown[..], b"\n"].concat(),
        };
        if !print(&text)? {
            return Ok(READY);
        }
        pause(STATUS_INTERVAL);
    }
}

/// The text drawn over the one before, without an empty screen in between, and cut at the last row
/// of the screen. A line that is wider than the screen takes several rows.
fn frame(shown: &[u8], screen: Option<Screen>) -> String {
    let text = String::from_utf8_lossy(shown);
    let Screen { rows, columns } = screen.unwrap_or(Screen::UNKNOWN);
    // The cursor is on a row of its own after the text.
    let mut rows_left = rows.saturating_sub(1);
    let mut frame = FIRST_PLACE.to_owned();
    for line in text.lines() {
        let width = line.chars().count();
        let Some(rest) = rows_left.checked_sub(width.div_ceil(columns).max(1)) else { break };
        rows_left = rest;
        // After the last column the cursor is still on it, and would erase it.
        let is_full = width > 0 && width % columns == 0;
        frame.extend([line, if is_full { "" } else { ERASE_LINE }, "\n"]);
    }
    frame + ERASE_REST
}

/// Whether there is still a reader.
fn print(text: &[u8]) -> Result<bool, String> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(true),
        // A reader that closed the pipe does not need the rest.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(format!("cannot write to stdout: {}", error.kind())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_whether_the_gateway_is_ready() {
        const OTHER: &str = "no answer of a gateway: another JSON document";
        for (body, want) in [
            (r#"{"version":"1","state":"running","ready":true,"endpoints":[]}"#, Ok(READY)),
            (r#"{"version":"1","state":"running","ready":false,"endpoints":[]}"#, Ok(NOT_READY)),
            (r#"{"version":"1","state":"running","ready":1,"endpoints":[]}"#, Err(OTHER)),
            (r#"{"version":"1","state":"running","ready":true}"#, Err(OTHER)),
            (r#"{"version":"1","ready":true,"endpoints":[]}"#, Err(OTHER)),
            (r#"{"state":"green","ready":true,"endpoints":[]}"#, Err(OTHER)),
            ("[]", Err(OTHER)),
            ("ok\n", Err("no answer of a gateway: not JSON")),
            ("", Err("no answer of a gateway: not JSON")),
        ] {
            let answer = read(body.as_bytes().to_vec(), StatusOutput::Json);
            let found = answer.as_ref().map(|answer| answer.exit_status);
            assert_eq!(found.map_err(String::as_str), want, "{body}");
            if let Ok(answer) = answer {
                assert_eq!(answer.shown, format!("{body}\n").as_bytes());
            }
        }
    }

    fn screen_of(rows: usize, columns: usize) -> Option<Screen> {
        Some(Screen { rows, columns })
    }

    #[test]
    fn a_frame_replaces_the_one_before() {
        let want = "\x1b[Ha\x1b[K\nb\x1b[K\n\x1b[J";
        assert_eq!(frame(b"a\nb\n", None), want);
        assert_eq!(frame(b"a\nb\n", screen_of(3, 80)), want);
        assert_eq!(frame(b"a\nb\nc\n", screen_of(3, 80)), want, "the screen does not scroll");
        assert_eq!(frame(b"a\n", screen_of(1, 80)), "\x1b[H\x1b[J");
        let wrapped = "\x1b[Habcd\x1b[K\n\x1b[J";
        assert_eq!(frame(b"abcd\ne\n", screen_of(3, 3)), wrapped, "two rows of the screen");
        let full = "\x1b[Habc\n\x1b[K\n\x1b[J";
        assert_eq!(frame(b"abc\n\n", screen_of(3, 3)), full, "its last column stays");
    }
}
