//! Domain names: from text, joined, compared, shown.
//!
//! Owns the limits of a name (RFC 1035, 2.3.4) and its form as text. Which names are asked for is
//! decided in `search.rs`; names inside a message are read in `message.rs`.

use std::fmt;

/// Longest name in octets as encoded in a message, with the root label (RFC 1035, 2.3.4).
const NAME_OCTETS_MAX: usize = 255;

/// An absolute domain name, compared and hashed without regard to ASCII case (RFC 4343).
///
/// Shown without the trailing dot, the root as `.`. What is not printable ASCII is escaped as in a
/// zone file (RFC 1035, 5.1), so that every name is one plain line, also one of an attacker.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(pub(super) domain::base::Name<Vec<u8>>);

impl Name {
    /// Reads a host name, with or without a trailing dot; `.` is the root. There are no escapes:
    /// a backslash is a backslash.
    ///
    /// `None` if the text or a label is empty, a label is longer than 63 octets, or the whole is
    /// longer than the 255 that a message has room for (RFC 1035, 2.3.4).
    pub fn from_text(text: &str) -> Option<Name> {
        Name::from_bytes(text.as_bytes())
    }

    /// As [`Name::from_text`], for text of a file, which may not be UTF-8.
    pub(super) fn from_bytes(text: &[u8]) -> Option<Name> {
        if text == b"." {
            return Name::from_wire(vec![0]);
        }
        let text = text.strip_suffix(b".").unwrap_or(text);
        let mut wire = Vec::new();
        for label in text.split(|byte| *byte == b'.') {
            // Not read to its end if it is too long in any case.
            if wire.len() > NAME_OCTETS_MAX {
                return None;
            }
            wire.push(u8::try_from(label.len()).ok()?);
            wire.extend_from_slice(label);
        }
        wire.push(0);
        debug_assert_eq!(wire.len(), text.len() + 2, "each dot, and the beginning, is a length");
        Name::from_wire(wire)
    }

    /// This name with `suffix` appended: `a` and `b.c` make `a.b.c`. `None` if that is too long.
    pub fn join(&self, suffix: &Name) -> Option<Name> {
        let own = self.0.as_slice();
        debug_assert_eq!(own.last(), Some(&0), "even the root has its label");
        let without_root = &own[..own.len() - 1];
        let joined = Name::from_wire([without_root, suffix.0.as_slice()].concat());
        debug_assert!(
            joined.as_ref().is_none_or(|name| name.0.len() == own.len() + suffix.0.len() - 1),
            "octets were lost"
        );
        let is_root = joined.as_ref().is_some_and(Name::is_root);
        debug_assert!(!is_root || (self.is_root() && suffix.is_root()), "a label was lost");
        joined
    }

    /// Whether this is the root, the name without a label.
    pub fn is_root(&self) -> bool {
        self.0.is_root()
    }

    /// A name as encoded in a message; `None` if a length is over its limit.
    fn from_wire(wire: Vec<u8>) -> Option<Name> {
        let name = domain::base::Name::from_octets(wire).ok().map(Name)?;
        let wire = name.0.as_slice();
        debug_assert!(wire.len() <= NAME_OCTETS_MAX, "no message has room for it");
        debug_assert_eq!(wire.last(), Some(&0), "a name ends with the root");
        Some(name)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[track_caller]
    fn name(text: &str) -> Name {
        Name::from_text(text).expect(text)
    }

    #[test]
    fn text_becomes_a_name() {
        for (text, want) in [
            ("a.b", "a.b"),
            ("a.b.", "a.b"),
            ("A.b", "A.b"),
            ("_etcd-server._tcp.example.com", "_etcd-server._tcp.example.com"),
            (".", "."),
            ("a\\.b", "a\\\\.b"),
            ("a b", "a\\ b"),
            ("a\nb\u{202e}", "a\\010b\\226\\128\\174"),
        ] {
            assert_eq!(name(text).to_string(), want, "{text:?}");
            assert_eq!(name(text).is_root(), text == ".");
        }
        assert_eq!(name("a\\.b").0.as_slice(), b"\x02a\\\x01b\x00");
        assert_eq!(format!("{:?}", name("a.b")), "Name(a.b.)");
    }

    #[test]
    fn lengths_have_limits() {
        let label = "a".repeat(63);
        let longest = format!("{label}.{label}.{label}.{}", "a".repeat(61));
        assert_eq!(name(&longest).0.len(), 255);
        assert_eq!(name(&format!("{longest}.")), name(&longest));
        let long_label = "a".repeat(64);
        let endless = "a".repeat(1 << 20);
        let many = "a.".repeat(1 << 20);
        for text in
            ["", "..", "a..b", ".a", "a..", &long_label, &endless, &many, &format!("{longest}a")]
        {
            assert_eq!(Name::from_text(text), None, "{:.20}", text);
        }
    }

    #[test]
    fn names_join() {
        assert_eq!(name("a").join(&name("b.c")), Some(name("a.b.c")));
        assert_eq!(name("a").join(&name(".")), Some(name("a")));
        assert_eq!(name(".").join(&name("a")), Some(name("a")));
        let label = "a".repeat(63);
        let long = name(&format!("{label}.{label}.{label}"));
        let rest = "b".repeat(61);
        assert_eq!(long.join(&name(&rest)).expect("it fits").0.len(), 255);
        assert_eq!(long.join(&name(&format!("{rest}b"))), None);
    }

    #[test]
    fn case_makes_no_difference() {
        assert_eq!(name("a.Example"), name("A.eXAMPLE."));
        assert_ne!(name("a.b"), name("a.c"));
        assert_ne!(name("a.b"), name("ab"));
        let set = HashSet::from([name("a.Example"), name("A.example"), name("É"), name("é")]);
        assert_eq!(set.len(), 3, "{set:?}");
    }
}
