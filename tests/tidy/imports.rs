//! The paths that a file names: flattened, followed through `use`, from the root of the crate on.

use crate::lexer::{Token, is_word, tokens};
use crate::source::Source;

/// A path such as `crate::net::Read`, with the name that a `use` gives it here.
pub struct Import {
    pub line: usize,
    pub path: Vec<String>,
    pub name: Option<String>,
}

/// Every path in the code of two segments or more, and every path of a `use`, flattened.
pub fn imports(code: &str) -> Vec<Import> {
    let tokens = tokens(code);
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let is_start = tokens[at].text.chars().all(is_word)
            && (at == 0 || !["::", "."].contains(&tokens[at - 1].text));
        if tokens[at].text == "use" {
            at = use_tree(&tokens, at + 1, &[], &mut found);
        } else if is_start {
            let mut path = vec![tokens[at].text.to_owned()];
            let line = tokens[at].line;
            at += 1;
            while let [colons, word, ..] = &tokens[at..] {
                if colons.text != "::" || !word.text.chars().all(is_word) {
                    break;
                }
                path.push(word.text.to_owned());
                at += 2;
            }
            if path.len() > 1 {
                found.push(Import { line, path, name: None });
            }
        } else {
            at += 1;
        }
    }
    found
}

/// Reads one tree of a `use` from token `at` on, and returns the token after it.
pub fn use_tree(
    tokens: &[Token],
    mut at: usize,
    stem: &[String],
    found: &mut Vec<Import>,
) -> usize {
    let mut path = stem.to_vec();
    while let Some(token) = tokens.get(at) {
        at += 1;
        match token.text {
            "::" => continue,
            "{" => {
                while tokens.get(at).is_some_and(|token| token.text != "}") {
                    let is_comma = tokens[at].text == ",";
                    at = if is_comma { at + 1 } else { use_tree(tokens, at, &path, found) };
                }
                return at + 1;
            }
            text if text == "*" || text.chars().all(is_word) => path.push(text.to_owned()),
            _ => return at,
        }
        let next = tokens.get(at).map_or("", |token| token.text);
        if next == "::" {
            continue;
        }
        if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        let renamed = if next == "as" { tokens.get(at + 1) } else { None };
        let name = renamed.map(|token| token.text.to_owned()).or_else(|| path.last().cloned());
        found.push(Import { line: token.line, path, name });
        return if renamed.is_some() { at + 2 } else { at };
    }
    at
}

/// A path from the crate's root on; `None` if it leads elsewhere.
pub fn in_crate(module: &[String], path: &[String]) -> Option<Vec<String>> {
    let is_main = module == ["main"];
    let supers = path.iter().take_while(|segment| *segment == "super").count();
    match path.first()?.as_str() {
        "crate" if !is_main => Some(path[1..].to_vec()),
        "etcd_gateway" if is_main => Some(path[1..].to_vec()),
        "self" => Some([module, &path[1..]].concat()),
        "super" => {
            let parent = &module[..module.len().saturating_sub(supers)];
            Some([parent, &path[supers..]].concat())
        }
        _ => None,
    }
}

/// Every path that leads into this crate, with the line where it is named. A path that begins
/// with a name that a `use` brought in (`use crate::net;` … `net::mio::Real`) is followed.
pub fn crate_paths(source: &Source) -> Vec<(usize, Vec<String>)> {
    let module = source.module();
    let imports = imports(&source.production());
    let mut paths = Vec::new();
    for import in &imports {
        let is_same = |other: &&Import| other.name.as_ref() == import.path.first();
        let named = imports.iter().filter(|_| import.name.is_none()).find(is_same);
        let path = match named {
            Some(named) => [&named.path[..], &import.path[1..]].concat(),
            None => import.path.clone(),
        };
        paths.extend(in_crate(&module, &path).map(|path| (import.line, path)));
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_are_flattened() {
        let text = "use a::{b::{self, c as d}, e::*, f};\nlet x = g::h::<u8>(i.j, k, l::M::n);";
        let found: Vec<String> = imports(text).iter().map(|i| i.path.join("::")).collect();
        assert_eq!(found, ["a::b", "a::b::c", "a::e::*", "a::f", "g::h", "l::M::n"]);
    }
}
