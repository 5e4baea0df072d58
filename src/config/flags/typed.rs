//! The values that were typed, by flag. Pure.

use std::collections::BTreeMap;

use super::{Flag, Kind};

/// The values as typed but for the quotation marks and blanks around them, and unchecked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Typed {
    /// By the name of the flag; no entry is empty.
    values: BTreeMap<&'static str, Vec<String>>,
}

impl Typed {
    /// Every value of the flag in the order of the arguments, each possibly a list of its own;
    /// empty where the flag is absent. Of a flag that is not a list, the last value alone.
    pub fn all(&self, flag: &Flag) -> &[String] {
        self.values.get(flag.name).map_or(&[], Vec::as_slice)
    }

    /// The last value of the flag; `None` where the flag is absent. `true` where a boolean stood
    /// alone.
    pub fn last(&self, flag: &Flag) -> Option<&str> {
        self.all(flag).last().map(String::as_str)
    }

    /// Every value with its flag's name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let entries = self.values.iter();
        entries.flat_map(|(name, values)| values.iter().map(|value| (*name, value.as_str())))
    }
}

impl<T: Into<String>> FromIterator<(&'static Flag, T)> for Typed {
    /// Keeps the values in their order.
    fn from_iter<I: IntoIterator<Item = (&'static Flag, T)>>(items: I) -> Typed {
        let mut typed = Typed::default();
        for (flag, value) in items {
            let values = typed.values.entry(flag.name).or_default();
            if !matches!(flag.kind, Kind::List { .. }) {
                values.clear();
            }
            values.push(value.into());
        }
        typed
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ENDPOINTS, KEEPALIVE, RETRY_DELAY};
    use super::*;

    #[test]
    fn lists_grow_and_of_everything_else_the_last_counts() {
        let typed = Typed::from_iter([
            (&ENDPOINTS, "a:1"),
            (&KEEPALIVE, "1s"),
            (&ENDPOINTS, "b:2"),
            (&KEEPALIVE, "2s"),
        ]);
        assert_eq!(typed.all(&ENDPOINTS), ["a:1", "b:2"]);
        assert_eq!(typed.all(&KEEPALIVE), ["2s"]);
        assert_eq!(typed.last(&KEEPALIVE), Some("2s"));
        assert_eq!((typed.last(&RETRY_DELAY), typed.all(&RETRY_DELAY).len()), (None, 0));
        let all: Vec<_> = typed.iter().collect();
        assert_eq!(all, [("endpoints", "a:1"), ("endpoints", "b:2"), ("keepalive", "2s")]);
    }
}
