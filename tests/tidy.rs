//! The house rules as a test: form, layers, bans. Each message says what to write instead.
//!
//! Every rule is a function over one [`Source`]; `house_rules_hold` runs them all over what git
//! knows of, or over a tarball's files, and every rule has a test that sees it fire and a test that
//! sees it keep still.
//!
//! ```text
//! text ──► blank(): comments and literals become spaces ──► code ──► test items marked
//!            columns, headers, words in comments               bans, imports, functions
//! ```
//!
//! The reading is good enough for what rustfmt leaves behind, no more: no macros are expanded.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

const COLUMNS_MAX: usize = 100;
const FUNCTION_LINES_MAX: usize = 70;
const FILE_LINES_MAX: usize = 400;

/// What `[dependencies]` may name. A crate enters here together with its cost, in one commit.
const DEPENDENCIES: &[&str] = &[
    "mio",
    "socket2",
    "slab",
    "log",
    "env_logger",
    "getopts",
    "nix",
    "domain",
    "rustls",
    "rustls-webpki",
    "ring",
    "rustls-native-certs",
    "strsim",
    "ecdsa",
    "p256",
    "p384",
    "p521",
    "der",
];

/// The fuzz targets: a workspace of their own, built by cargo-fuzz and on its card. The bodies of
/// the targets are compiled by `tests/it`, too, which has no more than the crate itself.
const FUZZ: &str = "fuzz/";
const FUZZ_DEPENDENCIES: &[&str] = &["etcd-gateway", "libfuzzer-sys", "log"];
/// Folders with files of ours.
const FOLDERS: &[&str] = &[".ci", "benches", "docs", "findings", "fuzz", "src", "tests"];
/// Inputs as the fuzzer left them, which no rule of form can hold.
const FUZZ_CORPUS: &str = "fuzz/corpus/";

/// Folders of pure modules, and the crates that each may name beside std.
const PURE: &[(&str, &[&str])] = &[
    ("src/relay/", &[]),
    ("src/upstream/", &[]),
    ("src/proto/", &["domain"]),
    ("src/observe/", &[]),
    ("src/discovery/", &["slab"]),
];

/// Crates that are sockets, descriptors, the kernel or what is said over sockets: `src/net` alone
/// may name them.
const SYSTEM_CRATES: &[&str] =
    &["mio", "socket2", "nix", "libc", "rustix", "rustls", "rustls_native_certs", "webpki", "ring"];

/// Who may import whom, beside itself: (layer, what it may import, what to do instead).
const LAYERS: &[(&str, &[&str], &str)] = &[
    (
        "main",
        &["args", "config", "reactor", "net", "upstream", "discovery"],
        "let config, reactor or net hand it over instead",
    ),
    (
        "reactor",
        &["relay", "upstream", "discovery", "proto", "observe", "net", "config"],
        "use the trait and the outcomes in crate::net instead",
    ),
    ("net", &["config"], "return an outcome of crate::net and let the reactor act instead"),
    ("args", &["config"], "keep to what was typed and give it its meaning in config instead"),
    ("config", &["args"], "use plain std types and let main convert them instead"),
    (
        "discovery",
        &["upstream", "proto", "config"],
        "hand over specs and let the reactor act instead",
    ),
    ("proto", &["config"], "take what it needs as an argument instead"),
    ("relay", &["upstream::EndpointId"], "take what it needs as an argument instead"),
    ("upstream", &[], "take what it needs as an argument instead"),
    ("observe", &[], "count in plain integers and let the owner add to them instead"),
];

// ---------------------------------------------------------------------------------- the run

#[test]
fn house_rules_hold() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    for path in listed_files(root).into_iter().filter(|path| !path.starts_with(FUZZ_CORPUS)) {
        // Not there: deleted but not committed. Not UTF-8: no text of ours.
        if let Ok(text) = std::fs::read_to_string(root.join(&path)) {
            sources.push(Source::new(&path, &text));
        }
    }
    mark_test_files(&mut sources);

    let mut findings = Vec::new();
    for path in ["src/lib.rs", "src/main.rs", "tests/tidy.rs", "Cargo.toml"] {
        if !sources.iter().any(|source| source.path == path) {
            findings.push(format!("{path}:1: not found: see that git lists it instead"));
        }
    }
    for source in &sources {
        let rules = [TEXT_RULES, if source.is_rust() { RUST_RULES } else { &[] }].concat();
        for finding in rules.iter().flat_map(|rule| rule(source)) {
            findings.push(format!("{}:{}: {}", source.path, finding.line, finding.message));
        }
    }
    for path in orphans(&sources) {
        findings.push(format!("{path}:1: no `mod` leads here: declare it or delete it instead"));
    }
    assert!(findings.is_empty(), "{} findings\n{}", findings.len(), findings.join("\n"));
}

/// The files that are committed, or would be by `git add --all`. What was unpacked from a tarball
/// has no commits: there, the files in the folders that are ours, even if a checkout of somebody
/// else's is around them.
fn listed_files(root: &Path) -> Vec<String> {
    if !root.join(".git").exists() {
        let mut files = vec!["Cargo.toml".to_owned()];
        FOLDERS.iter().for_each(|folder| walk(root, folder, &mut files));
        return files;
    }
    // The checkout may belong to somebody else, as it does in many build containers.
    let output = Command::new("git")
        .args(["-c", "safe.directory=*", "ls-files", "-co", "--exclude-standard"])
        .current_dir(root)
        .output()
        .expect("git is needed to list the files");
    assert!(output.status.success(), "git: {}", String::from_utf8_lossy(&output.stderr));
    let listed = String::from_utf8(output.stdout).expect("file names are UTF-8");
    listed.lines().map(str::to_owned).collect()
}

/// Adds the files below a folder, which need not exist.
fn walk(root: &Path, folder: &str, files: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(root.join(folder)) else { return };
    for entry in entries {
        let entry = entry.expect("a readable folder");
        let name = entry.file_name().into_string().expect("file names are UTF-8");
        let path = format!("{folder}/{name}");
        match entry.file_type().expect("a readable folder").is_dir() {
            // What cargo builds, a fuzz target for instance, is nobody's text.
            true if name != "target" => walk(root, &path, files),
            true => {}
            false => files.push(path),
        }
    }
}

/// `tests/notices.sh --check` compares all of it, for which it needs the sources of all crates.
#[test]
fn notices_are_about_the_crates_that_are_locked() {
    let read = |name: &str| std::fs::read_to_string(name).expect("cargo runs tests at the root");
    let (lock, notices) = (read("Cargo.lock"), read("THIRD-PARTY.txt"));
    let list = notices.split("\n\n").nth(1).expect("a list behind the first paragraph");
    let mut names = BTreeSet::new();
    for line in list.lines() {
        let (name, rest) = line.split_once(' ').expect("a name and a version");
        let (version, _) = rest.split_once(' ').expect("a version and a licence");
        let locked = format!("name = \"{name}\"\nversion = \"{version}\"\n");
        assert!(lock.contains(&locked), "{name} {version} is not locked: run tests/notices.sh");
        names.insert(name);
    }
    for name in DEPENDENCIES {
        assert!(names.contains(name), "no notice of {name}: run tests/notices.sh");
    }
}

type Rule = fn(&Source) -> Vec<Finding>;

const TEXT_RULES: &[Rule] = &[columns, machine_paths, dependency_card, links];

const RUST_RULES: &[Rule] = &[
    header,
    tabs,
    function_length,
    file_length,
    library_root,
    layers,
    std_alone,
    banned_text,
    unfinished_words,
    system_paths,
    unsafe_explained,
];

struct Finding {
    line: usize,
    message: String,
}

fn finding(line: usize, message: impl Into<String>) -> Finding {
    Finding { line, message: message.into() }
}

/// Links of the manual lead to files that are there, and to headings that those have. What is
/// installed has the same folders, so there they do as well.
fn links(source: &Source) -> Vec<Finding> {
    if !source.path.ends_with(".md") || !(source.path == "README.md" || source.is_in(&["docs/"])) {
        return Vec::new();
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = root.join(&source.path).parent().expect("a file is in a folder").to_owned();
    let mut findings = Vec::new();
    for (index, line) in source.text.lines().enumerate() {
        let targets = line.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
        for target in targets.map(|(target, _)| target).filter(|it| !it.contains("://")) {
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let text = match file {
                "" => Ok(source.text.clone()),
                file => std::fs::read_to_string(folder.join(file)),
            };
            let has_heading =
                |text: String| text.lines().filter_map(anchor).any(|it| it == heading);
            if !text.is_ok_and(|text| heading.is_empty() || has_heading(text)) {
                findings.push(finding(
                    index + 1,
                    format!("{target} is not there: link to what is instead"),
                ));
            }
        }
    }
    findings
}

/// What a link to the heading in this line ends with, as on GitHub.
fn anchor(line: &str) -> Option<String> {
    let heading = line.strip_prefix('#')?.trim_start_matches('#').strip_prefix(' ')?;
    let keep = |c: &char| c.is_alphanumeric() || " -_".contains(*c);
    Some(heading.to_lowercase().chars().filter(keep).collect::<String>().replace(' ', "-"))
}

// ---------------------------------------------------------------------------- reading a file

/// One file, as the rules want to see it.
struct Source {
    path: String,
    text: String,
    /// The text with comments and literals blanked out: plain ASCII, the same lines and columns.
    code: String,
    /// For each line, whether it belongs to an item under `#[cfg(test)]`.
    test: Vec<bool>,
}

impl Source {
    fn new(path: &str, text: &str) -> Source {
        let code = if path.ends_with(".rs") { blank(text) } else { String::new() };
        let mut test = vec![path.starts_with("tests/"); text.lines().count()];
        for (first, last, _) in test_items(&code) {
            test[first - 1..last].fill(true);
        }
        Source { path: path.to_owned(), text: text.to_owned(), code, test }
    }

    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    fn is_in(&self, folders: &[&str]) -> bool {
        folders.iter().any(|folder| self.path.starts_with(folder))
    }

    /// The code that is shipped: what is under test is blank, too.
    fn production(&self) -> String {
        let keep = |(line, test): (&str, &bool)| if *test { "" } else { line }.to_owned() + "\n";
        self.code.lines().zip(&self.test).map(keep).collect()
    }

    /// The module of this file: `src/net/mio.rs` is `["net", "mio"]`, the library's root `[]`.
    fn module(&self) -> Vec<String> {
        let path = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let path = path.strip_suffix(".rs").unwrap_or(path);
        let path = path.strip_suffix("/mod").unwrap_or(path);
        path.split('/').filter(|segment| *segment != "lib").map(str::to_owned).collect()
    }
}

/// Replaces comments, strings and characters by spaces, and leaves line ends where they are.
fn blank(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = literal_end(&chars, at).max(at + 1);
        let keep = end == at + 1;
        for &c in &chars[at..end.min(chars.len())] {
            code.push(if c == '\n' || (keep && c.is_ascii()) { c } else { ' ' });
        }
        at = end;
    }
    code
}

/// Where the comment or literal that begins at `at` ends; `at` if none begins there.
fn literal_end(chars: &[char], at: usize) -> usize {
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

fn comment_end(chars: &[char], at: usize) -> usize {
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

fn string_end(chars: &[char], at: usize) -> usize {
    let mut i = at + 1;
    while i < chars.len() && chars[i] != '"' {
        i += if chars[i] == '\\' { 2 } else { 1 };
    }
    i + 1
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The line of a byte of `code`, counted from 1.
fn line_of(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

/// The end of the item that begins at byte `at`: behind its `;`, or behind its body.
fn item_end(code: &str, at: usize) -> (usize, bool) {
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

/// The items under `#[cfg(test)]`: first line, last line, and the name if it is `mod name;`.
fn test_items(code: &str) -> Vec<(usize, usize, Option<String>)> {
    let attribute = "#[cfg(test)]";
    let item = |(at, _): (usize, &str)| {
        let (end, _) = item_end(code, at + attribute.len());
        let declared = modules(&code[at..end]).into_iter().next();
        (line_of(code, at), line_of(code, end), declared)
    };
    code.match_indices(attribute).map(item).collect()
}

/// The names in `mod name;` declarations.
fn modules(code: &str) -> Vec<String> {
    let tokens = tokens(code);
    let declares = |w: &&[Token]| w[0].text == "mod" && w[2].text == ";";
    tokens.windows(3).filter(declares).map(|w| w[1].text.to_owned()).collect()
}

/// Where the file of a module declared in `path` may be.
fn module_files(path: &str, name: &str) -> [String; 2] {
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
    let is_root = is_target(path) || file == "mod.rs";
    let stem = file.strip_suffix(".rs").unwrap_or(file);
    let folder = if is_root { folder.to_owned() } else { format!("{folder}/{stem}") };
    [format!("{folder}/{name}.rs"), format!("{folder}/{name}/mod.rs")]
}

/// Whether cargo itself compiles this file.
fn is_target(path: &str) -> bool {
    if let Some(path) = path.strip_prefix(FUZZ) {
        return path == "src/lib.rs" || path.starts_with("fuzz_targets/");
    }
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        ["build.rs"] | ["src", "lib.rs" | "main.rs"] | ["src", "bin", _] => true,
        ["tests" | "benches" | "examples", file] => file.ends_with(".rs"),
        ["tests" | "benches" | "examples", _, "main.rs"] => true,
        _ => false,
    }
}

/// A whole file that is declared under `#[cfg(test)]` is a test.
fn mark_test_files(sources: &mut [Source]) {
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

// -------------------------------------------------------------------------- words and imports

#[derive(Clone, Copy)]
struct Token<'a> {
    line: usize,
    text: &'a str,
}

/// Words, `::`, and every other sign on its own.
fn tokens(code: &str) -> Vec<Token<'_>> {
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

/// A path such as `crate::net::Read`, with the name that a `use` gives it here.
struct Import {
    line: usize,
    path: Vec<String>,
    name: Option<String>,
}

/// Every path in the code of two segments or more, and every path of a `use`, flattened.
fn imports(code: &str) -> Vec<Import> {
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
fn use_tree(tokens: &[Token], mut at: usize, stem: &[String], found: &mut Vec<Import>) -> usize {
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
fn in_crate(module: &[String], path: &[String]) -> Option<Vec<String>> {
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
fn crate_paths(source: &Source) -> Vec<(usize, Vec<String>)> {
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

// ----------------------------------------------------------------------------- rules of form

fn columns(source: &Source) -> Vec<Finding> {
    let wide_by_nature = ["LICENSE", "THIRD-PARTY.txt", "Cargo.lock", ".md"];
    if wide_by_nature.iter().any(|end| source.path.ends_with(end)) {
        return Vec::new();
    }
    // The first column of a patch is its own.
    let first = usize::from(source.path.ends_with(".patch"));
    let mut findings = Vec::new();
    for (number, line) in source.text.lines().enumerate() {
        let columns = line.chars().count().saturating_sub(first);
        if columns > COLUMNS_MAX {
            let message = format!("{columns} columns: break the line within {COLUMNS_MAX} instead");
            findings.push(finding(number + 1, message));
        }
    }
    findings
}

/// A path of somebody's machine works nowhere else.
fn machine_paths(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in source.text.lines().enumerate() {
        for root in ["work", "home", "root"] {
            let path = format!("/{root}");
            let is_root = |(at, _): (usize, &str)| {
                let before = line[..at].chars().next_back();
                let after = line[at + path.len()..].chars().next();
                !before.is_some_and(|c| is_word(c) || ".)}*".contains(c))
                    && !after.is_some_and(|c| is_word(c) || "-.".contains(c))
            };
            if line.match_indices(&path).any(is_root) {
                let message = format!(
                    "{path} is a place of one machine: use a relative path or \
                     a temporary directory instead"
                );
                findings.push(finding(number + 1, message));
            }
        }
    }
    findings
}

/// What the manifest of a package may name; a package that is not known may name nothing.
fn card(path: &str) -> Option<&'static [&'static str]> {
    match path.strip_suffix("Cargo.toml")? {
        "" => Some(DEPENDENCIES),
        FUZZ => Some(FUZZ_DEPENDENCIES),
        _ => Some(&[]),
    }
}

/// `[dependencies]` names crates of the card alone, in whichever of TOML's ways.
fn dependency_card(source: &Source) -> Vec<Finding> {
    let Some(card) = card(&source.path) else { return Vec::new() };
    let mut findings = Vec::new();
    let mut inside = false;
    for (number, line) in source.text.lines().enumerate() {
        let mut name = None;
        if let Some(table) = line.trim().strip_prefix('[') {
            let table = table.trim_matches(['[', ']']);
            let is_ours = |t: &str| t == "dependencies" || t.ends_with(".dependencies");
            inside = is_ours(table);
            if let Some((parent, last)) = table.rsplit_once('.') {
                name = is_ours(parent).then_some(last);
            }
        } else if inside && !line.trim_start().starts_with('#') {
            name = line.split_once('=').map(|(key, _)| key);
        }
        let name = name.map(|name| name.trim().split('.').next().unwrap_or(name));
        if let Some(name) = name.filter(|name| !card.contains(name)) {
            let message = format!(
                "`{name}` is not on the dependency card: use std or one of {card:?} \
                 instead, or weigh it and add it to tests/tidy.rs"
            );
            findings.push(finding(number + 1, message));
        }
    }
    findings
}

fn header(source: &Source) -> Vec<Finding> {
    if source.text.starts_with("//! ") {
        return Vec::new();
    }
    vec![finding(1, "no header: begin with `//! ` and what this file owns and must not do instead")]
}

fn tabs(source: &Source) -> Vec<Finding> {
    let has_tab = |(_, line): &(usize, &str)| line.contains('\t');
    let lines = source.text.lines().enumerate().filter(has_tab);
    lines.map(|(n, _)| finding(n + 1, "a tab: use spaces, or \\t in a string, instead")).collect()
}

fn function_length(source: &Source) -> Vec<Finding> {
    let code = &source.code;
    let mut findings = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let is_keyword = !code[..at].chars().next_back().is_some_and(is_word);
        let is_named = code[at + 3..].starts_with(|c: char| is_word(c));
        let (end, has_body) = item_end(code, at);
        let (first, last) = (line_of(code, at), line_of(code, end));
        let lines = last + 1 - first;
        if is_keyword && is_named && has_body && lines > FUNCTION_LINES_MAX {
            let message = format!(
                "a function of {lines} lines: split it into ones of at most {FUNCTION_LINES_MAX} \
                 instead, branches in the parent, straight lines in the leaves"
            );
            findings.push(finding(first, message));
        }
    }
    findings
}

fn file_length(source: &Source) -> Vec<Finding> {
    let lines = source.test.iter().filter(|test| !**test).count();
    if !source.is_in(&["src/"]) || lines <= FILE_LINES_MAX {
        return Vec::new();
    }
    let message = format!(
        "{lines} lines beside the tests: move one whole subject into a file of its own instead, \
         at most {FILE_LINES_MAX} lines each"
    );
    vec![finding(FILE_LINES_MAX + 1, message)]
}

/// `lib.rs` is the map and nothing else.
fn library_root(source: &Source) -> Vec<Finding> {
    if source.path != "src/lib.rs" {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (number, line) in source.code.lines().enumerate() {
        let line = line.trim();
        let is_mod = line.trim_start_matches("pub ").starts_with("mod ") && line.ends_with(';');
        if !line.is_empty() && !is_mod && !line.starts_with('#') {
            let message = "code in the library's root: put it into a module and list that instead";
            findings.push(finding(number + 1, message));
        }
    }
    findings
}

/// The files that no `mod` of a target leads to.
fn orphans(sources: &[Source]) -> Vec<String> {
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

// ------------------------------------------------------------------------------ rules of layers

fn layers(source: &Source) -> Vec<Finding> {
    if !source.is_in(&["src/"]) || source.path == "src/lib.rs" {
        return Vec::new();
    }
    let module = source.module();
    let Some((own, allowed, instead)) = LAYERS.iter().find(|layer| layer.0 == module[0]) else {
        let message =
            format!("no layer `{}`: use one of LAYERS in tests/tidy.rs instead", module[0]);
        return vec![finding(1, message)];
    };
    let mut findings = Vec::new();
    for (line, path) in crate_paths(source) {
        let target = path.join("::");
        let is_under = |of: &&str| target == **of || target.starts_with(&format!("{of}::"));
        // The reactor knows the trait and the outcomes in net/mod.rs; a small letter is a module.
        let is_module = |name: &String| name.starts_with(char::is_lowercase);
        let behind_trait =
            *own == "reactor" && path[0] == "net" && path.get(1).is_some_and(is_module);
        // The trait stands above its implementations and needs nobody.
        let from_trait = module == ["net"] && path[0] != "net";
        let is_allowed = path[0] == *own || allowed.iter().any(is_under);
        if !is_allowed || behind_trait || from_trait {
            findings.push(finding(line, format!("{own} must not import {target}: {instead}")));
        }
    }
    findings
}

/// `relay` and `upstream` import std alone, and of std nothing that acts.
fn std_alone(source: &Source) -> Vec<Finding> {
    let Some((_, own)) = PURE.iter().find(|(folder, _)| source.is_in(&[folder])) else {
        return Vec::new();
    };
    let mut ours = modules(&source.code);
    ours.extend(["std", "core", "alloc", "crate", "super", "self"].map(str::to_owned));
    ours.extend(own.iter().map(|name| (*name).to_owned()));
    let mut findings = Vec::new();
    for import in imports(&source.production()) {
        let root = import.path[0].as_str();
        let is_crate = DEPENDENCIES.contains(&root) || SYSTEM_CRATES.contains(&root);
        let is_use = import.name.is_some() && root.starts_with(char::is_lowercase);
        let is_own = own.contains(&root);
        if (is_crate && !is_own) || (is_use && !ours.iter().any(|name| name == root)) {
            let message = format!("`{root}` in a pure module: use std or an argument instead");
            findings.push(finding(import.line, message));
        }
    }
    findings
}

/// Paths into the system, wherever a `use` or an expression names them.
fn system_paths(source: &Source) -> Vec<Finding> {
    if !source.is_in(&["src/"]) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for Import { line, path, .. } in imports(&source.production()) {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let message = match path.as_slice() {
            [root, ..] if SYSTEM_CRATES.contains(root) => "use the trait crate::net::Net instead",
            ["std", "net", name, ..] if name.starts_with("Tcp") || *name == "UdpSocket" => {
                "use Net::Stream or Net::Listener of the trait crate::net::Net instead"
            }
            ["std", "os", "unix", "net", ..] => "put the socket into src/net instead",
            ["std", "io", ..] if source.is_in(&["src/reactor/", "src/relay/", "src/upstream/"]) => {
                "use crate::net::NetError and the outcomes instead"
            }
            _ => continue,
        };
        if !source.is_in(&["src/net/"]) || path.starts_with(&["std", "io"]) {
            findings.push(finding(line, format!("{} here: {message}", path.join("::"))));
        }
    }
    findings
}

// -------------------------------------------------------------------------------- rules of words

/// Where a ban holds.
#[derive(Clone, Copy, PartialEq)]
enum Where {
    Src,
    SrcBesideMain,
    SrcBesideNet,
    Pure,
    Tests,
}

/// What must not stand in the code, where, and what to write instead.
const BANS: &[(&str, Where, &str)] = &[
    ("dbg!", Where::Src, "use log::debug! instead"),
    ("todo!", Where::Src, "write it, or return an error that says so, instead"),
    ("unimplemented!", Where::Src, "write it, or return an error that says so, instead"),
    ("Rc<RefCell", Where::Src, "use a slab and its keys instead"),
    (".unwrap()", Where::Src, "use expect() with the sentence that proves it instead"),
    ("println!", Where::SrcBesideMain, "use log::info! instead"),
    ("print!", Where::SrcBesideMain, "use log::info! instead"),
    ("eprintln!", Where::SrcBesideMain, "use log::warn! or return the error to main instead"),
    ("eprint!", Where::SrcBesideMain, "use log::warn! or return the error to main instead"),
    ("Instant::now", Where::SrcBesideNet, "take `now` as an argument, or use Net::now, instead"),
    ("SystemTime", Where::SrcBesideNet, "take `now` as an argument, or use Net::now, instead"),
    (".elapsed()", Where::SrcBesideNet, "use now.duration_since(then) instead"),
    ("unsafe", Where::SrcBesideNet, "use a safe call, or put it into src/net, instead"),
    ("error!(", Where::Pure, "return it and let the reactor log instead"),
    ("warn!(", Where::Pure, "return it and let the reactor log instead"),
    ("info!(", Where::Pure, "return it and let the reactor log instead"),
    ("debug!(", Where::Pure, "return it and let the reactor log instead"),
    ("trace!(", Where::Pure, "return it and let the reactor log instead"),
    ("log::", Where::Pure, "return it and let the reactor log instead"),
    ("thread::sleep", Where::Tests, "wait for the event itself, with a deadline, instead"),
    ("#[ignore", Where::Tests, "make it fast or delete it instead"),
    ("#[should_panic]", Where::Tests, "use #[should_panic(expected = \"…\")] instead"),
];

/// Whether a ban holds in this line.
fn holds(place: Where, source: &Source, is_test: bool) -> bool {
    let in_src = source.is_in(&["src/"]) && !is_test;
    match place {
        Where::Src => in_src,
        Where::SrcBesideMain => in_src && source.path != "src/main.rs",
        Where::SrcBesideNet => in_src && !source.is_in(&["src/net/"]),
        Where::Pure => in_src && source.is_in(&["src/relay/", "src/upstream/"]),
        Where::Tests => is_test || in_src, // what may not sleep under test may not in earnest
    }
}

fn banned_text(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, (line, is_test)) in source.code.lines().zip(&source.test).enumerate() {
        for (ban, place, instead) in BANS {
            if holds(*place, source, *is_test) && contains_word(line, ban) {
                findings.push(finding(number + 1, format!("`{ban}`: {instead}")));
            }
        }
    }
    findings
}

/// Words that mark what is not done, which hide in comments.
fn unfinished_words(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, (line, is_test)) in source.text.lines().zip(&source.test).enumerate() {
        for word in ["TODO", "FIXME", "XXX"] {
            if holds(Where::Src, source, *is_test) && contains_word(line, word) {
                let message = format!("`{word}`: do it, or write an issue, instead");
                findings.push(finding(number + 1, message));
            }
        }
    }
    findings
}

/// Whether `text` contains `word` with no word going on before or after it.
fn contains_word(text: &str, word: &str) -> bool {
    let joins = |a: Option<char>, b: Option<char>| a.is_some_and(is_word) && b.is_some_and(is_word);
    text.match_indices(word).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + word.len()..]);
        !joins(before.chars().next_back(), word.chars().next())
            && !joins(word.chars().next_back(), after.chars().next())
    })
}

/// Every `unsafe` of `src/net` stands under a sentence that says why it is sound.
fn unsafe_explained(source: &Source) -> Vec<Finding> {
    if !source.is_in(&["src/net/"]) {
        return Vec::new();
    }
    let lines: Vec<&str> = source.text.lines().map(str::trim).collect();
    let mut findings = Vec::new();
    for (number, line) in source.production().lines().enumerate() {
        let mut above = number;
        // Climb over attributes and over the beginning of a statement that rustfmt broke.
        while above > 0 && (lines[above - 1].starts_with("#[") || is_unfinished(lines[above - 1])) {
            above -= 1;
        }
        let comment = lines[..above].iter().rev().take_while(|line| line.starts_with("//"));
        let words: usize = comment.map(|line| line.split_whitespace().count() - 1).sum();
        if contains_word(line, "unsafe") && words < 4 {
            let message = "unsafe without its reason: write `// SAFETY: …` directly above instead";
            findings.push(finding(number + 1, message));
        }
    }
    findings
}

fn is_unfinished(line: &str) -> bool {
    !line.starts_with("//") && (line.ends_with('=') || line.ends_with('('))
}

// -------------------------------------------------------------- every rule fires, and keeps still

/// The rule finds exactly one thing in `text`, on that line, and names the way out.
fn fires(rule: Rule, path: &str, text: &str, line: usize, instead: &str) {
    let findings = rule(&Source::new(path, text));
    assert_eq!(findings.len(), 1, "{path}: {text}");
    assert_eq!(findings[0].line, line, "{path}: {text}");
    let message = &findings[0].message;
    assert!(message.contains(instead) && message.contains("instead"), "{message}");
}

fn keeps_still(rule: Rule, path: &str, text: &str) {
    let findings = rule(&Source::new(path, text));
    let first = findings.first().map_or("", |finding| &finding.message);
    assert!(findings.is_empty(), "{path}: {text}: {first}");
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
        assert_eq!(blank(text), code);
    }
}

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
fn imports_are_flattened() {
    let text = "use a::{b::{self, c as d}, e::*, f};\nlet x = g::h::<u8>(i.j, k, l::M::n);";
    let found: Vec<String> = imports(text).iter().map(|i| i.path.join("::")).collect();
    assert_eq!(found, ["a::b", "a::b::c", "a::e::*", "a::f", "g::h", "l::M::n"]);
}

#[test]
fn rule_columns() {
    let wide = format!("\n{}", "é".repeat(101));
    fires(columns, "src/a.rs", &wide, 2, "break the line");
    fires(columns, "Makefile", &wide, 2, "break the line");
    fires(columns, "fuzz/dictionaries/flag", &wide, 2, "break the line");
    keeps_still(columns, "README.md", &wide);
    keeps_still(columns, "fuzz/Cargo.lock", &wide);
    keeps_still(columns, "src/a.rs", &"é".repeat(100));
    keeps_still(columns, "tests/a.patch", &wide);
    fires(columns, "tests/a.patch", &format!("+{}", "é".repeat(101)), 1, "break the line");
}

#[test]
fn rule_machine_paths() {
    fires(machine_paths, "Makefile", concat!("\ncd /wo", "rk/main"), 2, "use a relative path");
    fires(machine_paths, "README.md", concat!("in `/ho", "me/me/x`"), 1, "use a relative path");
    fires(machine_paths, "a.sh", concat!("PATH=/ro", "ot"), 1, "use a relative path");
    keeps_still(machine_paths, "a.sh", concat!("a.org/ho", "me /ho", "mes frame/wo", "rk/a"));
}

#[test]
fn rule_dependency_card() {
    let card = "[package]\nname = \"x\"\n[dependencies]\nmio = \"1\"\nlog.version = \"0\"\n";
    keeps_still(dependency_card, "Cargo.toml", &format!("{card}# a = b\n[lints]\nx = 1\n"));
    fires(dependency_card, "Cargo.toml", &format!("{card}tokio = \"1\""), 6, "use std");
    fires(dependency_card, "Cargo.toml", "[dependencies.tokio]\nversion = \"1\"", 1, "use std");
    let target = "[target.'cfg(unix)'.dependencies]\nlibc = \"1\"";
    fires(dependency_card, "Cargo.toml", target, 2, "use std");
    keeps_still(dependency_card, "Cargo.lock", &format!("{card}tokio = \"1\""));
    let fuzz = "[dependencies]\nlibfuzzer-sys = \"0\"\n";
    keeps_still(dependency_card, "fuzz/Cargo.toml", fuzz);
    fires(dependency_card, "Cargo.toml", fuzz, 2, "use std");
    fires(dependency_card, "tests/other/Cargo.toml", fuzz, 2, "use std");
    fires(dependency_card, "fuzz/Cargo.toml", &format!("{fuzz}mio = \"1\""), 3, "use std");
}

#[test]
fn rule_header() {
    fires(header, "src/a.rs", "use std::fmt;", 1, "begin with `//! `");
    fires(header, "src/a.rs", "// plain", 1, "begin with `//! `");
    fires(header, "fuzz/fuzz_targets/a.rs", "#![no_main]", 1, "begin with `//! `");
    keeps_still(header, "src/a.rs", "//! What it owns.\n");
}

#[test]
fn rule_tabs() {
    fires(tabs, "src/a.rs", "fn a() {\n\tb();\n}", 2, "use spaces");
    keeps_still(tabs, "src/a.rs", "fn a() {\n    b();\n}");
}

#[test]
fn rule_function_length() {
    let of =
        |lines: usize| format!("\nfn a(b: [u8; 4]) -> u8 {{\n{}}}\n", "c;\n".repeat(lines - 2));
    fires(function_length, "src/a.rs", &of(71), 2, "split it");
    fires(function_length, "tests/a.rs", &of(71), 2, "split it");
    keeps_still(function_length, "src/a.rs", &of(70));
    let type_of = format!("type A = fn (u8);\n{}fn b();\n", "\n".repeat(100));
    keeps_still(function_length, "src/a.rs", &format!("trait T {{\n{type_of}}}\n"));
}

#[test]
fn rule_file_length() {
    let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "x;\n".repeat(500));
    fires(file_length, "src/a.rs", &("x;\n".repeat(401) + &tests), 401, "move one whole subject");
    keeps_still(file_length, "src/a.rs", &("x;\n".repeat(400) + &tests));
    keeps_still(file_length, "tests/a.rs", &"x;\n".repeat(401));
}

#[test]
fn rule_library_root() {
    fires(library_root, "src/lib.rs", "//! Map.\nmod a;\nfn b() {}", 3, "put it into a module");
    keeps_still(library_root, "src/lib.rs", "//! Map.\n#![deny(x)]\nmod a;\npub mod b;\n");
    keeps_still(library_root, "src/main.rs", "fn main() {}");
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

#[test]
fn rule_layers_fires() {
    let cases = [
        ("src/main.rs", "use etcd_gateway::relay::Pair;"),
        ("src/main.rs", "etcd_gateway::observe::metrics::a();"),
        ("src/args.rs", "use crate::net::Net;"),
        ("src/config/address.rs", "use super::super::upstream::Spec;"),
        ("src/reactor/mod.rs", "use crate::{\n config::Config, args::Args};"),
        ("src/reactor/mod.rs", "use crate::net::mio::Real;"),
        ("src/reactor/mod.rs", "use crate::net;\nfn a() { net::signal::b(); }"),
        ("src/net/mio.rs", "use crate::relay::Pair;"),
        ("src/net/mod.rs", "use crate::config::Config;"),
        ("src/discovery/mod.rs", "use crate::net::Net;"),
        ("src/relay/flow.rs", "use crate::upstream::{EndpointId, EndpointSet};"),
        ("src/relay/mod.rs", "use super::net::Read;"),
        ("src/upstream/mod.rs", "fn a(b: &crate::config::Config) {}"),
        ("src/observe/metrics.rs", "use crate::net::NetError;"),
        ("src/other/mod.rs", ""),
    ];
    for (path, text) in cases {
        let line = text.lines().count().max(1);
        fires(layers, path, text, line, "instead");
    }
}

#[test]
fn rule_layers_keeps_still() {
    let cases = [
        ("src/main.rs", "use etcd_gateway::{args, config::Config, net::mio::Real, reactor};"),
        ("src/main.rs", "use etcd_gateway::{upstream, discovery};"),
        ("src/args.rs", "use crate::config::Default;"),
        ("src/config.rs", "use crate::args::Args;\nmod address;\nuse address::parse;"),
        ("src/reactor/pump.rs", "use super::Reactor;\nuse crate::net::{self, Net, Read};"),
        ("src/reactor/pump.rs", "use crate::{relay::Pair, upstream, discovery, observe, config};"),
        ("src/reactor/pump.rs", "use std::net::SocketAddr;\nfn a() { net::Read::Eof; }"),
        ("src/net/mio.rs", "use super::{Net, signal::Signals};\nuse crate::config::KEEPALIVE;"),
        ("src/net/mio.rs", "use ::mio::Poll;\nuse mio::net::TcpStream;"),
        ("src/relay/mod.rs", "use self::flow::Flow;\nuse crate::upstream::EndpointId;"),
        ("src/upstream/mod.rs", "// crate::net\nuse super::upstream::pick;\nuse std::fmt;"),
        ("src/upstream/mod.rs", "#[cfg(test)]\nmod tests { use crate::net::Net; }"),
        ("src/lib.rs", "pub mod net;"),
        ("tests/it/main.rs", "use etcd_gateway::relay::Pair;"),
    ];
    for (path, text) in cases {
        keeps_still(layers, path, text);
    }
}

#[test]
fn rule_std_alone() {
    fires(std_alone, "src/relay/mod.rs", "use log::debug;", 1, "use std");
    fires(std_alone, "src/relay/mod.rs", "use rand::Rng;", 1, "use std");
    fires(std_alone, "src/upstream/pick.rs", "\nlet a = slab::Slab::new();", 2, "use std");
    let good = "use std::fmt;\nuse super::flow;\nuse Side::*;\nuse crate::relay::A;\nflow::next();";
    keeps_still(std_alone, "src/relay/mod.rs", good);
    fires(std_alone, "src/proto/dns/query.rs", "use log::debug;", 1, "use std");
    fires(std_alone, "src/discovery/mod.rs", "use domain::base::Name;", 1, "use std");
    keeps_still(std_alone, "src/proto/dns/name.rs", "use domain::base::Name;");
    keeps_still(std_alone, "src/reactor/mod.rs", "use slab::Slab;");
    keeps_still(std_alone, "src/relay/mod.rs", "mod flow;\npub use flow::{Flow, Step};");
}

#[test]
fn rule_system_paths() {
    let sockets = [
        "use std::net::{\nTcpStream};",
        "let a =\nstd::net::TcpListener::bind(b);",
        "use std::net::\nUdpSocket;",
        "use std::os::unix::net::\n{UnixDatagram};",
        "\nuse mio::Poll;",
        "\nsocket2::Socket::new();",
        "\nnix::sys::signal::kill();",
    ];
    for text in sockets {
        fires(system_paths, "src/main.rs", text, 2, "instead");
        keeps_still(system_paths, "src/net/mio.rs", text);
        keeps_still(system_paths, "tests/it/main.rs", text);
    }
    for text in ["use std::io;", "fn a(b: std::io::Error) {}", "use std::{fmt, io::ErrorKind};"] {
        fires(system_paths, "src/reactor/mod.rs", text, 1, "use crate::net::NetError");
        fires(system_paths, "src/relay/mod.rs", text, 1, "use crate::net::NetError");
        fires(system_paths, "src/upstream/mod.rs", text, 1, "use crate::net::NetError");
        keeps_still(system_paths, "src/main.rs", text);
    }
    let good = "use std::net::SocketAddr;\nuse etcd_gateway::net::mio::Real;\nuse a::{mio::B};";
    keeps_still(system_paths, "src/main.rs", good);
}

#[test]
fn rule_banned_text_in_src() {
    for (ban, place, instead) in BANS {
        let text = format!("fn a() {{\n    {ban} b\n}}\n");
        let fires_in = |path: &str| fires(banned_text, path, &text, 2, instead);
        let keeps_still_in = |path: &str| keeps_still(banned_text, path, &text);
        match place {
            Where::Src => fires_in("src/net/mio.rs"),
            Where::SrcBesideMain => {
                fires_in("src/relay/mod.rs");
                keeps_still_in("src/main.rs");
            }
            Where::SrcBesideNet => {
                fires_in("src/main.rs");
                keeps_still_in("src/net/mio.rs");
            }
            Where::Pure => {
                fires_in("src/relay/flow.rs");
                fires_in("src/upstream/mod.rs");
                keeps_still_in("src/reactor/mod.rs");
            }
            Where::Tests => {
                fires_in("tests/it/relay.rs");
                fires_in("src/reactor/mod.rs");
                keeps_still_in("benches/relay.rs");
                continue;
            }
        }
        keeps_still_in("tests/it/relay.rs");
        keeps_still(banned_text, "src/relay/mod.rs", &format!("#[cfg(test)]\nmod t {{\n{text}}}"));
    }
}

#[test]
fn rule_banned_text_reads_words() {
    let good = "debug_assert!(a); a.unwrap_or(b); // dbg!\nlet c = \"todo!\"; not_unsafe();\n";
    keeps_still(banned_text, "src/relay/mod.rs", good);
    keeps_still(banned_text, "src/net/mod.rs", "#![deny(unsafe_op_in_unsafe_fn)]");
    let panics = "#[should_panic(expected = \"x\")]\nfn a() {}";
    keeps_still(banned_text, "tests/it/cli.rs", panics);
    let in_tests = "#[cfg(test)]\nmod t {\n    #[ignore = \"slow\"]\n    fn a() {}\n}\n";
    fires(banned_text, "src/relay/mod.rs", in_tests, 3, "make it fast");
}

#[test]
fn rule_unfinished_words() {
    for word in ["TODO", "FIXME", "XXX"] {
        let text = format!("fn a() {{}}\n// {word}: b\n");
        fires(unfinished_words, "src/a.rs", &text, 2, "write an issue");
        keeps_still(unfinished_words, "src/a.rs", &format!("// {word}S and a{word}"));
        keeps_still(unfinished_words, "tests/a.rs", &text);
    }
}

#[test]
fn rule_unsafe_explained() {
    let bare = "fn a() {\n    let b = unsafe { c() };\n}";
    fires(unsafe_explained, "src/net/splice.rs", bare, 2, "write `// SAFETY: …`");
    let apart = "// SAFETY: c is always there.\nfn a() {\n    let b =\n        unsafe { c() };\n}";
    fires(unsafe_explained, "src/net/splice.rs", apart, 4, "write `// SAFETY: …`");
    fires(unsafe_explained, "src/net/splice.rs", "// SAFETY:\nunsafe { c() };", 2, "SAFETY");
    let good = "    // SAFETY: c is always\n    // there.\n    let b =\n        unsafe { c() };";
    keeps_still(unsafe_explained, "src/net/splice.rs", good);
    let item = "/// # Safety\n/// The caller owns b.\n#[inline]\npub unsafe fn a(b: i32) {}";
    keeps_still(unsafe_explained, "src/net/splice.rs", item);
    keeps_still(unsafe_explained, "src/relay/mod.rs", bare);
}

#[test]
fn rule_links() {
    let to = |target: &str| format!("# One `A` b\n\n[words]({target}) and more\n");
    for target in ["docs/nowhere.md", "#two", "docs/operation.md", "docs/operations.md#nowhere"] {
        fires(links, "README.md", &to(target), 3, "link to what is instead");
    }
    fires(links, "docs/a.md", &to("docs/operations.md"), 3, "link to what is instead");
    for target in ["docs/operations.md#signals", "#one-a-b", "LICENSE", "https://a.test/b"] {
        keeps_still(links, "README.md", &to(target));
    }
    keeps_still(links, "docs/a.md", &to("../README.md#flags"));
    keeps_still(links, "src/a.md", &to("nowhere"));
}
