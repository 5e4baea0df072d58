//! The scheme of an endpoint's URL: whether its server speaks TLS.
//!
//! A leaf that every layer may import. Clients are relayed alike whatever the scheme is; it counts
//! for connections of our own.

use std::fmt;

/// The scheme of a URL (RFC 9110, section 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// HTTP over TCP.
    Http,
    /// HTTP over TLS.
    Https,
}

impl Scheme {
    /// The scheme of that name, in letters of any case (RFC 3986, section 3.1); `None` for another
    /// one.
    pub fn of(name: &str) -> Option<Scheme> {
        [Scheme::Http, Scheme::Https].into_iter().find(|of| name.eq_ignore_ascii_case(of.name()))
    }

    fn name(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes_are_known_by_their_names() {
        for (name, want) in [
            ("http", Some(Scheme::Http)),
            ("HTTP", Some(Scheme::Http)),
            ("https", Some(Scheme::Https)),
            ("HttpS", Some(Scheme::Https)),
            ("httpss", None),
            ("unix", None),
            ("", None),
        ] {
            assert_eq!(Scheme::of(name), want, "{name}");
        }
        assert_eq!([Scheme::Http, Scheme::Https].map(|of| of.to_string()), ["http", "https"]);
    }
}
