//! What `/status` says as a text for a terminal. Pure. A field that is missing or of another type,
//! as in an answer of another version, leaves a gap and no more.

use std::time::Duration;

use serde_json::Value;

use crate::config::duration::format_duration;

/// Blanks between two columns.
const GAP: &str = "  ";
/// What is shown where nothing is known.
const NOTHING: &str = "-";
/// Units of bytes, each 1024 times the one before.
const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];

/// The text, which ends with a newline.
pub(super) fn table(status: &Value) -> String {
    let mut text = pairs(&[
        ("state", state(status)),
        ("version", word(&status["version"])),
        ("uptime", time(&status["uptime_seconds"])),
        ("listeners", listeners(&status["listeners"])),
        ("connections", connections(status)),
        ("limits", limits(&status["limits"])),
    ]);
    let endpoints: Vec<Vec<String>> = items(&status["endpoints"]).iter().map(endpoint).collect();
    if endpoints.is_empty() {
        text += "\nno endpoint known\n";
    } else {
        let heading = "ADDRESS NAME STATE FOR CONNECTIONS DIALS FAILED BYTES LAST_ERROR".split(' ');
        text += "\n";
        text += &columns(heading, endpoints);
    }
    let names: Vec<Vec<String>> = items(&status["names"]).iter().map(name).collect();
    if !names.is_empty() {
        text += "\n";
        text += &columns("LOOKED_UP AGE NEXT_IN ERROR".split(' '), names);
    }
    text
}

/// `ready`, or why not; and what the gateway does.
fn state(status: &Value) -> String {
    let reasons: Vec<String> = items(&status["not_ready"]).iter().map(word).collect();
    match status["ready"].as_bool() {
        Some(true) => format!("ready, {}", word(&status["state"])),
        Some(false) if reasons.is_empty() => format!("NOT READY, {}", word(&status["state"])),
        Some(false) => format!("NOT READY: {}", reasons.join(", ")),
        None => word(&status["state"]),
    }
}

fn listeners(listeners: &Value) -> String {
    let texts: Vec<String> = items(listeners).iter().map(|one| word(&one["address"])).collect();
    if texts.is_empty() { NOTHING.to_owned() } else { texts.join(", ") }
}

fn connections(status: &Value) -> String {
    let (counts, limits) = (&status["connections"], &status["limits"]["connections"]);
    let numbers = ["open", "accepted", "ended", "rejected"].map(|key| word(&counts[key]));
    let [open, accepted, ended, rejected] = numbers;
    let max = word(&limits["max"]);
    format!("{open} of {max}; {accepted} accepted, {ended} ended, {rejected} rejected")
}

fn limits(limits: &Value) -> String {
    let [pipes, descriptors] = ["pipes", "descriptors"].map(|key| {
        format!("{key} {} of {}", word(&limits[key]["used"]), word(&limits[key]["max"]))
    });
    format!("{descriptors}, {pipes}, buffers {}", word(&limits["buffers"]["used"]))
}

/// The cells of an endpoint.
fn endpoint(endpoint: &Value) -> Vec<String> {
    let error = &endpoint["last_error"];
    let error = match error.is_object() {
        true => format!("{} {} ago", word(&error["reason"]), time(&error["seconds_ago"])),
        false => NOTHING.to_owned(),
    };
    let dials = &endpoint["dials"];
    let directions = ["from_clients", "from_endpoint"];
    let sizes = directions.map(|direction| endpoint["bytes"][direction].as_u64());
    let sum = sizes.into_iter().flatten().fold(0, u64::saturating_add);
    let size = if sizes == [None; 2] { NOTHING.to_owned() } else { bytes(sum) };
    vec![
        word(&endpoint["address"]),
        word(&endpoint["name"]),
        word(&endpoint["state"]),
        time(&endpoint["state_for_seconds"]),
        word(&endpoint["connections"]),
        word(&dials["begun"]),
        word(&dials["failed"]),
        size,
        error,
    ]
}

/// The cells of a name.
fn name(name: &Value) -> Vec<String> {
    let next = match name["next_lookup_in_seconds"].is_null() {
        true => "now".to_owned(),
        false => time(&name["next_lookup_in_seconds"]),
    };
    vec![word(&name["name"]), time(&name["age_seconds"]), next, word(&name["error"])]
}

fn items(list: &Value) -> &[Value] {
    list.as_array().map_or(&[], Vec::as_slice)
}

/// A text or a number in one line. A terminal would obey control characters, and those that change
/// the direction of writing.
fn word(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text,
        Value::Number(number) => return number.to_string(),
        Value::Bool(value) => return value.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => return NOTHING.to_owned(),
    };
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                shown.extend(character.escape_unicode());
            }
            _ if character.is_control() || (character.is_whitespace() && character != ' ') => {
                shown.extend(character.escape_unicode());
            }
            _ => shown.push(character),
        }
    }
    if shown.is_empty() { NOTHING.to_owned() } else { shown }
}

/// A number of seconds: as a duration, to the second from ten seconds on.
fn time(seconds: &Value) -> String {
    let seconds = seconds.as_f64().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let Some(time) = seconds else { return NOTHING.to_owned() };
    let unit: u128 = if time < Duration::from_secs(10) { 100_000_000 } else { 1_000_000_000 };
    let rounded = u64::try_from(time.as_nanos() / unit * unit).unwrap_or(u64::MAX);
    format_duration(Duration::from_nanos(rounded))
}

/// A number of bytes, with a unit from 1 KiB on, and one digit behind the point, cut.
fn bytes(count: u64) -> String {
    let mut tenths = u128::from(count) * 10;
    let mut unit = None;
    for next in UNITS {
        if tenths < 10 * 1024 {
            break;
        }
        (tenths, unit) = (tenths / 1024, Some(next));
    }
    match unit {
        Some(unit) => format!("{}.{}{unit}", tenths / 10, tenths % 10),
        None => count.to_string(),
    }
}

/// Lines of a label and its value, the values below each other.
fn pairs(pairs: &[(&str, String)]) -> String {
    let width = pairs.iter().map(|(label, _)| label.len()).max().unwrap_or_default();
    pairs.iter().map(|(label, value)| format!("{label:width$}{GAP}{value}\n")).collect()
}

/// A table whose columns are as wide as their widest cell, by characters.
fn columns<'a>(heading: impl Iterator<Item = &'a str>, rows: Vec<Vec<String>>) -> String {
    let heading: Vec<String> = heading.map(|label| label.replace('_', " ")).collect();
    let mut widths = vec![0; heading.len()];
    let lines: Vec<Vec<String>> = [heading].into_iter().chain(rows).collect();
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for line in &lines {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        let cells: Vec<String> = cells.collect();
        text += cells.join(GAP).trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_known_is_below_its_heading() {
        let status = json!({
            "version": "0.1.0", "uptime_seconds": 3723.9, "state": "running", "ready": true,
            "not_ready": [],
            "listeners": [{"address": "127.0.0.1:23790"}, {"address": "[::1]:1"}],
            "connections": {"open": 3, "accepted": 10, "ended": 5, "rejected": 2},
            "limits": {"connections": {"used": 3, "max": 1000}, "pipes": {"used": 0, "max": 64},
                "buffers": {"used": 1}, "descriptors": {"used": 20, "max": 1024}},
            "endpoints": [
                {"address": "10.0.0.1:2379", "name": "a.test:2379", "state": "up",
                    "state_for_seconds": 1.26, "last_error": null, "connections": 3,
                    "dials": {"begun": 9, "failed": 0},
                    "bytes": {"from_clients": 1000, "from_endpoint": 24}},
                {"address": "[fd00::1]:2379", "name": "b", "state": "down",
                    "state_for_seconds": 7200, "connections": 0,
                    "last_error": {"reason": "refused", "seconds_ago": 3.2},
                    "dials": {"begun": 12, "failed": 12},
                    "bytes": {"from_clients": 0, "from_endpoint": 0}},
            ],
            "names": [
                {"name": "a.test", "age_seconds": 1.5, "next_lookup_in_seconds": 30, "error": null},
                {"name": "b", "age_seconds": null, "next_lookup_in_seconds": null,
                    "error": "no_such_name"},
            ],
        });
        assert_eq!(
            table(&status),
            "\
state        ready, running
version      0.1.0
uptime       1h2m3s
listeners    127.0.0.1:23790, [::1]:1
connections  3 of 1000; 10 accepted, 5 ended, 2 rejected
limits       descriptors 20 of 1024, pipes 0 of 64, buffers 1

ADDRESS         NAME         STATE  FOR     CONNECTIONS  DIALS  FAILED  BYTES   LAST ERROR
10.0.0.1:2379   a.test:2379  up     1.2s    3            9      0       1.0KiB  -
[fd00::1]:2379  b            down   2h0m0s  0            12     12      0       refused 3.2s ago

LOOKED UP  AGE   NEXT IN  ERROR
a.test     1.5s  30s      -
b          -     now      no_such_name
"
        );
    }

    #[test]
    fn a_gateway_that_is_not_ready_says_why() {
        for (status, want) in [
            (json!({"ready": false, "not_ready": ["draining", "x"]}), "NOT READY: draining, x"),
            (json!({"ready": false, "state": "running"}), "NOT READY, running"),
            (json!({"state": "running"}), "running"),
        ] {
            assert!(table(&status).starts_with(&format!("state        {want}\n")), "{status}");
        }
    }

    #[test]
    fn fields_that_are_missing_or_odd_leave_a_gap() {
        for status in [
            json!(null),
            json!([]),
            json!({}),
            json!({"endpoints": 1, "names": {}, "limits": [], "connections": "x"}),
            json!({"endpoints": [1, {}, {"last_error": {}}], "names": [null, {}]}),
            json!({"uptime_seconds": -1.0, "endpoints": [{"state_for_seconds": 1e300,
                "bytes": {"from_clients": u64::MAX, "from_endpoint": u64::MAX}}]}),
        ] {
            let text = table(&status);
            assert!(text.starts_with("state        -\n"), "{text}");
            assert!(text.contains("connections  - of -;"), "{text}");
        }
    }

    #[test]
    fn no_text_reaches_the_terminal_as_a_command() {
        let name = "a\u{1b}[2J\n\t\u{9b}1m\u{202e}b\u{85}";
        let text = table(&json!({"endpoints": [{"name": name}]}));
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
        assert!(text.contains(r"a\u{1b}[2J\u{a}\u{9}\u{9b}1m\u{202e}b\u{85}"), "{text}");
    }

    #[test]
    fn sizes_have_a_unit() {
        for (count, want) in [
            (0, "0"),
            (1023, "1023"),
            (1024, "1.0KiB"),
            (1 << 20, "1.0MiB"),
            ((1 << 20) - 1, "1023.9KiB"),
            (3 << 29, "1.5GiB"),
            (u64::MAX, "16383.9PiB"),
        ] {
            assert_eq!(bytes(count), want);
        }
    }
}
