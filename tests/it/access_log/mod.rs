//! The access log of a running gateway: what its lines say, where they go, and what is done with
//! those that cannot be written.

mod files;
mod lines;
mod unwritten;

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::util::*;

/// The fields of a line, in their order.
const FIELDS: [&str; 13] = [
    "time",
    "client",
    "listener",
    "endpoint",
    "name",
    "attempts",
    "dial_ms",
    "first_byte_ms",
    "duration_ms",
    "client_bytes",
    "server_bytes",
    "cause",
    "phase",
];

/// The fields of a line that are there, by their keys.
type Line = BTreeMap<String, String>;

/// A directory for an access log.
struct Place {
    directory: TemporaryDirectory,
}

impl Place {
    fn new() -> Place {
        Place { directory: TemporaryDirectory::new() }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("access.log")
    }

    fn flag(&self) -> String {
        flag(&self.path())
    }

    fn lines(&self) -> Vec<String> {
        lines_of(&self.path())
    }

    /// Waits until there are as many lines, and returns them.
    #[track_caller]
    fn wait_for(&self, count: usize) -> Vec<String> {
        wait_for_lines(&self.path(), count)
    }
}

fn flag(path: &Path) -> String {
    format!("--access-log={}", path.display())
}

/// The lines of a file. One that is being written is seen in parts, and is not one yet.
fn lines_of(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).expect("the gateway has made it");
    let whole = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
    whole.map(str::to_owned).collect()
}

#[track_caller]
fn wait_for_lines(path: &Path, count: usize) -> Vec<String> {
    until(&format!("{count} lines"), || lines_of(path).len() >= count);
    let lines = lines_of(path);
    assert_eq!(lines.len(), count, "{lines:#?}");
    lines
}

/// The fields of a line of logfmt whose values have no blanks.
#[track_caller]
fn logfmt(line: &str) -> Line {
    let fields = line.split(' ').map(|field| field.split_once('=').expect("a key and a value"));
    let keys: Vec<&str> = fields.clone().map(|(key, _)| key).collect();
    let known: Vec<&str> = FIELDS.into_iter().filter(|key| keys.contains(key)).collect();
    assert_eq!(keys, known, "{line}");
    fields.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// The same of a line of JSON, which has all keys.
#[track_caller]
fn json(line: &str) -> Line {
    let document: Value = serde_json::from_str(line).expect(line);
    let fields = document.as_object().expect("an object");
    let mut known = FIELDS;
    known.sort_unstable();
    assert!(fields.keys().eq(known), "{line}");
    let numbers = ["attempts", "dial_ms", "first_byte_ms", "duration_ms"];
    let numbers = [&numbers[..], &["client_bytes", "server_bytes"]].concat();
    let mut found = Line::new();
    for (key, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
        assert_eq!(value.is_number(), numbers.contains(&key.as_str()), "{key} in {line}");
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        found.insert(key.clone(), text);
    }
    found
}

/// Makes connections that are served one after the other, and returns the addresses of the clients.
fn serve(gateway: &Gateway, count: usize) -> Vec<String> {
    (0..count).map(|_| serve_one(gateway)).collect()
}

fn serve_one(gateway: &Gateway) -> String {
    let mut client = gateway.connect();
    round_trip(&client, b"a line of the access log");
    // The line is written in the turn in which this end comes.
    client.shutdown(Shutdown::Write).expect("the connection is established");
    assert_eq!(client.read(&mut [0]).expect("an end in order"), 0);
    local_address(&client)
}

fn local_address(client: &TcpStream) -> String {
    client.local_addr().expect("a socket that is connected").to_string()
}

/// The clients of these lines, in their order.
fn clients(lines: &[String]) -> Vec<String> {
    lines.iter().map(|line| logfmt(line)["client"].clone()).collect()
}
