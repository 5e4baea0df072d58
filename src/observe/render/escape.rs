//! Texts between double quotes, in metrics and in JSON. Owns which characters are escaped.

use std::fmt::{self, Display, Write};

/// A format with texts between double quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quoting {
    /// The value of a label, which is the same in both formats of metrics: backslash, quote and
    /// line feed are escaped (Prometheus, exposition formats; OpenMetrics 1.0, ABNF).
    Label,
    /// A string of JSON: also all other control characters are (RFC 8259, 7).
    Json,
}

/// Appends a text with its quotes.
pub(super) fn quote(out: &mut Vec<u8>, quoting: Quoting, text: &dyn Display) {
    out.push(b'"');
    append(&mut Escaping { out, quoting }, format_args!("{text}"));
    out.push(b'"');
}

/// Appends text as it is.
pub(super) fn write(out: &mut Vec<u8>, text: fmt::Arguments<'_>) {
    append(&mut Plain(out), text);
}

fn append(to: &mut dyn Write, text: fmt::Arguments<'_>) {
    // Memory takes all of it; an error could only be one of a value's own, which then is cut short.
    let written = to.write_fmt(text);
    debug_assert!(written.is_ok(), "a value without a text");
}

struct Plain<'a>(&'a mut Vec<u8>);

impl Write for Plain<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

struct Escaping<'a> {
    out: &'a mut Vec<u8>,
    quoting: Quoting,
}

impl Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        // All that is escaped is ASCII: whatever is before and after it is text by itself.
        while let Some(at) = rest.bytes().position(|byte| self.quoting.is_escaped(byte)) {
            self.out.extend_from_slice(&rest.as_bytes()[..at]);
            match rest.as_bytes()[at] {
                b'\n' => self.out.extend_from_slice(b"\\n"),
                byte @ (b'"' | b'\\') => self.out.extend_from_slice(&[b'\\', byte]),
                control => write(self.out, format_args!("\\u{control:04x}")),
            }
            rest = &rest[at + 1..];
        }
        self.out.extend_from_slice(rest.as_bytes());
        Ok(())
    }
}

impl Quoting {
    fn is_escaped(self, byte: u8) -> bool {
        match byte {
            b'"' | b'\\' | b'\n' => true,
            control => self == Quoting::Json && control < b' ',
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_escapes_what_would_end_its_text() {
        for (quoting, want) in [
            (Quoting::Label, "\"a\\\\b\\\"c\\nd\te\u{1}é\""),
            (Quoting::Json, "\"a\\\\b\\\"c\\nd\\u0009e\\u0001é\""),
        ] {
            let mut out = Vec::new();
            quote(&mut out, quoting, &"a\\b\"c\nd\te\u{1}é");
            assert_eq!(String::from_utf8(out).as_deref(), Ok(want), "{quoting:?}");
        }
    }

    #[test]
    fn json_is_read_back() {
        for code in (0..=0xff).chain([0x2028, 0xd7ff, 0xe000, 0x1_f600]) {
            let character = char::from_u32(code).expect("not a surrogate");
            let text = format!("a{character}b{character}");
            let mut out = Vec::new();
            quote(&mut out, Quoting::Json, &text);
            let read: serde_json::Value = serde_json::from_slice(&out).expect("JSON");
            assert_eq!(read, serde_json::Value::from(text));
        }
    }
}
