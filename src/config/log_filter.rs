//! The value of RUST_LOG, as `env_logger` reads it: a level, `module=level`, several by comma, and
//! `/text` after them. Pure.
//!
//! `env_logger` itself takes a word that is not a level for a module, and is silent about it.

use std::fmt;

use log::LevelFilter;

/// The crate whose modules a word may name.
const CRATE: &str = "etcd_gateway";

/// All levels.
const LEVELS: &[&str] = &["off", "error", "warn", "info", "debug", "trace"];

/// The parts of the variable that have an effect, and those that have none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogFilter {
    /// For `env_logger`.
    pub directives: String,
    /// The parts without effect.
    pub ignored: Vec<Ignored>,
}

/// A part of the variable that has no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignored {
    /// The part as it was written.
    pub part: String,
    /// Why it has no effect.
    pub reason: IgnoredReason,
}

/// Why a part of the variable has no effect. Displays as one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IgnoredReason {
    /// It names neither a level nor a module of this program.
    UnknownLevel,
    /// `/text` is there more than once, which makes `env_logger` ignore the whole variable.
    MoreThanOneSlash,
}

impl IgnoredReason {
    /// The levels there are, where one of them was probably meant; otherwise none.
    pub fn levels(self) -> &'static [&'static str] {
        match self {
            IgnoredReason::UnknownLevel => LEVELS,
            IgnoredReason::MoreThanOneSlash => &[],
        }
    }
}

impl fmt::Display for IgnoredReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            IgnoredReason::UnknownLevel => "unknown_level",
            IgnoredReason::MoreThanOneSlash => "more_than_one_slash",
        })
    }
}

/// Splits the variable's value.
pub fn parse(text: &str) -> LogFilter {
    let (directives, pattern) = match text.split_once('/') {
        Some((_, pattern)) if pattern.contains('/') => {
            let reason = IgnoredReason::MoreThanOneSlash;
            let ignored = vec![Ignored { part: text.to_owned(), reason }];
            return LogFilter { directives: String::new(), ignored };
        }
        Some((directives, pattern)) => (directives, Some(pattern)),
        None => (text, None),
    };
    let items = directives.split(',').map(str::trim).filter(|item| !item.is_empty());
    let (known, unknown): (Vec<&str>, Vec<&str>) = items.partition(|item| is_directive(item));
    let pattern = pattern.map(|pattern| format!("/{pattern}")).unwrap_or_default();
    let reason = IgnoredReason::UnknownLevel;
    let ignored = unknown.into_iter().map(|part| Ignored { part: part.to_owned(), reason });
    LogFilter { directives: known.join(",") + &pattern, ignored: ignored.collect() }
}

fn is_directive(item: &str) -> bool {
    match item.split_once('=') {
        // A variable that many programs share may name modules of another one.
        Some((_module, level)) => level.trim().is_empty() || is_level(level),
        // `env_logger` compares the beginning of a module's path.
        None => is_level(item) || CRATE.starts_with(item) || item.split("::").next() == Some(CRATE),
    }
}

fn is_level(text: &str) -> bool {
    text.trim().parse::<LevelFilter>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, directives: &str, unknown: &[&str]) {
        let reason = IgnoredReason::UnknownLevel;
        let ignored = unknown.iter().map(|part| Ignored { part: (*part).to_owned(), reason });
        let want = LogFilter { directives: directives.to_owned(), ignored: ignored.collect() };
        assert_eq!(parse(text), want, "{text}");
    }

    #[test]
    fn levels_and_modules_count() {
        check("", "", &[]);
        check("debug", "debug", &[]);
        check(" WARN ,", "WARN", &[]);
        check("info,etcd_gateway::reactor=trace", "info,etcd_gateway::reactor=trace", &[]);
        check("hyper=debug,etcd_gateway", "hyper=debug,etcd_gateway", &[]);
        check("etcd_gateway=", "etcd_gateway=", &[]);
        check("etcd", "etcd", &[]);
        check("debug/endpoint", "debug/endpoint", &[]);
    }

    #[test]
    fn a_word_that_is_not_a_level_does_not() {
        check("verbose", "", &["verbose"]);
        check("warn,verbose", "warn", &["verbose"]);
        check("5", "", &["5"]);
        check("etcd_gateway=loud,debug", "debug", &["etcd_gateway=loud"]);
        check("etcd_gateway=debug=trace", "", &["etcd_gateway=debug=trace"]);
        check("etcd_gateways", "", &["etcd_gateways"]);
    }

    #[test]
    fn a_second_slash_leaves_nothing_in_effect() {
        let reason = IgnoredReason::MoreThanOneSlash;
        for part in ["debug/a/b", "verbose/a/b", "//"] {
            let ignored = vec![Ignored { part: part.to_owned(), reason }];
            assert_eq!(parse(part), LogFilter { directives: String::new(), ignored });
        }
    }

    #[test]
    fn reasons_are_words() {
        assert_eq!(IgnoredReason::UnknownLevel.to_string(), "unknown_level");
        assert_eq!(IgnoredReason::MoreThanOneSlash.to_string(), "more_than_one_slash");
        assert_eq!(IgnoredReason::MoreThanOneSlash.levels(), [""; 0]);
    }

    /// A level has more than one way to be written, and those of `env_logger` are those of `log`.
    #[test]
    fn all_levels_are_known() {
        for level in LevelFilter::iter() {
            check(&level.to_string(), &level.to_string(), &[]);
        }
        let names: Vec<String> =
            LevelFilter::iter().map(|level| level.to_string().to_lowercase()).collect();
        assert_eq!(names, IgnoredReason::UnknownLevel.levels());
    }
}
