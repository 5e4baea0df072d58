//! What a rule finds, and the two ways in which every rule is tried.

use crate::source::Source;

pub type Rule = fn(&Source) -> Vec<Finding>;

pub struct Finding {
    pub line: usize,
    pub message: String,
}

pub fn finding(line: usize, message: impl Into<String>) -> Finding {
    Finding { line, message: message.into() }
}

/// The rule finds exactly one thing in `text`, on that line, and names the way out.
pub fn fires(rule: Rule, path: &str, text: &str, line: usize, instead: &str) {
    let findings = rule(&Source::new(path, text));
    assert_eq!(findings.len(), 1, "{path}: {text}");
    assert_eq!(findings[0].line, line, "{path}: {text}");
    let message = &findings[0].message;
    assert!(message.contains(instead) && message.contains("instead"), "{message}");
}

pub fn keeps_still(rule: Rule, path: &str, text: &str) {
    let findings = rule(&Source::new(path, text));
    let first = findings.first().map_or("", |finding| &finding.message);
    assert!(findings.is_empty(), "{path}: {text}: {first}");
}
