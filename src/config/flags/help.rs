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
       etcd-gateway status --admin-addr ADDRESS [--output json] [--watch]
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
reason of 1 and 2 is one line on stderr. Of status: 0 where the gateway is ready, 3 where it is not,
1 where it cannot be reached, 2 for bad usage.

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
    use super::super::{
        CONNECT_TIMEOUT, ENDPOINTS, HALF_CLOSE_TIMEOUT, HELP, KEEPALIVE, LISTEN_RETRY,
        MAX_CONNECTIONS, RETRY_DELAY,
    };
    use super::*;
    use crate::config::limits::{
        KEEPALIVE_PROBES, PRIORITY_DEFAULT, RETRY_DELAY_MIN, WEIGHT_DEFAULT,
    };

    /// What no row has, to the letter: the lines before and after the flags.
    #[test]
    fn the_text_around_the_flags_is_as_it_was_written() {
        let text = text();
        let (before, rest) = text.split_once("\n\nListening:\n").expect("the first heading");
        assert_eq!(
            before,
            "\
A small TCP gateway in front of etcd: a drop-in for `etcd gateway start`.

Usage: etcd-gateway [[gateway] start] [flags]
       etcd-gateway status --admin-addr ADDRESS [--output json] [--watch]
       etcd-gateway help | version
       etcd gateway start [flags]                through a link named etcd

Flags come before, between or after the words, as --flag=value or --flag value. Of a flag given
twice the last counts, except where repeatable. Quotation marks and blanks around a value, or
around an item of a list, are dropped. Durations are written as in Go: 500ms, 1.5s, 1m0s, 1h30m;
at most 8760h0m0s (a year)."
        );
        let (_, after) = rest.split_once("\n\nExit status:").expect("the end");
        assert_eq!(
            after,
            " 0 after an orderly end, 1 when it could not start or go on, 2 for bad usage; the
reason of 1 and 2 is one line on stderr. Of status: 0 where the gateway is ready, 3 where it is not,
1 where it cannot be reached, 2 for bad usage.

Example:
  etcd-gateway start --endpoints=10.0.0.1:2379,10.0.0.2:2379,'10.0.0.3:2379?priority=1'
"
        );
    }

    /// The layout of a row of each form, with its numbers filled in.
    #[test]
    fn entries_have_two_columns() {
        for (flag, want) in [
            (
                &LISTEN_RETRY,
                "  --listen-retry DURATION      \
                 waits so long for an address that is not there yet or still taken,
                               0 = not at all (default 0s)\n",
            ),
            // The name leaves two blanks.
            (
                &CONNECT_TIMEOUT,
                "  --connect-timeout DURATION   \
                 for connecting to one endpoint, above 0; the next one is tried
                               then (default 1s)\n",
            ),
            // The name leaves no room.
            (
                &HALF_CLOSE_TIMEOUT,
                "  --half-close-timeout DURATION
                               closes a half-closed connection without progress, 0 = never
                               (default 5m0s)\n",
            ),
            (
                &MAX_CONNECTIONS,
                "  --max-connections N          \
                 client connections at a time, 1-1048576; more wait in the kernel's
                               backlog (default: what the descriptor limit allows)\n",
            ),
            (&HELP, "  -h, --help                   this text, as the word help\n"),
        ] {
            assert_eq!(entry(flag), want);
        }
    }

    /// All rows, in the order of the table; a heading begins each section.
    #[test]
    fn each_section_has_its_heading_and_its_rows() {
        let mut want = String::new();
        for rows in FLAGS.chunk_by(|one, next| one.section == next.section) {
            want += "\n";
            if let Some(heading) = rows[0].section.heading() {
                want += &format!("{heading}:\n");
            }
            want.extend(rows.iter().map(|flag| entry(flag)));
        }
        let text = text();
        let begin = text.find("\nListening:\n").expect("the first heading");
        let end = text.find("\nExit status:").expect("the end");
        assert_eq!(text[begin..end], want);
        let headings = ["\nListening:\n", "\nEndpoints:\n", "\nTime limits:\n"];
        let more = ["\nDiscovery by DNS:\n", "\nLimits and log:\n", "\n  -h, --help "];
        let places: Vec<_> = [headings, more].concat().iter().map(|one| text.find(one)).collect();
        assert!(places.is_sorted() && places[0].is_some(), "{places:?}");
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
