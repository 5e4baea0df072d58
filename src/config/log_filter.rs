//! The value of RUST_LOG, as `env_logger` reads it: a level, `target=level`, several by comma, and
//! `/text` after them. Pure.
//!
//! `env_logger` itself takes a word that is not a level for a target, and is silent about it, as it
//! is about a target that no line has.

use std::fmt;

use log::LevelFilter;

/// The beginning of all targets of this program.
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
    /// It names neither a level nor a target of this program.
    UnknownLevel,
    /// It names a target of this program that no line has.
    UnknownTarget,
    /// `/text` is there more than once, which makes `env_logger` ignore the whole variable.
    MoreThanOneSlash,
}

impl IgnoredReason {
    /// The levels there are, where one of them was probably meant; otherwise none.
    pub fn levels(self) -> &'static [&'static str] {
        match self {
            IgnoredReason::UnknownLevel => LEVELS,
            IgnoredReason::UnknownTarget | IgnoredReason::MoreThanOneSlash => &[],
        }
    }
}

impl fmt::Display for IgnoredReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            IgnoredReason::UnknownLevel => "unknown_level",
            IgnoredReason::UnknownTarget => "unknown_target",
            IgnoredReason::MoreThanOneSlash => "more_than_one_slash",
        })
    }
}

/// Splits the variable's value, for a program whose lines have these `targets`.
pub fn parse(text: &str, targets: &[&str]) -> LogFilter {
    let (directives, pattern) = match text.split_once('/') {
        Some((_, pattern)) if pattern.contains('/') => {
            let reason = IgnoredReason::MoreThanOneSlash;
            let ignored = vec![Ignored { part: text.to_owned(), reason }];
            return LogFilter { directives: String::new(), ignored };
        }
        Some((directives, pattern)) => (directives, Some(pattern)),
        None => (text, None),
    };
    let (mut known, mut ignored) = (Vec::new(), Vec::new());
    for item in directives.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        match check(item, targets) {
            Ok(()) => known.push(item),
            Err(reason) => ignored.push(Ignored { part: item.to_owned(), reason }),
        }
    }
    let pattern = pattern.map(|pattern| format!("/{pattern}")).unwrap_or_default();
    LogFilter { directives: known.join(",") + &pattern, ignored }
}

/// Checks that a directive may have an effect.
fn check(item: &str, targets: &[&str]) -> Result<(), IgnoredReason> {
    let (target, level) = item.split_once('=').unwrap_or((item, ""));
    let (target, is_typed_level) = (target.trim(), item.contains('='));
    // `env_logger` compares the beginning of a target.
    let names_target = targets.iter().any(|known| known.starts_with(target));
    if !level.trim().is_empty() && !is_level(level) {
        Err(IgnoredReason::UnknownLevel)
    } else if names_target || !is_typed_level && is_level(item) {
        Ok(())
    } else if is_own(target) {
        Err(IgnoredReason::UnknownTarget)
    } else if is_typed_level {
        // A variable that many programs share may name targets of another one.
        Ok(())
    } else {
        Err(IgnoredReason::UnknownLevel)
    }
}

/// Whether a target of this program is meant, be it with another case or the hyphen of its name.
fn is_own(target: &str) -> bool {
    let first = target.split("::").next().unwrap_or_default();
    first.replace('-', "_").eq_ignore_ascii_case(CRATE)
}

fn is_level(text: &str) -> bool {
    text.trim().parse::<LevelFilter>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGETS: &[&str] = &["etcd_gateway::relay", "etcd_gateway::listen"];

    #[track_caller]
    fn check(text: &str, directives: &str, unknown: &[&str]) {
        check_reason(text, directives, unknown, IgnoredReason::UnknownLevel);
    }

    #[track_caller]
    fn check_reason(text: &str, directives: &str, unknown: &[&str], reason: IgnoredReason) {
        let ignored = unknown.iter().map(|part| Ignored { part: (*part).to_owned(), reason });
        let want = LogFilter { directives: directives.to_owned(), ignored: ignored.collect() };
        assert_eq!(parse(text, TARGETS), want, "{text}");
    }

    #[test]
    fn levels_and_targets_count() {
        check("", "", &[]);
        check("debug", "debug", &[]);
        check(" WARN ,", "WARN", &[]);
        check("info,etcd_gateway::relay=trace", "info,etcd_gateway::relay=trace", &[]);
        check("etcd_gateway::re,etcd_gateway::=off", "etcd_gateway::re,etcd_gateway::=off", &[]);
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

    /// Those of another program may be in effect there.
    #[test]
    fn a_target_that_no_line_has_does_not_count() {
        let reason = IgnoredReason::UnknownTarget;
        for part in [
            "etcd_gateway::reactor::pipes=debug",
            "etcd_gateway::relay::pump=debug",
            "etcd_gateway::relays",
            "etcd_gateway::discovery=",
            "etcd-gateway=debug",
            "ETCD_GATEWAY::relay=debug",
        ] {
            check_reason(part, "", &[part], reason);
            check_reason(&format!("warn,{part}"), "warn", &[part], reason);
        }
        check("etcd_gateways::relay=debug", "etcd_gateways::relay=debug", &[]);
        check_reason(
            "etcd_gateway::x=loud",
            "",
            &["etcd_gateway::x=loud"],
            IgnoredReason::UnknownLevel,
        );
    }

    #[test]
    fn a_second_slash_leaves_nothing_in_effect() {
        let reason = IgnoredReason::MoreThanOneSlash;
        for part in ["debug/a/b", "verbose/a/b", "//"] {
            let ignored = vec![Ignored { part: part.to_owned(), reason }];
            assert_eq!(parse(part, TARGETS), LogFilter { directives: String::new(), ignored });
        }
    }

    #[test]
    fn reasons_are_words() {
        assert_eq!(IgnoredReason::UnknownLevel.to_string(), "unknown_level");
        assert_eq!(IgnoredReason::UnknownTarget.to_string(), "unknown_target");
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
