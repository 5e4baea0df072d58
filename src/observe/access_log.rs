//! Lines of the access log: one for each connection that has ended. Owns their form; does not
//! write them anywhere.

use std::fmt::{self, Display};
use std::io::Write as _;
use std::time::Duration;

use super::render::Timestamp;
use crate::address::Address;
use crate::config::admin::AccessLogFormat;
use crate::relay::ending::{Cause, EndedIn};

/// A connection that has ended.
#[derive(Clone, Copy, Debug)]
pub struct AccessRecord<'a> {
    /// When it ended, since the Unix epoch.
    pub time: Duration,
    /// The client.
    pub client: &'a Address,
    /// The address where it was accepted.
    pub listener: &'a Address,
    /// The endpoint that served it; `None`: none did.
    pub endpoint: Option<&'a Address>,
    /// The name of that endpoint; `None`: it has none.
    pub name: Option<&'a str>,
    /// Dials that were begun for it.
    pub attempts: u32,
    /// How long the dial took that succeeded; `None`: none did.
    pub dial: Option<Duration>,
    /// From the first byte of the client to that of the server; `None`: one of them did not come.
    pub first_byte: Option<Duration>,
    /// From being accepted to the end.
    pub duration: Duration,
    /// Bytes from the client that were delivered.
    pub client_bytes: u64,
    /// Bytes from the endpoint that were delivered.
    pub server_bytes: u64,
    /// Why it ended.
    pub cause: Cause,
    /// In which phase.
    pub phase: EndedIn,
}

impl AccessRecord<'_> {
    /// Appends the line with its line end. Takes no memory but that of `out`. In logfmt a value
    /// that is absent is omitted; in JSON it is null.
    pub fn write(&self, format: AccessLogFormat, out: &mut Vec<u8>) {
        let mut line = Line::begin(format, out);
        line.text("time", Some(&Timestamp(self.time)));
        line.text("client", Some(self.client));
        line.text("listener", Some(self.listener));
        line.text("endpoint", self.endpoint.map(as_display));
        line.text("name", self.name.as_ref().map(as_display));
        line.bare("attempts", Some(&self.attempts));
        line.milliseconds("dial_ms", self.dial);
        line.milliseconds("first_byte_ms", self.first_byte);
        line.milliseconds("duration_ms", Some(self.duration));
        line.bare("client_bytes", Some(&self.client_bytes));
        line.bare("server_bytes", Some(&self.server_bytes));
        line.text("cause", Some(&self.cause));
        line.text("phase", Some(&self.phase));
        line.end();
    }
}

/// The line that says how many lines before it were dropped, with its line end.
pub fn dropped_lines(format: AccessLogFormat, count: u64) -> String {
    match format {
        AccessLogFormat::Logfmt => format!("dropped={count}\n"),
        AccessLogFormat::Json => format!("{{\"dropped\":{count}}}\n"),
    }
}

fn as_display(value: &impl Display) -> &dyn Display {
    value
}

/// A line that is being written.
struct Line<'o> {
    format: AccessLogFormat,
    out: &'o mut Vec<u8>,
    is_first: bool,
}

impl<'o> Line<'o> {
    fn begin(format: AccessLogFormat, out: &'o mut Vec<u8>) -> Line<'o> {
        if format == AccessLogFormat::Json {
            out.push(b'{');
        }
        Line { format, out, is_first: true }
    }

    fn end(self) {
        if self.format == AccessLogFormat::Json {
            self.out.push(b'}');
        }
        self.out.push(b'\n');
    }

    /// A value that may need quotation marks.
    fn text(&mut self, key: &str, value: Option<&dyn Display>) {
        let Some(value) = self.begin_value(key, value) else { return };
        if self.format == AccessLogFormat::Json || needs_marks(value) {
            self.out.push(b'"');
            // Writing into a vector does not fail.
            let _ = fmt::write(&mut Escaped(self.out), format_args!("{value}"));
            self.out.push(b'"');
        } else {
            let _ = write!(self.out, "{value}");
        }
    }

    /// A number.
    fn bare(&mut self, key: &str, value: Option<&dyn Display>) {
        if let Some(value) = self.begin_value(key, value) {
            let _ = write!(self.out, "{value}");
        }
    }

    /// A duration in milliseconds, to the microsecond, cut.
    fn milliseconds(&mut self, key: &str, value: Option<Duration>) {
        if let Some(value) = self.begin_value(key, value) {
            let microseconds = value.as_micros();
            let (whole, part) = (microseconds / 1000, microseconds % 1000);
            let _ = write!(self.out, "{whole}.{part:03}");
        }
    }

    /// Writes the key, if there is a value or a word for none. Returns a value that is to be
    /// written.
    fn begin_value<T>(&mut self, key: &str, value: Option<T>) -> Option<T> {
        let is_first = std::mem::replace(&mut self.is_first, false);
        match self.format {
            AccessLogFormat::Logfmt => {
                let value = value?;
                let gap = if is_first { "" } else { " " };
                let _ = write!(self.out, "{gap}{key}=");
                Some(value)
            }
            AccessLogFormat::Json => {
                let gap = if is_first { "" } else { "," };
                let _ = write!(self.out, "{gap}\"{key}\":");
                if value.is_none() {
                    self.out.extend_from_slice(b"null");
                }
                value
            }
        }
    }
}

/// Whether a value of logfmt would be read as another one without quotation marks.
fn needs_marks(value: &dyn Display) -> bool {
    /// Looks for characters that need marks.
    struct Search {
        is_empty: bool,
        is_found: bool,
    }
    impl fmt::Write for Search {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.is_empty &= text.is_empty();
            self.is_found |=
                text.contains(|c: char| c.is_whitespace() || c.is_control() || "=\"".contains(c));
            Ok(())
        }
    }
    let mut search = Search { is_empty: true, is_found: false };
    let _ = fmt::write(&mut search, format_args!("{value}"));
    search.is_empty || search.is_found
}

/// Escapes as within a string of JSON (RFC 8259, 7), which readers of logfmt take, too; and all
/// control characters, which a terminal might obey.
struct Escaped<'o>(&'o mut Vec<u8>);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            match character {
                '"' | '\\' => self.0.extend_from_slice(&[b'\\', character as u8]),
                _ if character.is_control() => {
                    let _ = write!(self.0, "\\u{:04x}", u32::from(character));
                }
                _ => self.0.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::relay::step::{Fault, Side};

    fn text(record: &AccessRecord<'_>, format: AccessLogFormat) -> String {
        let mut out = Vec::new();
        record.write(format, &mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    fn inet(text: &str) -> Address {
        Address::Inet(text.parse().expect("an address"))
    }

    #[test]
    fn a_line_has_all_that_is_known() {
        let [client, listener, endpoint] =
            ["10.0.0.9:50000", "127.0.0.1:23790", "[::1]:2379"].map(inet);
        let record = AccessRecord {
            time: Duration::from_millis(1_795_899_600_123),
            client: &client,
            listener: &listener,
            endpoint: Some(&endpoint),
            name: Some("etcd1.example:2379"),
            attempts: 2,
            dial: Some(Duration::from_nanos(412_999)),
            first_byte: Some(Duration::from_micros(1_250)),
            duration: Duration::from_secs(61),
            client_bytes: 17,
            server_bytes: u64::MAX,
            cause: Cause::Completed,
            phase: EndedIn::Relaying,
        };
        assert_eq!(
            text(&record, AccessLogFormat::Logfmt),
            "time=2026-11-28T21:00:00.123Z client=10.0.0.9:50000 listener=127.0.0.1:23790 \
             endpoint=[::1]:2379 name=etcd1.example:2379 attempts=2 dial_ms=0.412 \
             first_byte_ms=1.250 duration_ms=61000.000 client_bytes=17 \
             server_bytes=18446744073709551615 cause=completed phase=relaying\n"
        );
        assert_eq!(
            text(&record, AccessLogFormat::Json),
            "{\"time\":\"2026-11-28T21:00:00.123Z\",\"client\":\"10.0.0.9:50000\",\
             \"listener\":\"127.0.0.1:23790\",\"endpoint\":\"[::1]:2379\",\
             \"name\":\"etcd1.example:2379\",\"attempts\":2,\"dial_ms\":0.412,\
             \"first_byte_ms\":1.250,\"duration_ms\":61000.000,\"client_bytes\":17,\
             \"server_bytes\":18446744073709551615,\"cause\":\"completed\",\
             \"phase\":\"relaying\"}\n"
        );
    }

    /// Absent values, and texts that could be read as something else.
    fn odd<'a>(client: &'a Address, name: &'a str) -> AccessRecord<'a> {
        AccessRecord {
            time: Duration::ZERO,
            client,
            listener: client,
            endpoint: None,
            name: Some(name),
            attempts: 0,
            dial: None,
            first_byte: None,
            duration: Duration::ZERO,
            client_bytes: 0,
            server_bytes: 0,
            cause: Cause::Lost(Side::Client, Fault::Reset),
            phase: EndedIn::Dialing,
        }
    }

    #[test]
    fn absent_values_are_left_out_or_null() {
        let client = Address::from(Path::new("/a\"b"));
        let record = AccessRecord { name: None, ..odd(&client, "") };
        assert_eq!(
            text(&record, AccessLogFormat::Logfmt),
            "time=1970-01-01T00:00:00.000Z client=\"unix:/a\\\"b\" listener=\"unix:/a\\\"b\" \
             attempts=0 duration_ms=0.000 client_bytes=0 server_bytes=0 cause=client_reset \
             phase=dialing\n"
        );
        let json: serde_json::Value =
            serde_json::from_str(&text(&record, AccessLogFormat::Json)).expect("JSON");
        let object = json.as_object().expect("an object");
        assert_eq!(object.len(), 13);
        for key in ["endpoint", "name", "dial_ms", "first_byte_ms"] {
            assert!(object[key].is_null(), "{key}");
        }
        assert_eq!(object["client"], "unix:/a\"b");
    }

    #[test]
    fn no_text_ends_a_value_or_a_line() {
        let client = inet("1.2.3.4:1");
        for (name, want) in [
            ("", "\"\""),
            ("a b", "\"a b\""),
            ("a=b", "\"a=b\""),
            ("a\\b", "a\\b"),
            ("a\" cause=\"b", "\"a\\\" cause=\\\"b\""),
            ("a\nb\u{1b}[2J\u{9b}\\", "\"a\\u000ab\\u001b[2J\\u009b\\\\\""),
            ("ä€", "ä€"),
        ] {
            let line = text(&odd(&client, name), AccessLogFormat::Logfmt);
            let (_, rest) = line.split_once(" name=").expect("a name");
            assert!(rest.starts_with(&format!("{want} attempts=0 ")), "{line}");
            assert_eq!(line.lines().count(), 1);
            let json = text(&odd(&client, name), AccessLogFormat::Json);
            let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
            assert_eq!(json["name"], name);
        }
    }

    #[test]
    fn the_memory_is_that_of_the_buffer() {
        let client = inet("1.2.3.4:1");
        for format in [AccessLogFormat::Logfmt, AccessLogFormat::Json] {
            let mut out = Vec::with_capacity(4096);
            let before = (out.as_ptr(), out.capacity());
            odd(&client, "a b").write(format, &mut out);
            odd(&client, "a b").write(format, &mut out);
            assert_eq!((out.as_ptr(), out.capacity()), before);
            assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 2);
        }
    }

    #[test]
    fn dropped_lines_are_counted_in_the_form_of_the_log() {
        assert_eq!(dropped_lines(AccessLogFormat::Logfmt, 12), "dropped=12\n");
        assert_eq!(dropped_lines(AccessLogFormat::Json, 12), "{\"dropped\":12}\n");
    }
}
