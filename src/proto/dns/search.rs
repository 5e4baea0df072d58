//! The full names that a typed name may stand for: the search list of resolv.conf(5).
//!
//! Owns the order of the names to ask for. Which server is asked, and when the next name has its
//! turn, is decided elsewhere.

use super::name::Name;
use super::resolv_conf::ResolvConf;

/// The absolute names that `name` may stand for, in the order in which to ask, each once.
///
/// As in resolv.conf(5), a name with a trailing dot is itself alone. One with at least
/// [`ResolvConf::dots_min`] dots is asked for as typed and then with each suffix of the search
/// list; any other with each suffix and then as typed, but for one without a dot where
/// [`ResolvConf::no_tld_query`] says so and there is a suffix. A suffix that makes a name too long
/// is skipped. Nothing remains if `name` itself cannot be a name.
pub fn candidates(name: &str, configuration: &ResolvConf) -> Vec<Name> {
    let Some(own) = Name::from_text(name) else { return Vec::new() };
    if name.ends_with('.') {
        return vec![own];
    }
    let dots = name.bytes().filter(|byte| *byte == b'.').count();
    let is_first = dots >= usize::from(configuration.dots_min);
    let searched = configuration.search.iter().filter_map(|suffix| own.join(suffix));
    let is_never = configuration.no_tld_query && dots == 0 && !configuration.search.is_empty();
    let before = is_first.then_some(&own).cloned();
    let after = (!is_first && !is_never).then_some(&own).cloned();

    let mut candidates = Vec::with_capacity(configuration.search.len() + 1);
    for candidate in before.into_iter().chain(searched).chain(after) {
        if !candidates.contains(&candidate) {
            candidates.push(candidate);
        }
    }
    debug_assert!(candidates.len() <= configuration.search.len() + 1);
    debug_assert!(is_never || candidates.contains(&own), "the name as typed is forgotten");
    debug_assert!(!is_first || candidates.first() == Some(&own), "not in the order of the file");
    candidates
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::dns::resolv_conf::parse;

    #[track_caller]
    fn check(name: &str, resolv_conf: &str, want: &[&str]) {
        let configuration = parse(resolv_conf.as_bytes(), "host", |_| None);
        let found = candidates(name, &configuration);
        let found: Vec<String> = found.iter().map(Name::to_string).collect();
        assert_eq!(found, want, "{name}: {resolv_conf}");
    }

    #[test]
    fn few_dots_are_searched_first() {
        check("a", "search b.c d", &["a.b.c", "a.d", "a"]);
        check("a.b", "search c\noptions ndots:2", &["a.b.c", "a.b"]);
        check("a", "", &["a"]);
    }

    #[test]
    fn enough_dots_are_taken_as_typed_first() {
        check("a.b", "search b.c d", &["a.b", "a.b.b.c", "a.b.d"]);
        check("a", "search b\noptions ndots:0", &["a", "a.b"]);
        check("a.b.c", "search d\noptions ndots:2", &["a.b.c", "a.b.c.d"]);
    }

    #[test]
    fn top_level_names_may_be_unwanted() {
        check("a", "search b\noptions no-tld-query", &["a.b"]);
        check("a.b", "search c\noptions no-tld-query ndots:2", &["a.b.c", "a.b"]);
        check("a", "options no-tld-query", &["a"]);
        check("a", "search b .\noptions no-tld-query", &["a.b", "a"]);
        check("a", "search b\noptions no-tld-query ndots:0", &["a", "a.b"]);
        check("a.", "search b\noptions no-tld-query", &["a"]);
    }

    #[test]
    fn a_trailing_dot_ends_the_matter() {
        check("a.", "search b\noptions ndots:5", &["a"]);
        check("a.b.", "search c", &["a.b"]);
        check(".", "search c", &["."]);
    }

    #[test]
    fn each_is_asked_once() {
        check("a", "search b B b.", &["a.b", "a"]);
        check("a", "search . b", &["a", "a.b"]);
        check("a.b", "search .", &["a.b"]);
    }

    #[test]
    fn impossible_names_are_skipped() {
        let label = "a".repeat(63);
        let long = format!("{label}.{label}.{label}");
        let search = format!("search {label} b");
        check(&long, &search, &[&long, &format!("{long}.b")]);
        for name in ["", "..", "a..b", ".a", &"a".repeat(64)] {
            check(name, "search b", &[]);
        }
    }
}
