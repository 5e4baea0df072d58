//! What surrounds a value without belonging to it. Pure.
//!
//! A shell takes quotation marks away; YAML, container runtimes' env files and unit files often
//! leave them where they are, and a value that was read from a file ends with a newline.

/// The text without blanks around it, and without the quotation marks that enclose all of it: `"`
/// or `'`, also one pair within the other.
///
/// A mark that is inside as well encloses something less than the whole, and stays:
/// `"a:1","b:2"` is returned as it is.
pub fn unquoted(text: &str) -> &str {
    let mut text = text.trim();
    while let Some(inner) = enclosed(text, '"').or_else(|| enclosed(text, '\'')) {
        text = inner.trim();
    }
    text
}

fn enclosed(text: &str, mark: char) -> Option<&str> {
    let inner = text.strip_prefix(mark)?.strip_suffix(mark)?;
    (!inner.contains(mark)).then_some(inner)
}

#[cfg(test)]
mod tests {
    use super::unquoted;

    #[test]
    fn what_encloses_the_whole_is_taken_away() {
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
    fn a_mark_without_its_pair_stays() {
        for text in [r#"""#, "'", r#""a:1"#, "a:1'", r#""a:1'"#, r#""a:1","b:2""#, "'a'b'"] {
            assert_eq!(unquoted(text), text);
        }
    }
}
