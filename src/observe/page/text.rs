//! Texts of the page: numbers, durations, sizes and moments, as `script.js` has them, too. Owns
//! that whatever is written is escaped.

use std::fmt::{self, Display, Write};
use std::time::Duration;

use crate::observe::render::Timestamp;

/// Appends a text in which HTML finds neither a tag nor the end of an attribute.
pub(super) fn write(out: &mut Vec<u8>, text: &dyn Display) {
    // Memory takes all of it; an error could only be one of a value's own, which then is cut short.
    let written = write!(Escaping(out), "{text}");
    debug_assert!(written.is_ok(), "a value without a text");
}

struct Escaping<'a>(&'a mut Vec<u8>);

impl Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            match character {
                '&' => self.0.extend_from_slice(b"&amp;"),
                '<' => self.0.extend_from_slice(b"&lt;"),
                '>' => self.0.extend_from_slice(b"&gt;"),
                '"' => self.0.extend_from_slice(b"&quot;"),
                '\'' => self.0.extend_from_slice(b"&#39;"),
                // HTML has no form for most of them (HTML, 13.2.3.5).
                control if control.is_control() => self.0.extend_from_slice("\u{fffd}".as_bytes()),
                other => {
                    let mut bytes = [0; 4];
                    self.0.extend_from_slice(other.encode_utf8(&mut bytes).as_bytes());
                }
            }
        }
        Ok(())
    }
}

/// A number with a comma before each three digits.
pub(super) struct Number(pub u64);

impl Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                f.write_char(',')?;
            }
            f.write_char(digit)?;
        }
        Ok(())
    }
}

/// A duration by its two largest units, as in `2 h 5 min`.
pub(super) struct Span(pub Duration);

impl Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
        match seconds {
            0..60 => write!(f, "{seconds} s"),
            60..3600 => write!(f, "{minutes} min {} s", seconds % 60),
            3600..86_400 => write!(f, "{hours} h {} min", minutes % 60),
            _ => write!(f, "{days} d {} h", hours % 24),
        }
    }
}

/// A number of bytes, as in `1.5 MiB`; cut, not rounded.
pub(super) struct Size(pub u64);

impl Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0;
        let unit = bytes.checked_ilog2().unwrap_or(0) / 10;
        if unit == 0 {
            return write!(f, "{bytes} B");
        }
        let tenths = (u128::from(bytes) * 10) >> (10 * unit);
        let letter = ["K", "M", "G", "T", "P", "E"][unit as usize - 1];
        write!(f, "{}.{} {letter}iB", tenths / 10, tenths % 10)
    }
}

/// A moment to the second, as in `2026-11-28 21:00:00`. UTC.
pub(super) struct Moment(
    /// Since the Unix epoch.
    pub Duration,
);

impl Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = Timestamp(self.0).to_string();
        let (date, time) = text.split_once('T').unwrap_or_default();
        write!(f, "{date} {}", time.get(.."21:00:00".len()).unwrap_or(time))
    }
}

/// A word of the log as words.
pub(super) struct Plain<'a>(pub &'a str);

impl Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.replace('_', " "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_has_no_tag_and_ends_no_attribute() {
        let mut out = Vec::new();
        write(&mut out, &"<b a='\"'>&\0\u{1b}\u{85}é\u{202e}");
        let want = "&lt;b a=&#39;&quot;&#39;&gt;&amp;\u{fffd}\u{fffd}\u{fffd}é\u{202e}";
        assert_eq!(String::from_utf8_lossy(&out), want);
    }

    fn text_of(value: &dyn Display) -> String {
        value.to_string()
    }

    #[test]
    fn numbers_durations_and_sizes_have_few_digits() {
        for (number, want) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(text_of(&Number(number)), want);
        }
        for (seconds, want) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min 0 s"),
            (3599, "59 min 59 s"),
            (3600, "1 h 0 min"),
            (86_399, "23 h 59 min"),
            (86_400, "1 d 0 h"),
        ] {
            assert_eq!(text_of(&Span(Duration::from_secs(seconds))), want);
        }
        for (bytes, want) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_048_575, "1023.9 KiB"),
            (1_572_864, "1.5 MiB"),
            (u64::MAX, "15.9 EiB"),
        ] {
            assert_eq!(text_of(&Size(bytes)), want);
        }
        let moment = Moment(Duration::from_millis(1_795_899_600_999));
        assert_eq!(text_of(&moment), "2026-11-28 21:00:00");
        assert_eq!(text_of(&Plain("no_endpoint_known")), "no endpoint known");
    }
}
