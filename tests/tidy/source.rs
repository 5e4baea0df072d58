//! A file as the rules want to see it: its text, its code without comments and literals, which of
//! its lines are tests, and which files lead to it.

use std::collections::BTreeSet;

use crate::lexer::{Token, item_end, line_of, parts, tokens};
use crate::manifest::{FAULTS, FUZZ};

/// One file, as the rules want to see it.
pub struct Source {
    pub path: String,
    pub text: String,
    /// The text with comments and literals blanked out: plain ASCII, the same lines and columns.
    pub code: String,
    /// Comments and literals alone, the same lines and columns; of what is not Rust, the text.
    pub prose: String,
    /// For each line, whether it belongs to an item under `#[cfg(test)]`.
    pub test: Vec<bool>,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Source {
        let is_rust = path.ends_with(".rs");
        let (code, prose) = if is_rust { parts(text) } else { (String::new(), text.to_owned()) };
        let mut test = vec![path.starts_with("tests/"); text.lines().count()];
        for (first, last, _) in test_items(&code) {
            test[first - 1..last].fill(true);
        }
        Source { path: path.to_owned(), text: text.to_owned(), code, prose, test }
    }

    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    pub fn is_in(&self, folders: &[&str]) -> bool {
        folders.iter().any(|folder| self.path.starts_with(folder))
    }

    /// The code that is shipped: what is under test is blank, too.
    pub fn production(&self) -> String {
        let keep = |(line, test): (&str, &bool)| if *test { "" } else { line }.to_owned() + "\n";
        self.code.lines().zip(&self.test).map(keep).collect()
    }

    /// The module of this file: `src/net/mio.rs` is `["net", "mio"]`, the library's root `[]`.
    pub fn module(&self) -> Vec<String> {
        let path = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let path = path.strip_suffix(".rs").unwrap_or(path);
        let path = path.strip_suffix("/mod").unwrap_or(path);
        path.split('/').filter(|segment| *segment != "lib").map(str::to_owned).collect()
    }
}

/// The items under `#[cfg(test)]`: first line, last line, and the name if it is `mod name;`.
pub fn test_items(code: &str) -> Vec<(usize, usize, Option<String>)> {
    let attribute = "#[cfg(test)]";
    let item = |(at, _): (usize, &str)| {
        let (end, _) = item_end(code, at + attribute.len());
        let declared = modules(&code[at..end]).into_iter().next();
        (line_of(code, at), line_of(code, end), declared)
    };
    code.match_indices(attribute).map(item).collect()
}

/// The names in `mod name;` declarations.
pub fn modules(code: &str) -> Vec<String> {
    let tokens = tokens(code);
    let declares = |w: &&[Token]| w[0].text == "mod" && w[2].text == ";";
    tokens.windows(3).filter(declares).map(|w| w[1].text.to_owned()).collect()
}

/// Where the file of a module declared in `path` may be.
pub fn module_files(path: &str, name: &str) -> [String; 2] {
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
    let is_root = is_target(path) || file == "mod.rs";
    let stem = file.strip_suffix(".rs").unwrap_or(file);
    let folder = if is_root { folder.to_owned() } else { format!("{folder}/{stem}") };
    [format!("{folder}/{name}.rs"), format!("{folder}/{name}/mod.rs")]
}

/// Whether cargo itself compiles this file.
pub fn is_target(path: &str) -> bool {
    if let Some(path) = path.strip_prefix(FUZZ) {
        return path == "src/lib.rs" || path.starts_with("fuzz_targets/");
    }
    let parts: Vec<&str> = path.strip_prefix(FAULTS).unwrap_or(path).split('/').collect();
    match parts.as_slice() {
        ["build.rs"] | ["src", "lib.rs" | "main.rs"] | ["src", "bin", _] => true,
        ["tests" | "benches" | "examples", file] => file.ends_with(".rs"),
        ["tests" | "benches" | "examples", _, "main.rs"] => true,
        _ => false,
    }
}

/// A whole file that is declared under `#[cfg(test)]` is a test.
pub fn mark_test_files(sources: &mut [Source]) {
    let mut files = BTreeSet::new();
    for source in sources.iter() {
        for (_, _, name) in test_items(&source.code) {
            files.extend(name.iter().flat_map(|name| module_files(&source.path, name)));
        }
    }
    for source in sources.iter_mut().filter(|source| files.contains(&source.path)) {
        source.test.fill(true);
    }
}

/// The files that no `mod` of a target leads to.
pub fn orphans(sources: &[Source]) -> Vec<String> {
    let rust = || sources.iter().filter(|source| source.is_rust());
    let mut open: Vec<&Source> = rust().filter(|source| is_target(&source.path)).collect();
    let mut reached: BTreeSet<&str> = open.iter().map(|source| source.path.as_str()).collect();
    while let Some(source) = open.pop() {
        for name in modules(&source.code) {
            let files = module_files(&source.path, &name);
            for next in rust().filter(|next| files.contains(&next.path)) {
                if reached.insert(&next.path) {
                    open.push(next);
                }
            }
        }
    }
    rust().map(|s| s.path.clone()).filter(|path| !reached.contains(path.as_str())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::banned_text;

    #[test]
    fn test_items_are_no_production() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n  fn b() { c[1]; }\n}\nfn d() {}\n";
        let source = Source::new("src/relay/flow.rs", text);
        assert_eq!(source.test, [false, true, true, true, true, false]);
        assert_eq!(source.production(), "fn a() {}\n\n\n\n\nfn d() {}\n");

        let mut sources = [
            Source::new("src/relay/mod.rs", "#[cfg(test)]\nmod tests;\nmod flow;\n"),
            Source::new("src/relay/tests.rs", "dbg!(1)"),
            Source::new("src/relay/flow.rs", "dbg!(1)"),
        ];
        mark_test_files(&mut sources);
        let counts: Vec<usize> = sources.iter().map(|s| banned_text(s).len()).collect();
        assert_eq!(counts, [0, 0, 1]);
    }

    #[test]
    fn rule_orphans() {
        let tree = [
            Source::new("src/lib.rs", "pub mod a;\npub mod b;\n// mod c;"),
            Source::new("src/a.rs", "mod d;"),
            Source::new("src/a/d.rs", ""),
            Source::new("src/b/mod.rs", "#[cfg(test)]\nmod tests;"),
            Source::new("src/b/tests.rs", ""),
            Source::new("tests/it/main.rs", "mod e;"),
            Source::new("tests/it/e.rs", ""),
            Source::new("tests/f.rs", ""),
            Source::new("fuzz/src/lib.rs", "pub mod i;"),
            Source::new("fuzz/src/i.rs", ""),
            Source::new("fuzz/fuzz_targets/j.rs", ""),
            Source::new("README.md", ""),
        ];
        assert_eq!(orphans(&tree), [""; 0]);
        let lost = ["src/c.rs", "src/b/g.rs", "tests/it/h.rs", "src/d.rs"];
        let lost_in_fuzz = ["fuzz/src/j.rs", "fuzz/main.rs", "fuzz/k.rs"];
        let lost = [&lost[..], &lost_in_fuzz].concat();
        let with_lost = tree.into_iter().chain(lost.iter().map(|path| Source::new(path, "")));
        assert_eq!(orphans(&with_lost.collect::<Vec<_>>()), lost);
    }
}
