//! The known name that an unknown flag or word was most likely meant to be. Pure.

/// Likeness from which a name is suggested, 0 to 1, by the measure of Jaro and Winkler, in which a
/// common beginning counts more: names are more often cut short than mistyped. `listen` is like
/// `listen-addr` (0.91) and `log` like `log-level` (0.84), but `config` is not like any flag
/// (0.64).
const LIKENESS_MIN: f64 = 0.8;

/// The name that is most like `typed`; `None` if none is like it. Case is ignored.
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
    fn slips_lead_to_the_name_that_was_meant() {
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
    fn a_text_that_is_like_no_name_gets_no_suggestion() {
        for typed in ["", "x", "frob", "config", "data-dir", "advertise-client-urls", "é"] {
            assert_eq!(nearest(typed, KNOWN), None, "{typed}");
        }
        assert_eq!(nearest("help", []), None);
    }
}
