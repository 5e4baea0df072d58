//! The text formats of metrics: Prometheus 0.0.4 and OpenMetrics 1.0.
//!
//! Owns headers of families, lines of samples and the form of numbers. What is shown is elsewhere.
//!
//! - [Prometheus](https://prometheus.io/docs/instrumenting/exposition_formats/)
//! - [OpenMetrics](https://prometheus.io/docs/specs/om/open_metrics_spec/)

use std::fmt::{self, Display};
use std::time::Duration;

use super::escape::{Quoting, quote, write};
use crate::observe::timings::Histogram;

/// A text format of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' own, version 0.0.4.
    Prometheus,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

impl Format {
    /// The value of the field Content-Type.
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// What the samples of a family are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A number of the present.
    Gauge,
    /// A number that only grows.
    Counter,
    /// Durations by bucket.
    Histogram,
    /// Labels, with the number 1.
    Info,
}

impl Kind {
    /// What the names of samples have behind that of the family. OpenMetrics has it nowhere else,
    /// Prometheus has it in the headers, too.
    fn suffix(self) -> &'static str {
        match self {
            Kind::Gauge | Kind::Histogram => "",
            Kind::Counter => "_total",
            Kind::Info => "_info",
        }
    }

    fn word(self, format: Format) -> &'static str {
        match self {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
            Kind::Histogram => "histogram",
            Kind::Info if format == Format::Prometheus => "gauge",
            Kind::Info => "info",
        }
    }
}

/// One family of metrics.
#[derive(Clone, Copy, Debug)]
pub(super) struct Family {
    /// The name without the suffix of its kind; it ends with the unit, if there is one.
    pub name: &'static str,
    /// The kind.
    pub kind: Kind,
    /// Bytes or seconds; empty: a plain number.
    pub unit: &'static str,
    /// One sentence without quotes, backslashes and line ends, which would have to be escaped.
    pub help: &'static str,
}

/// A family without a unit.
pub(super) const fn family(kind: Kind, name: &'static str, help: &'static str) -> Family {
    Family { name, kind, unit: "", help }
}

/// A family in seconds.
pub(super) const fn seconds(kind: Kind, name: &'static str, help: &'static str) -> Family {
    Family { name, kind, unit: "seconds", help }
}

/// A family in bytes.
pub(super) const fn bytes(kind: Kind, name: &'static str, help: &'static str) -> Family {
    Family { name, kind, unit: "bytes", help }
}

/// Where metrics are written to.
pub(super) struct Exposition<'a> {
    pub out: &'a mut Vec<u8>,
    pub format: Format,
}

impl Exposition<'_> {
    /// Writes the lines before the samples of a family.
    pub fn header(&mut self, family: &Family) {
        let Family { name, kind, unit, help } = *family;
        debug_assert!(name.ends_with(unit), "{name} does not end with its unit");
        let suffix = if self.format == Format::Prometheus { kind.suffix() } else { "" };
        let word = kind.word(self.format);
        self.write(format_args!("# HELP {name}{suffix} {help}\n# TYPE {name}{suffix} {word}\n"));
        if self.format == Format::OpenMetrics && !unit.is_empty() {
            self.write(format_args!("# UNIT {name} {unit}\n"));
        }
    }

    /// Writes a sample with this text between its braces; empty: it has no labels.
    pub fn sample(&mut self, family: &Family, labels: &str, value: impl Display) {
        // Not formatted: hundreds of endpoints have thousands of such lines.
        self.out.extend_from_slice(family.name.as_bytes());
        self.out.extend_from_slice(family.kind.suffix().as_bytes());
        if !labels.is_empty() {
            self.out.push(b'{');
            self.out.extend_from_slice(labels.as_bytes());
            self.out.push(b'}');
        }
        self.out.push(b' ');
        self.write(format_args!("{value}\n"));
    }

    /// Writes a family of a single sample without labels.
    pub fn single(&mut self, family: &Family, value: impl Display) {
        self.header(family);
        self.sample(family, "", value);
    }

    /// Writes a family of a single histogram without labels.
    pub fn histogram(&mut self, family: &Family, histogram: &Histogram) {
        self.header(family);
        let name = family.name;
        for (bound, count) in histogram.cumulative() {
            let bound = Bound(bound);
            self.write(format_args!("{name}_bucket{{le=\"{bound}\"}} {count}\n"));
        }
        let (count, sum) = (histogram.count(), Seconds(histogram.sum()));
        self.write(format_args!("{name}_bucket{{le=\"+Inf\"}} {count}\n"));
        self.write(format_args!("{name}_sum {sum}\n{name}_count {count}\n"));
    }

    /// Writes what comes after the last family.
    pub fn end(&mut self) {
        if self.format == Format::OpenMetrics {
            self.out.extend_from_slice(b"# EOF\n");
        }
    }

    fn write(&mut self, text: fmt::Arguments<'_>) {
        write(self.out, text);
    }
}

/// The text between the braces of a sample.
#[derive(Default)]
pub(super) struct Labels(Vec<u8>);

impl Labels {
    /// Removes all labels, and keeps the memory.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Adds a label.
    pub fn add(&mut self, name: &str, value: &dyn Display) {
        if !self.0.is_empty() {
            self.0.push(b',');
        }
        self.0.extend_from_slice(name.as_bytes());
        self.0.push(b'=');
        quote(&mut self.0, Quoting::Label, value);
    }

    /// Removes what was added since the text was this long.
    pub fn truncate(&mut self, length: usize) {
        self.0.truncate(length);
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("made of texts")
    }
}

/// A duration in seconds: a decimal without an exponent and without zeros at its end.
pub(super) struct Seconds(pub Duration);

impl Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut fraction, mut digits) = (self.0.subsec_nanos(), 9);
        self.0.as_secs().fmt(f)?;
        if fraction == 0 {
            return Ok(());
        }
        while fraction % 10 == 0 {
            (fraction, digits) = (fraction / 10, digits - 1);
        }
        write!(f, ".{fraction:0digits$}")
    }
}

/// The bound of a bucket, in seconds, as OpenMetrics writes it (Considerations: Canonical Numbers):
/// `1.0`, `0.001`, and `1e-05` for what is below 0.0001. Prometheus compares the label as a text,
/// so both formats have the same one.
struct Bound(Duration);

impl Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanoseconds = self.0.as_nanos();
        if !(1..100_000).contains(&nanoseconds) {
            let point = if self.0.subsec_nanos() == 0 { ".0" } else { "" };
            return write!(f, "{}{point}", Seconds(self.0));
        }
        let mut exponent = 9;
        let (mut power, mut digits) = (1, 0);
        while nanoseconds / power >= 10 {
            (power, exponent, digits) = (power * 10, exponent - 1, digits + 1);
        }
        let (first, mut rest) = (nanoseconds / power, nanoseconds % power);
        first.fmt(f)?;
        if rest > 0 {
            while rest % 10 == 0 {
                (rest, digits) = (rest / 10, digits - 1);
            }
            write!(f, ".{rest:0digits$}")?;
        }
        write!(f, "e-{exponent:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_decimals_without_an_exponent() {
        for (seconds, nanoseconds, want) in [
            (0, 0, "0"),
            (0, 1, "0.000000001"),
            (12, 345_000_000, "12.345"),
            (100, 0, "100"),
            (1_795_899_600, 120_000_000, "1795899600.12"),
            (u64::MAX, 999_999_999, "18446744073709551615.999999999"),
        ] {
            assert_eq!(Seconds(Duration::new(seconds, nanoseconds)).to_string(), want);
        }
    }

    /// The examples of OpenMetrics among them.
    #[test]
    fn bounds_are_canonical_numbers() {
        for (nanoseconds, want) in [
            (0, "0.0"),
            (1, "1e-09"),
            (10_000, "1e-05"),
            (25_000, "2.5e-05"),
            (10_203, "1.0203e-05"),
            (99_999, "9.9999e-05"),
            (100_000, "0.0001"),
            (250_000, "0.00025"),
            (1_000_000, "0.001"),
            (2_500_000_000, "2.5"),
            (10_000_000_000, "10.0"),
            (86_400_000_000_000, "86400.0"),
        ] {
            let bound = Bound(Duration::from_nanos(nanoseconds)).to_string();
            assert_eq!(bound, want);
            let read: f64 = bound.parse().expect("a number");
            assert!((read - nanoseconds as f64 / 1e9).abs() < 1e-12, "{bound}");
        }
    }
}
