//! Rust as a row of words: comments and literals blanked, items by their braces.
//!
//! Good enough for what rustfmt leaves behind, no more: no macros are expanded.

/// The code of a file, in ASCII, and its comments and literals: in each, spaces are in the place of
/// the other, and line ends are where they are.
pub fn parts(text: &str) -> (String, String) {
    let chars: Vec<char> = text.chars().collect();
    let (mut code, mut prose) = (String::with_capacity(text.len()), String::new());
    let mut at = 0;
    while at < chars.len() {
        let end = literal_end(&chars, at).max(at + 1);
        let is_code = end == at + 1;
        for &c in &chars[at..end.min(chars.len())] {
            code.push(if c == '\n' || (is_code && c.is_ascii()) { c } else { ' ' });
            prose.push(if c == '\n' || !is_code { c } else { ' ' });
        }
        at = end;
    }
    (code, prose)
}

/// Where the comment or literal that begins at `at` ends; `at` if none begins there.
pub fn literal_end(chars: &[char], at: usize) -> usize {
    let starts = |text: &str| text.chars().enumerate().all(|(i, c)| chars.get(at + i) == Some(&c));
    let find = |from: usize, c: char| (from..chars.len()).find(|&i| chars[i] == c);
    if starts("//") {
        return find(at, '\n').unwrap_or(chars.len());
    }
    if starts("/*") {
        return comment_end(chars, at);
    }
    if starts("'\\") {
        return find(at + 3, '\'').map_or(chars.len(), |end| end + 1);
    }
    if starts("'") && chars.get(at + 2) == Some(&'\'') {
        return at + 3; // anything else after a quote is a lifetime
    }
    if starts("\"") {
        return string_end(chars, at);
    }
    let in_word = at > 0 && (is_word(chars[at - 1]) && !"bc".contains(chars[at - 1]));
    let hashes = chars[at..].iter().skip(1).take_while(|c| **c == '#').count();
    if starts("r") && !in_word && chars.get(at + 1 + hashes) == Some(&'"') {
        let closing = |i: &usize| {
            let tail = chars[i + 1..].iter().take_while(|c| **c == '#').count();
            chars[*i] == '"' && tail >= hashes
        };
        let end = (at + 2 + hashes..chars.len()).find(closing);
        return end.map_or(chars.len(), |end| end + 1 + hashes);
    }
    at
}

pub fn comment_end(chars: &[char], at: usize) -> usize {
    let (mut depth, mut i) = (0, at);
    while i + 1 < chars.len() {
        match (chars[i], chars[i + 1]) {
            ('/', '*') => (depth, i) = (depth + 1, i + 1),
            ('*', '/') => (depth, i) = (depth - 1, i + 1),
            _ => {}
        }
        i += 1;
        if depth == 0 {
            return i;
        }
    }
    chars.len()
}

pub fn string_end(chars: &[char], at: usize) -> usize {
    let mut i = at + 1;
    while i < chars.len() && chars[i] != '"' {
        i += if chars[i] == '\\' { 2 } else { 1 };
    }
    i + 1
}

pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The line of a byte of `code`, counted from 1.
pub fn line_of(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

/// The end of the item that begins at byte `at`: behind its `;`, or behind its body.
pub fn item_end(code: &str, at: usize) -> (usize, bool) {
    let (mut round, mut curly) = (0_i32, 0_i32);
    for (i, c) in code[at..].char_indices() {
        match c {
            '(' | '[' => round += 1,
            ')' | ']' => round -= 1,
            '{' => curly += 1,
            '}' => curly -= 1,
            _ => {}
        }
        if curly == 0 && round == 0 && (c == '}' || c == ';') {
            return (at + i + 1, c == '}');
        }
    }
    (code.len(), false)
}

#[derive(Clone, Copy)]
pub struct Token<'a> {
    pub line: usize,
    pub text: &'a str,
}

/// Words, `::`, and every other sign on its own.
pub fn tokens(code: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    for (number, line) in code.lines().enumerate() {
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let word = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            let length = match first {
                _ if word > 0 => word,
                ':' if rest.starts_with("::") => 2,
                _ => first.len_utf8(),
            };
            tokens.push(Token { line: number + 1, text: &rest[..length] });
            rest = rest[length..].trim_start();
        }
    }
    tokens
}

/// Whether `text` contains `word` with no word going on before or after it.
pub fn contains_word(text: &str, word: &str) -> bool {
    let joins = |a: Option<char>, b: Option<char>| a.is_some_and(is_word) && b.is_some_and(is_word);
    text.match_indices(word).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + word.len()..]);
        !joins(before.chars().next_back(), word.chars().next())
            && !joins(word.chars().next_back(), after.chars().next())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_prose() {
        let text = "a(\"b\", 'c'); // d é\ne /* f\n */ g";
        assert_eq!(parts(text).1, "  \"b\"  'c'   // d é\n  /* f\n */  ");
    }

    #[test]
    fn comments_and_literals_are_blanked() {
        let cases = [
            ("a // b\nc", "a     \nc"),
            ("a /* /* b */ c */ d", "a                 d"),
            (r#"f("a\"b", 'x', '\'', 'a)"#, "f(      ,    ,     , 'a)"),
            (r##"r#"a"b"# br"c" c"##, "         b     c"),
            ("for_r\"a\" é", "for_r     "),
            ("\"a\nb\" c", "  \n   c"),
        ];
        for (text, code) in cases {
            assert_eq!(parts(text).0, code);
        }
    }
}
