//! The help text, made from the table of flags. Pure.

use super::{FLAGS, Flag, Kind};
use crate::config::duration::format_duration;
use crate::config::limits::DURATION_MAX;

/// The column where explanations begin.
const EXPLANATION_COLUMN: usize = 31;
/// Fewest blanks between a flag and its explanation on the same line.
const GAP_MIN: usize = 2;

/// The text before the flags. `{max}` stands for the longest duration.
const BEGINNING: &str = "\
A small TCP gateway in front of etcd: a drop-in for `etcd gateway start`.

Usage: etcd-gateway [[gateway] start] [flags]
       etcd-gateway help | version
       etcd gateway start [flags]                through a link named etcd

Flags come before, between or after the words, as --flag=value or --flag value. Of a flag given
twice the last counts, except where repeatable. Quotation marks and blanks around a value, or
around an item of a list, are dropped. Durations are written as in Go: 500ms, 1.5s, 1m0s, 1h30m;
at most {max} (a year).
";

/// The text after the flags.
const END: &str = "
Exit status: 0 after an orderly end, 1 when it could not start or go on, 2 for bad usage; the
reason of 1 and 2 is one line on stderr.

Example:
  etcd-gateway start --endpoints=10.0.0.1:2379,10.0.0.2:2379,'10.0.0.3:2379?priority=1'
";

/// The help text, which ends with a newline.
pub fn text() -> String {
    let mut text = BEGINNING.replace("{max}", &format_duration(DURATION_MAX));
    let mut section = None;
    for flag in FLAGS {
        if section.replace(flag.section) != Some(flag.section) {
            text.push('\n');
            text.extend(flag.section.heading().map(|heading| format!("{heading}:\n")));
        }
        text.push_str(&entry(flag));
    }
    text + END
}

/// The lines of one flag.
fn entry(flag: &Flag) -> String {
    let indentation = format!("\n{:EXPLANATION_COLUMN$}", "");
    let mut name = name(flag);
    if name.len() + GAP_MIN > EXPLANATION_COLUMN {
        name += &indentation;
    }
    format!("{name:EXPLANATION_COLUMN$}{}\n", flag.explanation().join(&indentation))
}

/// The flag as it is typed.
fn name(flag: &Flag) -> String {
    let name = flag.name;
    match (&flag.kind, flag.value()) {
        (Kind::Request { letter }, _) if !letter.is_empty() => format!("  -{letter}, --{name}"),
        (_, Some(value)) => format!("  --{name} {value}"),
        (_, None) => format!("  --{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ENDPOINTS, KEEPALIVE, RETRY_DELAY};
    use super::*;
    use crate::config::limits::{
        KEEPALIVE_PROBES, PRIORITY_DEFAULT, RETRY_DELAY_MIN, WEIGHT_DEFAULT,
    };

    /// The text to the letter: a change of a default, of a range or of the layout shows here.
    const TEXT: &str = "\
A small TCP gateway in front of etcd: a drop-in for `etcd gateway start`.

Usage: etcd-gateway [[gateway] start] [flags]
       etcd-gateway help | version
       etcd gateway start [flags]                through a link named etcd

Flags come before, between or after the words, as --flag=value or --flag value. Of a flag given
twice the last counts, except where repeatable. Quotation marks and blanks around a value, or
around an item of a list, are dropped. Durations are written as in Go: 500ms, 1.5s, 1m0s, 1h30m;
at most 8760h0m0s (a year).

Listening:
  --listen-addr ADDRESS,...    where clients connect: host:port, [v6]:port, or :port for every
                               address of both families; port 0 lets the kernel choose;
                               repeatable (default 127.0.0.1:23790)
  --listen-retry DURATION      waits so long for an address that is not there yet or still taken,
                               0 = not at all (default 0s)
  --reuse-port                 shares the addresses with other gateways of the same user that have
                               this flag, too, and the kernel spreads new clients over all of
                               them (SO_REUSEPORT, socket(7)); takes a port other than 0

Endpoints:
  --endpoints ENDPOINT,...     servers to connect clients to: host:port, [v6]:port, or an http(s)
                               URL, whose scheme and path are dropped; 0.0.0.0 and [::] mean this
                               host. ?priority=N&weight=N (each 0-65535, default 0 and 1): the
                               lowest priority that has a working endpoint is used, by weight;
                               repeatable (default 127.0.0.1:2379). Names are looked up again as
                               their answers end, and after a failed connection
  --retry-delay DURATION       longest pause before a failed endpoint is dialed again, above 0;
                               pauses begin at 1s and grow (default 1m0s)

Time limits:
  --connect-timeout DURATION   for connecting to one endpoint, above 0; the next one is tried
                               then (default 1s)
  --tcp-user-timeout DURATION  how long data may stay unacknowledged before the connection is
                               reset, both sides, in steps of 1ms. Linux also counts the time
                               in which a peer reads nothing, its window being zero (tcp(7));
                               at most 596h31m23.647s, 0 = kernel default (default 30s)
  --keepalive DURATION         idle time before the first TCP keepalive probe and between
                               probes, both sides, in steps of 1s. A peer is given up after 9
                               probes or, unless that is 0, after --tcp-user-timeout (tcp(7));
                               at most 9h6m7s, 0 = off (default 15s)
  --half-close-timeout DURATION
                               closes a half-closed connection without progress, 0 = never
                               (default 5m0s)
  --idle-timeout DURATION      closes an open connection without data, 0 = never (default 0s)
  --drain-timeout DURATION     how long connections may go on after SIGTERM or SIGINT, 0 = not at
                               all; a second signal ends at once (default 10s)

Discovery by DNS:
  --discovery-srv DOMAIN       domain whose SRV records name the endpoints, as etcd has it:
                               _etcd-client-ssl._tcp.DOMAIN and _etcd-client._tcp.DOMAIN. Typed
                               endpoints are used only while the records list none
  --discovery-srv-name NAME    makes that _etcd-client-ssl-NAME and _etcd-client-NAME
  --insecure-discovery         uses all that the records list; without this flag only members that
                               show, by a TLS handshake, a certificate for DOMAIN
  --trusted-ca-file FILE       certificates (PEM) of the authorities that this one must come from
                               (default: those that the system trusts)

Limits and log:
  --max-connections N          client connections at a time, 1-1048576; more wait in the kernel's
                               backlog (default: what the descriptor limit allows)
  --log-level LEVEL            off, error, warn, info, debug or trace; RUST_LOG is used when this
                               flag is absent (default info)

  -h, --help                   this text, as the word help
  --version                    name and version, as the word version

Exit status: 0 after an orderly end, 1 when it could not start or go on, 2 for bad usage; the
reason of 1 and 2 is one line on stderr.

Example:
  etcd-gateway start --endpoints=10.0.0.1:2379,10.0.0.2:2379,'10.0.0.3:2379?priority=1'
";

    #[test]
    fn the_text_is_as_it_was_written() {
        for (line, want) in text().lines().zip(TEXT.lines()) {
            assert_eq!(line, want);
        }
        assert_eq!(text(), TEXT);
    }

    #[test]
    fn lines_fit_a_terminal() {
        for line in text().lines() {
            assert!(line.chars().count() <= 100, "{line}");
            assert!(!line.ends_with(' '), "{line}");
        }
    }

    #[test]
    fn numbers_that_no_row_has_are_those_in_force() {
        let steps = format_duration(RETRY_DELAY_MIN);
        for (flag, number) in [
            (&RETRY_DELAY, format!("begin at {steps} ")),
            (&KEEPALIVE, format!(" {KEEPALIVE_PROBES} probes")),
            (&ENDPOINTS, format!("default {PRIORITY_DEFAULT} and {WEIGHT_DEFAULT})")),
        ] {
            let explanation = flag.explanation().join(" ");
            assert!(explanation.contains(&number), "--{}: {number}", flag.name);
        }
    }
}
