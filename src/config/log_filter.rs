//! What RUST_LOG says, as `env_logger` reads it: a level, `module=level`, several by comma, and
//! `/text` behind them. Pure.
//!
//! `env_logger` itself takes a word that is no level for a module, and is silent about it.

use log::LevelFilter;

/// The crate whose modules a word may name.
const CRATE: &str = "etcd_gateway";

/// The reason of a part that is neither a level nor a module: one of these was meant.
pub const UNKNOWN_LEVEL: &str = "unknown_level";
/// All levels.
pub const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// What counts of the variable, and what does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogFilter {
    /// For `env_logger`.
    pub directives: String,
    /// The parts that name neither a level nor a module of ours.
    pub ignored: Vec<String>,
}

/// Takes the text apart.
pub fn parse(text: &str) -> LogFilter {
    let (directives, pattern) = match text.split_once('/') {
        Some((_, pattern)) if pattern.contains('/') => {
            return LogFilter { ignored: vec![text.to_owned()], ..LogFilter::default() };
        }
        Some((directives, pattern)) => (directives, Some(pattern)),
        None => (text, None),
    };
    let items = directives.split(',').map(str::trim).filter(|item| !item.is_empty());
    let (known, unknown): (Vec<&str>, Vec<&str>) = items.partition(|item| is_directive(item));
    let pattern = pattern.map(|pattern| format!("/{pattern}")).unwrap_or_default();
    LogFilter {
        directives: known.join(",") + &pattern,
        ignored: unknown.into_iter().map(str::to_owned).collect(),
    }
}

/// Why a part is ignored.
pub fn reason(ignored: &str) -> &'static str {
    match ignored.contains('/') {
        true => "more_than_one_slash",
        false => UNKNOWN_LEVEL,
    }
}

fn is_directive(item: &str) -> bool {
    let is_level = |text: &str| text.trim().parse::<LevelFilter>().is_ok();
    match item.split_once('=') {
        // Other programs' modules may be named in a variable that many share.
        Some((_module, level)) => level.trim().is_empty() || is_level(level),
        // `env_logger` compares the beginning of a module's path.
        None => is_level(item) || CRATE.starts_with(item) || item.split("::").next() == Some(CRATE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, directives: &str, ignored: &[&str]) {
        let ignored = ignored.iter().map(|item| (*item).to_owned()).collect();
        assert_eq!(parse(text), LogFilter { directives: directives.to_owned(), ignored }, "{text}");
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
    fn a_word_that_is_no_level_does_not() {
        check("verbose", "", &["verbose"]);
        check("warn,verbose", "warn", &["verbose"]);
        check("5", "", &["5"]);
        check("etcd_gateway=loud,debug", "debug", &["etcd_gateway=loud"]);
        check("etcd_gateway=debug=trace", "", &["etcd_gateway=debug=trace"]);
        check("etcd_gateways", "", &["etcd_gateways"]);
        check("debug/a/b", "", &["debug/a/b"]);
    }

    /// A level has more than one way to be written, and those of `env_logger` are those of `log`.
    #[test]
    fn all_levels_are_known() {
        for level in LevelFilter::iter() {
            check(&level.to_string(), &level.to_string(), &[]);
        }
    }
}
