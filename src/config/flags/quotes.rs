//! Quotation marks and blanks around a value, which do not belong to it. Pure.
//!
//! A shell removes quotation marks. YAML, env files of container runtimes and unit files often
//! leave them, and a value that was read from a file ends with a newline.

/// The text without blanks around it and without the quotation marks that enclose all of it: `"` or
/// `'`, also one pair within the other.
///
/// A mark that is inside as well encloses less than the whole text and is kept: `"a:1","b:2"` is
/// returned as it is.
pub fn unquoted(text: &str) -> &str {
    let mut text = text.trim();
    while let Some(inner) = enclosed(text, '"').or_else(|| enclosed(text, '\'')) {
        text = inner.trim();
    }
    text
}

/// The text between a pair of these marks that encloses all of it.
fn enclosed(text: &str, mark: char) -> Option<&str> {
    let inner = text.strip_prefix(mark)?.strip_suffix(mark)?;
    (!inner.contains(mark)).then_some(inner)
}

#[cfg(test)]
mod tests {
    use super::unquoted;

    #[test]
    fn marks_around_the_whole_text_are_removed() {
        for (text, want) in [
            ("", ""),
            ("a:1", "a:1"),
            (" a:1\n", "a:1"),
            ("\r\n\ta:1\u{a0}", "a:1"),
            (r#""a:1,b:2""#, "a:1,b:2"),
            ("'a:1,b:2'", "a:1,b:2"),
            (" 'a:1'\n", "a:1"),
            (r#""'a:1'""#, "a:1"),
            (r#"' " a:1 " '"#, "a:1"),
            (r#""""#, ""),
            ("a b", "a b"),
        ] {
            assert_eq!(unquoted(text), want, "{text:?}");
        }
    }

    #[test]
    fn a_mark_without_its_pair_is_kept() {
        for text in [r#"""#, "'", r#""a:1"#, "a:1'", r#""a:1'"#, r#""a:1","b:2""#, "'a'b'"] {
            assert_eq!(unquoted(text), text);
        }
    }
}
