//! The flags of discovery by SRV records, which have their meaning together. Pure.

use super::address::{self, NAME_CHARACTERS_MAX};
use super::flags::{DISCOVERY_SRV, DISCOVERY_SRV_NAME, INSECURE_DISCOVERY, Typed, UsageError};
use super::unused::{NoEffect, UnusedFlag, given};
use super::values::Value;

/// The SRV records to look up, and which of the endpoints that they list are used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiscoverySrv {
    /// The domain.
    pub domain: String,
    /// The suffix of the service's name, if there is one.
    pub name: Option<String>,
    /// The condition for an endpoint to be used.
    pub trust: Trust,
}

impl DiscoverySrv {
    /// The name for which endpoints have to show a certificate, without a dot at its end; `None`:
    /// they are used unverified.
    ///
    /// It is the domain, as etcd requires it, and not the host that a record names: an attacker who
    /// can forge the record could name a host of their own.
    pub fn certified_domain(&self) -> Option<&str> {
        match self.trust {
            Trust::Unverified => None,
            Trust::Certified => Some(self.domain.strip_suffix('.').unwrap_or(&self.domain)),
        }
    }
}

/// The condition for an endpoint that was found to be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// None: all endpoints are used.
    Unverified,
    /// In a TLS handshake the endpoint shows a certificate for the domain.
    Certified,
}

/// Whether this build can verify endpoints.
pub const CAN_VERIFY: bool = cfg!(feature = "tls");

/// The longer one of the names of the two services that are looked up.
const SERVICE_LONGEST: &str = "_etcd-client-ssl";

/// The meaning of the flags together; `None` without a domain. As in etcd, an empty value counts as
/// absent.
///
/// # Errors
/// [`UsageError`] for names that cannot be looked up, and for a condition that this build cannot
/// check.
pub(super) fn parse(typed: &Typed) -> Result<Option<DiscoverySrv>, UsageError> {
    let is_insecure = bool::read(&INSECURE_DISCOVERY, typed)?;
    let Some(domain) = given(typed, &DISCOVERY_SRV) else { return Ok(None) };
    if let Some(problem) = address::name_problem(domain) {
        return Err(refused(domain, &format!("not a domain name: {problem}")));
    }
    let name = given(typed, &DISCOVERY_SRV_NAME);
    let service = match name {
        Some(name) => format!("{SERVICE_LONGEST}-{name}"),
        None => SERVICE_LONGEST.to_owned(),
    };
    if let Some(name) = name.filter(|_| !address::is_label(&service)) {
        let reason = "not a part of a service's name, or too long for one";
        return Err(UsageError::invalid(&DISCOVERY_SRV_NAME, name, reason));
    }
    let prefix = format!("{service}._tcp.");
    if !address::is_name(&format!("{prefix}{domain}")) {
        let max = NAME_CHARACTERS_MAX - prefix.len();
        let reason = format!("more than the {max} characters that fit behind {prefix}");
        return Err(refused(domain, &reason));
    }
    let trust = match is_insecure {
        true => Trust::Unverified,
        false if !CAN_VERIFY => {
            let reason = "this build cannot verify endpoints, having no TLS: it takes \
                          --insecure-discovery, or a build with the feature tls";
            return Err(refused(domain, reason));
        }
        false => Trust::Certified,
    };
    let (domain, name) = (domain.to_owned(), name.map(str::to_owned));
    Ok(Some(DiscoverySrv { domain, name, trust }))
}

fn refused(domain: &str, reason: &str) -> UsageError {
    UsageError::invalid(&DISCOVERY_SRV, domain, reason)
}

/// The flags that have no effect. They are accepted, since etcd accepts them.
pub(super) fn unused(typed: &Typed, discovery: Option<&DiscoverySrv>) -> Vec<UnusedFlag> {
    let is_insecure = bool::read(&INSECURE_DISCOVERY, typed).unwrap_or(false).then_some("true");
    let alone = discovery.is_none().then_some(NoEffect::NoDiscoverySrv);
    let flags = [
        (DISCOVERY_SRV, typed.last(&DISCOVERY_SRV), None),
        (INSECURE_DISCOVERY, is_insecure, alone),
        (DISCOVERY_SRV_NAME, typed.last(&DISCOVERY_SRV_NAME), alone),
    ];
    let unused = flags.into_iter();
    unused.filter_map(|(flag, value, reason)| UnusedFlag::find(&flag, value?, reason)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(domain: &str, name: &str, insecure: &str) -> Typed {
        let values = [
            (&DISCOVERY_SRV, domain),
            (&DISCOVERY_SRV_NAME, name),
            (&INSECURE_DISCOVERY, insecure),
        ];
        values.into_iter().filter(|(_, text)| *text != "-").collect()
    }

    fn found(domain: &str, name: Option<&str>, trust: Trust) -> DiscoverySrv {
        DiscoverySrv { domain: domain.to_owned(), name: name.map(str::to_owned), trust }
    }

    #[test]
    fn flags_that_are_absent_or_empty_ask_for_nothing() {
        for domain in ["-", ""] {
            assert_eq!(parse(&typed(domain, "-", "-")), Ok(None));
            assert_eq!(parse(&typed(domain, "x", "true")), Ok(None));
        }
    }

    #[test]
    fn insecure_discovery_uses_all_endpoints() {
        let want = found("a.test.", Some("blue"), Trust::Unverified);
        assert_eq!(parse(&typed("a.test.", "blue", "true")), Ok(Some(want)));
        let want = found("a.test", None, Trust::Unverified);
        assert_eq!(parse(&typed("a.test", "", "1")), Ok(Some(want)));
    }

    #[test]
    fn other_endpoints_have_to_show_a_certificate_where_this_build_can_read_it() {
        let parsed = parse(&typed("a.test", "-", "false"));
        if CAN_VERIFY {
            assert_eq!(parsed, Ok(Some(found("a.test", None, Trust::Certified))));
        } else {
            let message = parsed.expect_err("no TLS").to_string();
            assert!(message.contains("--discovery-srv"), "{message}");
            assert!(message.contains("feature tls"), "{message}");
        }
        for domain in ["a.test", "a.test."] {
            let certified = found(domain, None, Trust::Certified);
            assert_eq!(certified.certified_domain(), Some("a.test"), "no name has a dot there");
            assert_eq!(found(domain, None, Trust::Unverified).certified_domain(), None);
        }
    }

    #[test]
    fn what_cannot_be_asked_for_is_refused() {
        let long = "x".repeat(47);
        for (domain, name, insecure, want) in [
            (
                "a..b",
                "-",
                "true",
                r#""a..b" for --discovery-srv: not a domain name: an empty part"#,
            ),
            ("a/b", "-", "true", r#""a/b" for --discovery-srv: not a domain name: '/' in it"#),
            (&long.repeat(2), "-", "true", "name: a part of more than 63 characters"),
            (&[&*long; 6].join("."), "-", "true", "name: more than 253 characters"),
            ("a.test", "b.c", "true", r#""b.c" for --discovery-srv-name: not a part of"#),
            ("a.test", &long, "true", "for --discovery-srv-name: not a part of"),
            ("a.test", "-", "x", r#""x" for --insecure-discovery: must be true or false"#),
        ] {
            let message = parse(&typed(domain, name, insecure)).expect_err(want).to_string();
            assert!(message.contains(want), "{message}");
        }
        let name = &long[1..];
        assert!(parse(&typed("a.test", name, "true")).is_ok(), "63 characters in all");
    }

    /// A domain of this many characters and two more.
    fn domain(length: usize) -> String {
        let labels = format!("{}.", "a".repeat(60)).repeat(4);
        labels[..length].trim_end_matches('.').to_owned() + ".b"
    }

    /// The name that is looked up may have 253 characters, without a trailing dot.
    #[test]
    fn a_domain_has_to_leave_room_for_the_service() {
        for (name, max) in [("-", 231), ("blue", 226)] {
            let longest = domain(max - 2);
            assert_eq!(longest.len(), max);
            for fits in [longest.clone(), format!("{longest}.")] {
                assert!(parse(&typed(&fits, name, "true")).is_ok(), "{fits}");
            }
            let over = format!("{longest}c");
            let error = parse(&typed(&over, name, "true")).expect_err("one too many");
            let message = error.to_string();
            assert!(message.contains(&format!("more than the {max} characters")), "{message}");
            assert!(message.contains("--discovery-srv:") && message.contains(&over), "{message}");
        }
    }

    #[track_caller]
    fn check_unused(typed: Typed, want: &[&str]) {
        let discovery = parse(&typed).expect("nothing to refuse");
        let unused = unused(&typed, discovery.as_ref());
        let found: Vec<String> =
            unused.iter().map(|unused| format!("{} {}", unused.flag, unused.reason)).collect();
        assert_eq!(found, want, "{typed:?}");
    }

    #[test]
    fn flags_without_effect_are_known() {
        check_unused(typed("-", "x", "-"), &["discovery-srv-name no_discovery_srv"]);
        check_unused(typed("-", "-", "false"), &[]);
        check_unused(typed("-", "-", "true"), &["insecure-discovery no_discovery_srv"]);
        check_unused(typed("a.test", "x", "true"), &[]);
        check_unused(typed("a.test", "", "true"), &["discovery-srv-name empty_value"]);
        check_unused(typed("", "-", "-"), &["discovery-srv empty_value"]);
    }
}
