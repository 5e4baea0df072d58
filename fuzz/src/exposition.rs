//! A reader of metrics in either text format, strict and slow, by the words of their documents.
//!
//! It refuses whatever it does not know, also where the formats would allow it. It must not call
//! the product.

use std::collections::{BTreeMap, BTreeSet};

/// One family, with its samples in their order.
pub struct Family {
    /// As its headers have it.
    pub name: String,
    /// As its headers have it.
    pub kind: String,
    pub samples: Vec<Sample>,
}

/// One line.
pub struct Sample {
    /// With its suffix.
    pub name: String,
    pub labels: BTreeMap<String, String>,
    /// As it is written.
    pub value: String,
}

impl Family {
    /// The sum of all samples, which are whole numbers.
    pub fn sum(&self) -> u64 {
        self.samples.iter().map(|sample| sample.value.parse::<u64>().expect("whole")).sum()
    }
}

/// Reads an answer.
///
/// # Panics
/// When it is not in the format.
pub fn read(text: &str, is_openmetrics: bool) -> Vec<Family> {
    let text = if is_openmetrics {
        text.strip_suffix("# EOF\n").expect("the last line is # EOF")
    } else {
        text
    };
    assert!(text.ends_with('\n') && !text.contains("\n\n"), "lines end, and none is empty");
    let mut families: Vec<Family> = Vec::new();
    let mut lines = text[..text.len() - 1].split('\n').peekable();
    while let Some(line) = lines.next() {
        let help = line.strip_prefix("# HELP ").unwrap_or_else(|| panic!("no header: {line:?}"));
        let (name, help) = help.split_once(' ').expect("a name and a text");
        assert!(is_name(name) && !help.contains(['\\', '"']), "{line:?}");
        let kind = lines.next().and_then(|line| line.strip_prefix("# TYPE "));
        let kind = kind.and_then(|line| line.strip_prefix(name)).expect("its type is next");
        let kind = kind.strip_prefix(' ').expect("a blank").to_owned();
        if let Some(unit) = lines.next_if(|line| line.starts_with("# UNIT ")) {
            let (of, unit) = unit["# UNIT ".len()..].split_once(' ').expect("a name and a unit");
            assert!(is_openmetrics && of == name && name.ends_with(&format!("_{unit}")));
        }
        let mut samples = Vec::new();
        while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
            samples.push(sample(line));
        }
        families.push(Family { name: name.to_owned(), kind, samples });
    }
    check_names(&families, is_openmetrics);
    families
}

/// Each family comes in one stretch, each of its series once, and samples have its name.
fn check_names(families: &[Family], is_openmetrics: bool) {
    let names: BTreeSet<&str> = families.iter().map(|family| family.name.as_str()).collect();
    assert_eq!(names.len(), families.len(), "a family comes twice");
    for Family { name, kind, samples } in families {
        let suffixes: &[&str] = match (kind.as_str(), is_openmetrics) {
            ("gauge", _) => &[""],
            ("counter", false) => &[""],
            ("counter", true) => &["_total"],
            ("info", true) => &["_info"],
            ("histogram", _) => &["_bucket", "_sum", "_count"],
            other => panic!("an unknown type: {other:?}"),
        };
        assert_eq!(!is_openmetrics && kind == "counter", !is_openmetrics && is_total(name));
        let mut series = BTreeSet::new();
        for sample in samples {
            let suffix = sample.name.strip_prefix(name.as_str()).expect("the name of its family");
            assert!(suffixes.contains(&suffix), "{}", sample.name);
            assert!(series.insert((suffix, &sample.labels)), "twice: {name} {:?}", sample.labels);
        }
        if kind == "histogram" {
            check_histogram(samples);
        }
    }
}

fn is_total(name: &str) -> bool {
    name.ends_with("_total")
}

/// Bounds ascend, counts do not fall, and the last of them is the count of all.
fn check_histogram(samples: &[Sample]) {
    let [buckets @ .., sum, count] = samples else { panic!("no sum and count") };
    let mut before = (-1.0, 0);
    for bucket in buckets {
        assert!(bucket.name.ends_with("_bucket") && bucket.labels.len() == 1);
        let bound = bucket.labels["le"].parse::<f64>().expect("a number");
        let count: u64 = bucket.value.parse().expect("a whole number");
        assert!(bound > before.0 && count >= before.1, "{}: {bound} {count}", bucket.name);
        before = (bound, count);
    }
    assert_eq!(before.0, f64::INFINITY, "the last bucket has all");
    assert_eq!(count.value.parse(), Ok(before.1));
    assert!(count.name.ends_with("_count") && sum.name.ends_with("_sum"));
}

fn sample(line: &str) -> Sample {
    let end = line.find(['{', ' ']).expect("a value");
    let (name, rest) = line.split_at(end);
    assert!(is_name(name), "{line:?}");
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest),
        None => (BTreeMap::new(), rest),
    };
    let value = rest.strip_prefix(' ').expect("a blank");
    let (whole, fraction) = value.split_once('.').unwrap_or((value, "0"));
    for digits in [whole, fraction] {
        assert!(!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()), "{line:?}");
    }
    Sample { name: name.to_owned(), labels, value: value.to_owned() }
}

/// Reads labels up to the closing brace, and returns what is behind it.
fn labels(mut rest: &str) -> (BTreeMap<String, String>, &str) {
    let mut labels = BTreeMap::new();
    loop {
        let (name, behind) = rest.split_once("=\"").expect("a label");
        assert!(is_name(name) && !name.contains(':'), "{name:?}");
        let mut value = String::new();
        let mut characters = behind.char_indices();
        let end = loop {
            match characters.next().expect("a closing quote") {
                (end, '"') => break end,
                (_, '\\') => value.push(match characters.next() {
                    Some((_, 'n')) => '\n',
                    Some((_, escaped @ ('"' | '\\'))) => escaped,
                    other => panic!("not an escape: {other:?}"),
                }),
                (_, character) => value.push(character),
            }
        };
        assert!(labels.insert(name.to_owned(), value).is_none(), "a label comes twice");
        let behind = &behind[end + 1..];
        match behind.strip_prefix(',') {
            Some(next) => rest = next,
            None => return (labels, behind.strip_prefix('}').expect("a closing brace")),
        }
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(is_first) && text.chars().all(|c| is_first(c) || c.is_ascii_digit())
}

fn is_first(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || c == ':'
}
