//! Passwords in the command line, which an error must not repeat: it may be logged. Pure.

/// The text in place of a password.
const MASK: &str = "***";
const SCHEME_END: &str = "://";

/// The text with the password of each `user:password@` masked.
///
/// A password that URLs do not allow (RFC 3986, 3.2.1), with a comma or an `@` in it, is masked as
/// well: all text between the first colon after the scheme and the last `@`.
pub fn masked(text: &str) -> String {
    let pieces: Vec<String> = pieces(text).into_iter().map(masked_piece).collect();
    pieces.join(SCHEME_END)
}

/// Whether the text has a password in it.
pub fn has_password(text: &str) -> bool {
    pieces(text).into_iter().any(|piece| password(piece).is_some())
}

/// The text, split after the schemes of its URLs. A `://` that no scheme precedes may be part of a
/// password and does not split.
fn pieces(text: &str) -> Vec<&str> {
    let (mut pieces, mut begin) = (Vec::new(), 0);
    for (at, _) in text.match_indices(SCHEME_END) {
        let before = text[begin..at].trim_end_matches(|c: char| c.is_ascii_alphanumeric());
        let is_scheme = before.is_empty() || before.ends_with([',', ';', ' ', '"', '\'', '=']);
        if is_scheme && before.len() < at - begin {
            pieces.push(&text[begin..at]);
            begin = at + SCHEME_END.len();
        }
    }
    pieces.push(&text[begin..]);
    pieces
}

fn masked_piece(piece: &str) -> String {
    match password(piece) {
        Some((before, after)) => format!("{before}:{MASK}@{after}"),
        None => piece.to_owned(),
    }
}

/// The text before and after the password, for a piece without a scheme.
fn password(piece: &str) -> Option<(&str, &str)> {
    let (user_info, after) = piece.rsplit_once('@')?;
    let (before, password) = user_info.split_once(':')?;
    // `unix:@name` is an abstract socket (unix(7)).
    let is_abstract = before == "unix" && password.is_empty();
    (!is_abstract).then_some((before, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_masked_and_nothing_else() {
        for (text, want) in [
            ("http://user:secret@host:1", "http://user:***@host:1"),
            ("https://user:secret@[::1]:1/p?weight=1", "https://user:***@[::1]:1/p?weight=1"),
            ("user:secret@host:1", "user:***@host:1"),
            ("http://user:@host:1", "http://user:***@host:1"),
            ("http://:secret@host:1", "http://:***@host:1"),
            ("http://user:se:c,r/e@t@host:1", "http://user:***@host:1"),
            ("a:1,http://user:secret@b:1", "a:1,http://user:***@b:1"),
            ("http://u:p@a:1,http://v:q@b:1", "http://u:***@a:1,http://v:***@b:1"),
            ("https://user:a://secret@host:1", "https://user:***@host:1"),
            ("user:a://secret@host:1", "user:***@host:1"),
            ("--endpoints=http://u:p@a:1", "--endpoints=http://u:***@a:1"),
        ] {
            assert_eq!(masked(text), want);
            assert!(has_password(text), "{text}");
        }
        for text in
            ["", "host:1", "[::1]:1", "http://user@host:1", "a:1,b:2", "http://h:1/path", "unix:@a"]
        {
            assert_eq!(masked(text), text);
            assert!(!has_password(text), "{text}");
        }
    }
}
