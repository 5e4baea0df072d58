//! Booleans as text. Pure.

/// Reads what Go's `strconv.ParseBool` reads, and so every boolean of etcd.
pub fn parse(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn what_go_reads_and_nothing_else() {
        for text in ["1", "t", "T", "TRUE", "true", "True"] {
            assert_eq!(parse(text), Some(true), "{text}");
        }
        for text in ["0", "f", "F", "FALSE", "false", "False"] {
            assert_eq!(parse(text), Some(false), "{text}");
        }
        for text in ["", "yes", "on", "2", "01", "tRUE", "true ", " f", "-1"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
