//! What a flag or a word that nobody knows was most likely meant to be. Pure.

/// Likeness from which on a name is worth a suggestion: `listen` is `listen-addr` (0.91), `log` is
/// `log-level` (0.84), while `config` is nothing we have (0.64). 0 to 1, by Jaro and Winkler, for
/// whom a common beginning counts more: names are more often cut short than mistyped.
const LIKENESS_MIN: f64 = 0.8;

/// The one of `known` that is most like `typed`, if one is enough so. Case makes no difference.
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed = typed.to_ascii_lowercase();
    let mut best = None;
    let mut likeness_best = LIKENESS_MIN;
    for name in known {
        let likeness = strsim::jaro_winkler(&typed, name);
        if likeness > likeness_best {
            (best, likeness_best) = (Some(name), likeness);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::nearest;

    const KNOWN: [&str; 5] = ["endpoints", "listen-addr", "log-level", "idle-timeout", "help"];

    #[test]
    fn slips_lead_to_what_was_meant() {
        for (typed, want) in [
            ("endpoint", "endpoints"),
            ("ednpoints", "endpoints"),
            ("ENDPOINTS", "endpoints"),
            ("listen", "listen-addr"),
            ("listen_addr", "listen-addr"),
            ("loglevel", "log-level"),
            ("idle", "idle-timeout"),
            ("hlep", "help"),
        ] {
            assert_eq!(nearest(typed, KNOWN), Some(want), "{typed}");
        }
    }

    #[test]
    fn what_is_like_nothing_is_left_alone() {
        for typed in ["", "x", "frob", "config", "data-dir", "advertise-client-urls", "é"] {
            assert_eq!(nearest(typed, KNOWN), None, "{typed}");
        }
        assert_eq!(nearest("help", []), None);
    }
}
