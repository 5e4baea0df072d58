//! Rules of types: how many methods one may have, and in how many files the reactor has them.
//!
//! A type with more methods than that is a hub, which each of them may reach into. The table has
//! those that are over the limit today; a number in it only goes down.

use std::collections::{BTreeMap, BTreeSet};

use crate::lexer::{Token, is_word, tokens};
use crate::source::Source;

/// The most methods of one type, those of the traits that it implements among them.
const METHODS_MAX: usize = 40;
/// The same in the simulator, whose world and oracle meet every operation of the gateway.
const SIMULATOR_METHODS_MAX: usize = 60;
/// Types over the limit: the file that defines it, the name, and how many methods it has today.
const METHODS_TODAY: &[(&str, &str, usize)] = &[];
/// The type that has the turn: the most files that may have an `impl` of it, its most methods and
/// fields.
const HUB: &str = "Reactor";
const HUB_FILES_MAX: usize = 2;
const HUB_METHODS_MAX: usize = 25;
const HUB_FIELDS_MAX: usize = 10;
/// Files with a function that takes it, which is a method of it in disguise: names to listen on are
/// looked up by turns of a reactor that has no listener.
const HUB_TAKEN_IN: &[&str] = &["src/reactor/listen_names.rs"];

/// For each type, by the file that defines it: the file of each of its methods.
type Methods<'a> = BTreeMap<(&'a str, &'a str), Vec<&'a str>>;

pub fn types(sources: &[Source]) -> Vec<String> {
    let code: Vec<(&str, String)> = sources
        .iter()
        .filter(|source| source.is_rust() && source.is_in(&["src/"]))
        .map(|source| (source.path.as_str(), source.production()))
        .collect();
    let files: Vec<(&str, Vec<Token>)> =
        code.iter().map(|(path, code)| (*path, tokens(code))).collect();
    let simulator: Vec<(&str, Vec<Token>)> = sources
        .iter()
        .filter(|source| source.is_rust() && source.is_in(&["tests/sim/"]))
        .map(|source| (source.path.as_str(), tokens(&source.code)))
        .collect();
    let of_simulator = too_many_methods(&methods(&simulator), SIMULATOR_METHODS_MAX, &[]);
    let methods = methods(&files);
    let of_program = too_many_methods(&methods, METHODS_MAX, METHODS_TODAY);
    [of_program, of_simulator, too_many_files(&methods, HUB_FILES_MAX), hub(&files, &methods)]
        .concat()
}

fn too_many_methods(methods: &Methods, limit: usize, today: &[(&str, &str, usize)]) -> Vec<String> {
    let mut findings = Vec::new();
    for (&(path, name), found) in methods {
        let count = found.len();
        let known = today.iter().find(|known| (known.0, known.1) == (path, name));
        let most = known.map_or(limit, |known| known.2);
        if count > most {
            findings.push(format!(
                "{path}:1: {name} has {count} methods, {most} at most: give a part of its fields \
                 a type of their own instead"
            ));
        }
        if known.is_some() && (count < most || count <= limit) {
            findings.push(format!(
                "{path}:1: {name} has {count} methods, {most} in METHODS_TODAY: write {count} \
                 instead, or take it out where that is at most {limit}"
            ));
        }
    }
    for (path, name, _) in today.iter().filter(|known| !methods.contains_key(&(known.0, known.1))) {
        findings.push(format!("{path}:1: no {name} here: take it out of METHODS_TODAY instead"));
    }
    findings
}

fn too_many_files(methods: &Methods, most: usize) -> Vec<String> {
    let mut findings = Vec::new();
    for ((path, _), found) in methods.iter().filter(|((_, name), _)| *name == HUB) {
        let files: BTreeSet<&str> = found.iter().copied().collect();
        if files.len() > most {
            findings.push(format!(
                "{path}:1: {HUB} has methods in {} files, {most} at most: put them into the part \
                 that owns the fields instead",
                files.len()
            ));
        }
        if most > 2 && files.len() < most {
            findings.push(format!(
                "{path}:1: {HUB} has methods in {} files: write that into HUB_FILES_MAX instead",
                files.len()
            ));
        }
    }
    findings
}

/// What else may not grow about the hub.
fn hub(files: &[(&str, Vec<Token>)], methods: &Methods) -> Vec<String> {
    let mut findings = Vec::new();
    for ((path, _), found) in methods.iter().filter(|((_, name), _)| *name == HUB) {
        if found.len() > HUB_METHODS_MAX {
            findings.push(format!(
                "{path}:1: {HUB} has {} methods, {HUB_METHODS_MAX} at most: give them to the part \
                 that owns the fields instead",
                found.len()
            ));
        }
    }
    for (path, tokens) in files {
        let fields = fields_of_hub(tokens);
        if fields > HUB_FIELDS_MAX {
            findings.push(format!(
                "{path}:1: {HUB} has {fields} fields, {HUB_FIELDS_MAX} at most: give them to a \
                 part instead"
            ));
        }
        let takes = tokens
            .windows(3)
            .any(|three| [three[0].text, three[1].text, three[2].text] == ["&", "mut", HUB]);
        if takes != HUB_TAKEN_IN.contains(path) {
            findings.push(format!(
                "{path}:1: `&mut {HUB}` as an argument is {}: take the part that is meant instead, \
                 or bring HUB_TAKEN_IN in line",
                if takes { "here" } else { "gone" }
            ));
        }
    }
    findings
}

/// The fields of `struct HUB { … }`: a colon each at depth one, not those of paths.
fn fields_of_hub(tokens: &[Token]) -> usize {
    let mut pairs = tokens.windows(2);
    let at = pairs.position(|pair| pair[0].text == "struct" && pair[1].text == HUB);
    let Some(at) = at else { return 0 };
    let open = at + tokens[at..].iter().take_while(|token| token.text != "{").count();
    let body = &tokens[open.min(tokens.len())..body_end(tokens, open)];
    let mut depth = 0_i32;
    let mut fields = 0;
    for (index, token) in body.iter().enumerate() {
        match token.text {
            "{" | "<" | "(" | "[" => depth += 1,
            "}" | ">" | ")" | "]" => depth -= 1,
            ":" => {
                let is_path = [index.wrapping_sub(1), index + 1]
                    .iter()
                    .any(|at| body.get(*at).is_some_and(|token| token.text == ":"));
                fields += usize::from(depth == 1 && !is_path);
            }
            _ => {}
        }
    }
    fields
}

fn methods<'a>(files: &[(&'a str, Vec<Token<'a>>)]) -> Methods<'a> {
    let mut definitions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (path, tokens) in files {
        for pair in tokens.windows(2) {
            if ["struct", "enum", "union", "trait"].contains(&pair[0].text) {
                definitions.entry(pair[1].text).or_default().push(path);
            }
        }
    }
    let mut methods: Methods = BTreeMap::new();
    for (path, tokens) in files {
        for (name, count) in implementations(tokens) {
            let defining = definitions.get(name).and_then(|paths| nearest(path, paths));
            let found = methods.entry((defining.unwrap_or(path), name)).or_default();
            found.extend(std::iter::repeat_n(*path, count));
        }
    }
    methods
}

/// The path that shares the most folders with this one, itself if it is among them.
fn nearest<'a>(path: &str, paths: &[&'a str]) -> Option<&'a str> {
    let shared = |other: &str| {
        let same = path.split('/').zip(other.split('/')).take_while(|(a, b)| a == b);
        same.count()
    };
    paths.iter().copied().max_by_key(|other| shared(other))
}

/// The type of each `impl` and the name of each `trait`, with the number of functions inside.
fn implementations<'a>(tokens: &[Token<'a>]) -> Vec<(&'a str, usize)> {
    let mut found = Vec::new();
    let mut at = 0;
    let mut is_item = true;
    while at < tokens.len() {
        let text = tokens[at].text;
        // Elsewhere `impl` is a type of an argument or a result.
        if is_item && (text == "impl" || text == "trait") {
            let body = at + tokens[at..].iter().take_while(|token| token.text != "{").count();
            let end = body_end(tokens, body);
            if let Some(name) = type_name(&tokens[at + 1..body]) {
                found.push((name, functions(&tokens[body.min(end)..end])));
            }
            at = end;
            continue;
        }
        is_item = ["}", ";", "]", "{", "pub", "unsafe", ")"].contains(&text);
        at += 1;
    }
    found
}

/// The token behind the brace that closes the one at `open`.
fn body_end(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.text {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    tokens.len()
}

/// Functions of a body, not those within them.
fn functions(body: &[Token]) -> usize {
    let (mut depth, mut count) = (0_usize, 0);
    for token in body {
        match token.text {
            "{" => depth += 1,
            "}" => depth -= 1,
            "fn" if depth == 1 => count += 1,
            _ => {}
        }
    }
    count
}

/// The last segment of the type that a header names, behind `for` where there is one.
fn type_name<'a>(header: &[Token<'a>]) -> Option<&'a str> {
    let mut depth = 0_i32;
    let (mut name, mut before) = (None, "");
    for token in header {
        match token.text {
            "<" => depth += 1,
            ">" if before != "-" => depth -= 1,
            "where" | ":" if depth == 0 => break,
            "for" if depth == 0 => name = None,
            "dyn" | "mut" | "const" => {}
            text if depth == 0 && before != "'" && text.chars().all(is_word) => name = Some(text),
            _ => {}
        }
        before = token.text;
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a check over files given by path and text.
    fn checked<R>(files: &[(&str, &str)], check: impl Fn(&Methods) -> R) -> R {
        let code: Vec<(&str, String)> = files
            .iter()
            .map(|(path, text)| (*path, Source::new(path, text).production()))
            .collect();
        let files: Vec<_> = code.iter().map(|(path, code)| (*path, tokens(code))).collect();
        check(&methods(&files))
    }

    fn counted(text: &str) -> Vec<(String, usize)> {
        let row = |((_, name), found): (&(&str, &str), &Vec<&str>)| (name.to_string(), found.len());
        checked(&[("src/a.rs", text)], |methods| methods.iter().map(row).collect())
    }

    /// The text of a type with that many methods.
    fn type_of(name: &str, count: usize) -> String {
        format!("struct {name};\nimpl {name} {{\n{}}}\n", "fn a() {}\n".repeat(count))
    }

    #[test]
    fn methods_are_counted_by_type() {
        for (text, want) in [
            ("impl A { fn b() {} pub fn c() { fn d() {} } }", &[("A", 2)][..]),
            ("impl<'a, N: Fn(u8) -> u8> A<'a, N> where N: B { fn b(); }", &[("A", 1)]),
            ("impl A { fn b() {} }\nimpl fmt::Debug for A { fn c() {} }", &[("A", 2)]),
            ("impl<T> From<B> for &mut dyn c::A { fn d(e: impl F) -> impl G {} }", &[("A", 1)]),
            ("pub trait A: B { fn c(); fn d() {} }\nunsafe impl A for E {}", &[("A", 2), ("E", 0)]),
            ("#[cfg(test)]\nmod t {\nimpl A { fn b() {} }\n}", &[]),
            ("fn a() -> impl B { c }\nfn d(e: fn(impl F)) {}", &[]),
        ] {
            let want: Vec<_> =
                want.iter().map(|(name, count)| (name.to_string(), *count)).collect();
            assert_eq!(counted(text), want, "{text}");
        }
    }

    #[test]
    fn methods_belong_to_the_nearest_type_of_that_name() {
        let files = [
            ("src/a/mod.rs", "struct A;"),
            ("src/a/b.rs", "impl A { fn c() {} }"),
            ("src/d/e.rs", "struct A;\nimpl A { fn f() {} fn g() {} }"),
        ];
        let found = checked(&files, |methods| {
            methods
                .iter()
                .map(|((path, _), found)| format!("{path} {}", found.len()))
                .collect::<Vec<_>>()
        });
        assert_eq!(found, ["src/a/mod.rs 1", "src/d/e.rs 2"]);
    }

    #[test]
    fn rule_too_many_methods() {
        let of = |count, today: &[(&str, &str, usize)]| {
            let text = type_of("A", count);
            let files = [("src/a.rs", &*text)];
            checked(&files, |methods| too_many_methods(methods, METHODS_MAX, today)).join("\n")
        };
        assert_eq!(of(METHODS_MAX, &[]), "");
        assert!(of(METHODS_MAX + 1, &[]).contains("a type of their own instead"));
        let today = METHODS_MAX + 10;
        assert_eq!(of(today, &[("src/a.rs", "A", today)]), "");
        assert!(of(today + 1, &[("src/a.rs", "A", today)]).contains("a type of their own instead"));
        assert!(of(today - 1, &[("src/a.rs", "A", today)]).contains("write 49 instead"));
        assert!(of(METHODS_MAX, &[("src/a.rs", "A", METHODS_MAX)]).contains("take it out"));
        assert!(
            of(1, &[("src/b.rs", "A", today)]).contains("take it out of METHODS_TODAY instead")
        );
    }

    #[test]
    fn rule_too_many_files() {
        let text = type_of(HUB, 1);
        let part = "impl Reactor { fn a() {} }";
        let files = [
            ("src/reactor/mod.rs", &*text),
            ("src/reactor/a.rs", part),
            ("src/reactor/b.rs", part),
        ];
        let of = |count: usize, most| {
            checked(&files[..count], |methods| too_many_files(methods, most)).join("\n")
        };
        assert_eq!(of(1, 2) + &of(2, 2) + &of(3, 3), "");
        assert!(of(3, 2).contains("the part that owns the fields instead"));
        assert!(of(2, 3).contains("write that into HUB_FILES_MAX instead"));
    }

    fn hub_of(path: &str, text: &str) -> String {
        let code = Source::new(path, text).production();
        let files = [(path, tokens(&code))];
        hub(&files, &methods(&files)).join("\n")
    }

    fn hub_with(fields: usize) -> String {
        let fields: String =
            (0..fields).map(|number| format!("pub(super) f{number}: a::B<C>,\n")).collect();
        format!("struct {HUB}<N: Net> {{\n{fields}}}\n")
    }

    #[test]
    fn rule_hub() {
        let path = "src/reactor/mod.rs";
        assert_eq!(hub_of(path, &hub_with(HUB_FIELDS_MAX)), "");
        assert!(hub_of(path, &hub_with(HUB_FIELDS_MAX + 1)).contains("11 fields"));
        assert_eq!(hub_of(path, &type_of(HUB, HUB_METHODS_MAX)), "");
        assert!(hub_of(path, &type_of(HUB, HUB_METHODS_MAX + 1)).contains("26 methods"));
        let taking = "fn f<N: Net>(reactor: &mut Reactor<N>) {}";
        assert!(hub_of("src/reactor/a.rs", taking).contains("take the part that is meant"));
        assert_eq!(hub_of("src/reactor/listen_names.rs", taking), "");
        assert!(
            hub_of("src/reactor/listen_names.rs", "fn f() {}")
                .contains("bring HUB_TAKEN_IN in line")
        );
        assert_eq!(hub_of("src/reactor/a.rs", "fn f(&mut self, reactor: &Reactor<N>) {}"), "");
    }
}
