//! The format of metrics that a client asks for by `Accept` (RFC 9110, 12.5.1).
//!
//! The rule is small: OpenMetrics is sent if it is named with a weight above 0 that is not below
//! the one of `text/plain`, and plain text to all others. Ranges as `*/*` do not count, since they
//! are what every client sends; nor do other parameters, so that each version of OpenMetrics counts
//! alike.

use httparse::Header;

use crate::proto::http1::head::elements;

/// Whether the fields ask for OpenMetrics.
pub(super) fn accepts_open_metrics(fields: &[Header<'_>]) -> bool {
    let (mut open_metrics, mut plain) = (0, 0);
    for element in elements(fields, "accept") {
        let (media_type, weight) = read(element);
        if media_type.eq_ignore_ascii_case(b"application/openmetrics-text") {
            open_metrics = weight.max(open_metrics);
        } else if media_type.eq_ignore_ascii_case(b"text/plain") {
            plain = weight.max(plain);
        }
    }
    open_metrics > 0 && open_metrics >= plain
}

/// The type and its weight in thousandths: 1000 where none is given.
fn read(element: &[u8]) -> (&[u8], u16) {
    let mut parts = element.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    let media_type = parts.next().unwrap_or_default();
    let mut weight = 1000;
    for part in parts {
        if let [b'q' | b'Q', b'=', digits @ ..] = part {
            weight = thousandths(digits);
        }
    }
    (media_type, weight)
}

/// A number from 0 to 1 with at most three decimals (RFC 9110, 12.4.2); 0 for what is none.
fn thousandths(text: &[u8]) -> u16 {
    let (whole, decimals) = match text {
        [whole] | [whole, b'.'] => (*whole, &[][..]),
        [whole, b'.', decimals @ ..] => (*whole, decimals),
        _ => return 0,
    };
    let is_number = decimals.len() <= 3 && decimals.iter().all(u8::is_ascii_digit);
    match whole {
        b'0' if is_number => {
            let digits = decimals.iter().chain(b"000").take(3);
            digits.fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'))
        }
        b'1' if is_number && decimals.iter().all(|digit| *digit == b'0') => 1000,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(values: &[&str]) -> bool {
        let mut fields = Vec::new();
        for value in values {
            fields.push(Header { name: "aCCept", value: value.as_bytes() });
        }
        accepts_open_metrics(&fields)
    }

    #[test]
    fn open_metrics_is_sent_to_those_that_prefer_it() {
        for wanted in [
            "application/openmetrics-text",
            "Application/OpenMetrics-Text ; version=1.0.0 ; charset=utf-8",
            "application/openmetrics-text;q=0.001",
            "application/openmetrics-text;Q=1.000, text/plain",
            "text/plain;q=0.5,application/openmetrics-text;q=0.5",
            "text/plain;q=0.50,application/openmetrics-text;q=0.501",
            "application/openmetrics-text;q=0.2,*/*;q=0.9",
            // Prometheus 2.5 and 3.
            "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
             application/openmetrics-text;version=0.0.1;q=0.4,\
             text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,\
             text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
        ] {
            assert!(accepts(&[wanted]), "{wanted}");
        }
        for unwanted in [
            "",
            "*/*",
            "application/*",
            "text/plain",
            "application/openmetrics-text;q=0",
            "application/openmetrics-text;q=0.000",
            "application/openmetrics-text;q=0.5,text/plain",
            "application/openmetrics-text;q=0.5,text/plain;q=0.501",
            "application/openmetrics-text;q=2",
            "application/openmetrics-text;q=1.001",
            "application/openmetrics-text;q=0.0001",
            "application/openmetrics-text;q=",
            "application/openmetrics-text;q=-1",
            "application/openmetrics-text;q=0.x",
            "application/openmetrics-texts",
        ] {
            assert!(!accepts(&[unwanted]), "{unwanted}");
        }
    }

    #[test]
    fn several_fields_are_one_list() {
        assert!(!accepts(&[]));
        assert!(accepts(&["text/plain;q=0.2", "application/openmetrics-text;q=0.3"]));
        assert!(!accepts(&["application/openmetrics-text;q=0.1", "text/plain;q=0.2"]));
    }
}
