//! The flags of discovery by SRV records, which have their meaning together. Pure.

use std::fmt;
use std::path::PathBuf;

use super::address::{self, NAME_CHARACTERS_MAX};
use super::flags::{
    DISCOVERY_SRV, DISCOVERY_SRV_NAME, Flag, INSECURE_DISCOVERY, TRUSTED_CA_FILE, Typed, UsageError,
};
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

/// The condition for an endpoint that was found to be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// None: all endpoints are used.
    Unverified,
    /// In a TLS handshake the endpoint shows a certificate for the domain.
    Certified {
        /// The file with the certificates of trusted authorities; `None`: those of the system.
        authority: Option<PathBuf>,
    },
}

/// A flag that was typed and has no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnusedFlag {
    /// The name, without the dashes.
    pub flag: &'static str,
    /// Why it has no effect.
    pub reason: NoEffect,
}

/// Why a flag has no effect. Displays as one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoEffect {
    /// The value is empty, as that of a template without its variable, and counts as absent.
    Empty,
    /// The flag has no meaning without `--discovery-srv`.
    NoDiscoverySrv,
    /// The flag has no meaning together with `--insecure-discovery`.
    InsecureDiscovery,
}

impl fmt::Display for NoEffect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NoEffect::Empty => "empty_value",
            NoEffect::NoDiscoverySrv => "no_discovery_srv",
            NoEffect::InsecureDiscovery => "insecure_discovery",
        })
    }
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
        false => Trust::Certified { authority: given(typed, &TRUSTED_CA_FILE).map(PathBuf::from) },
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
    let unverified = match discovery {
        Some(DiscoverySrv { trust: Trust::Unverified, .. }) => Some(NoEffect::InsecureDiscovery),
        Some(_) => None,
        None => alone,
    };
    let flags = [
        (DISCOVERY_SRV, typed.last(&DISCOVERY_SRV), None),
        (INSECURE_DISCOVERY, is_insecure, alone),
        (DISCOVERY_SRV_NAME, typed.last(&DISCOVERY_SRV_NAME), alone),
        (TRUSTED_CA_FILE, typed.last(&TRUSTED_CA_FILE), unverified),
    ];
    let unused = flags.into_iter().filter_map(|(flag, value, reason)| {
        let reason = if value?.is_empty() { Some(NoEffect::Empty) } else { reason };
        Some(UnusedFlag { flag: flag.name, reason: reason? })
    });
    unused.collect()
}

/// The value of a flag; as in etcd, an empty one counts as absent.
fn given<'a>(typed: &'a Typed, flag: &Flag) -> Option<&'a str> {
    typed.last(flag).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(domain: &str, name: &str, insecure: &str, authority: &str) -> Typed {
        let values = [
            (&DISCOVERY_SRV, domain),
            (&DISCOVERY_SRV_NAME, name),
            (&INSECURE_DISCOVERY, insecure),
            (&TRUSTED_CA_FILE, authority),
        ];
        values.into_iter().filter(|(_, text)| *text != "-").collect()
    }

    fn found(domain: &str, name: Option<&str>, trust: Trust) -> DiscoverySrv {
        DiscoverySrv { domain: domain.to_owned(), name: name.map(str::to_owned), trust }
    }

    #[test]
    fn flags_that_are_absent_or_empty_ask_for_nothing() {
        for domain in ["-", ""] {
            assert_eq!(parse(&typed(domain, "-", "-", "-")), Ok(None));
            assert_eq!(parse(&typed(domain, "x", "true", "/ca.pem")), Ok(None));
        }
    }

    #[test]
    fn insecure_discovery_uses_all_endpoints() {
        let want = found("a.test.", Some("blue"), Trust::Unverified);
        assert_eq!(parse(&typed("a.test.", "blue", "true", "-")), Ok(Some(want)));
        let want = found("a.test", None, Trust::Unverified);
        assert_eq!(parse(&typed("a.test", "", "1", "/ca.pem")), Ok(Some(want)));
    }

    #[test]
    fn other_endpoints_have_to_show_a_certificate_where_this_build_can_read_it() {
        for (file, authority) in [("-", None), ("", None), ("/ca.pem", Some("/ca.pem".into()))] {
            let parsed = parse(&typed("a.test", "-", "false", file));
            if CAN_VERIFY {
                let want = found("a.test", None, Trust::Certified { authority });
                assert_eq!(parsed, Ok(Some(want)));
            } else {
                let message = parsed.expect_err("no TLS").to_string();
                assert!(message.contains("--discovery-srv"), "{message}");
                assert!(message.contains("feature tls"), "{message}");
            }
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
            let message = parse(&typed(domain, name, insecure, "-")).expect_err(want).to_string();
            assert!(message.contains(want), "{message}");
        }
        let name = &long[1..];
        assert!(parse(&typed("a.test", name, "true", "-")).is_ok(), "63 characters in all");
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
                assert!(parse(&typed(&fits, name, "true", "-")).is_ok(), "{fits}");
            }
            let over = format!("{longest}c");
            let error = parse(&typed(&over, name, "true", "-")).expect_err("one too many");
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
        let alone = ["discovery-srv-name no_discovery_srv", "trusted-ca-file no_discovery_srv"];
        check_unused(typed("-", "x", "-", "/ca.pem"), &alone);
        check_unused(typed("-", "-", "false", "-"), &[]);
        check_unused(typed("-", "-", "true", "-"), &["insecure-discovery no_discovery_srv"]);
        let unverified = ["trusted-ca-file insecure_discovery"];
        check_unused(typed("a.test", "x", "true", "/ca.pem"), &unverified);
        check_unused(typed("a.test", "x", "true", "-"), &[]);
        let empty = ["discovery-srv-name empty_value", "trusted-ca-file empty_value"];
        check_unused(typed("a.test", "", "true", ""), &empty);
        check_unused(typed("", "-", "-", "-"), &["discovery-srv empty_value"]);
    }
}
