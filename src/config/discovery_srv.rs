//! The flags of discovery by SRV records: what they mean together.

use std::fmt;
use std::path::PathBuf;

use super::address;
use super::address::NAME_CHARACTERS_MAX;
use super::flags::{
    DISCOVERY_SRV, DISCOVERY_SRV_NAME, Flag, INSECURE_DISCOVERY, TRUSTED_CA_FILE, Typed, UsageError,
};
use super::values::Value;

/// Where to look for SRV records, and whom to believe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiscoverySrv {
    /// The domain.
    pub domain: String,
    /// What stands behind the service's name, if anything.
    pub name: Option<String>,
    /// What endpoints have to show before they are used.
    pub trust: Trust,
}

/// Which of the endpoints that were found are used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// All of them.
    Unverified,
    /// Those that show, by a TLS handshake, that they may speak for the domain.
    Certified {
        /// A file with the certificates of trusted authorities; `None`: those of the system.
        authority: Option<PathBuf>,
    },
}

/// A flag that was typed in vain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnusedFlag {
    /// Its name, without the dashes.
    pub flag: &'static str,
    /// Why.
    pub reason: NoEffect,
}

/// Why a flag has no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoEffect {
    /// Its value is empty, as that of a template without its variable; it counts as absent.
    Empty,
    /// It means nothing without `--discovery-srv`.
    NoDiscoverySrv,
    /// It means nothing beside `--insecure-discovery`.
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

/// Whether this build can find out who an endpoint is.
pub const CAN_VERIFY: bool = cfg!(feature = "tls");

/// The longer one of the two services that are asked for.
const SERVICE_LONGEST: &str = "_etcd-client-ssl";

/// The flags together; `None` without a domain. As in etcd an empty value is one that is absent.
pub(super) fn parse(typed: &Typed) -> Result<Option<DiscoverySrv>, UsageError> {
    let is_insecure = bool::read(&INSECURE_DISCOVERY, typed)?;
    let Some(domain) = given(typed, &DISCOVERY_SRV) else { return Ok(None) };
    let refuse = |reason: &str| UsageError::invalid(&DISCOVERY_SRV, domain, reason);
    if let Some(problem) = address::name_problem(domain) {
        return Err(refuse(&format!("not a domain name: {problem}")));
    }
    let name = given(typed, &DISCOVERY_SRV_NAME);
    let service = name.map_or(SERVICE_LONGEST.to_owned(), |it| format!("{SERVICE_LONGEST}-{it}"));
    if let Some(name) = name.filter(|_| !address::is_label(&service)) {
        let reason = "not a part of a service's name, or too long for one";
        return Err(UsageError::invalid(&DISCOVERY_SRV_NAME, name, reason));
    }
    let prefix = format!("{service}._tcp.");
    if !address::is_name(&format!("{prefix}{domain}")) {
        let max = NAME_CHARACTERS_MAX - prefix.len();
        return Err(refuse(&format!("more than the {max} characters that fit behind {prefix}")));
    }
    let trust = match is_insecure {
        true => Trust::Unverified,
        false if !CAN_VERIFY => {
            let reason = "this build cannot verify endpoints, having no TLS: it takes \
                          --insecure-discovery, or a build with the feature tls";
            return Err(refuse(reason));
        }
        false => Trust::Certified { authority: given(typed, &TRUSTED_CA_FILE).map(PathBuf::from) },
    };
    let (domain, name) = (domain.to_owned(), name.map(str::to_owned));
    Ok(Some(DiscoverySrv { domain, name, trust }))
}

/// Flags that mean nothing as they are. etcd takes them, so they are no mistake to end for.
pub(super) fn unused(typed: &Typed, discovery: Option<&DiscoverySrv>) -> Vec<UnusedFlag> {
    let is_insecure = bool::read(&INSECURE_DISCOVERY, typed).unwrap_or(false).then_some("true");
    let alone = discovery.is_none().then_some(NoEffect::NoDiscoverySrv);
    let beside = discovery.filter(|discovery| discovery.trust == Trust::Unverified);
    let unproved = alone.or(beside.map(|_| NoEffect::InsecureDiscovery));
    let flags = [
        (DISCOVERY_SRV, typed.last(&DISCOVERY_SRV), None),
        (INSECURE_DISCOVERY, is_insecure, alone),
        (DISCOVERY_SRV_NAME, typed.last(&DISCOVERY_SRV_NAME), alone),
        (TRUSTED_CA_FILE, typed.last(&TRUSTED_CA_FILE), unproved),
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
    fn insecure_discovery_believes_everybody() {
        let want = found("a.test.", Some("blue"), Trust::Unverified);
        assert_eq!(parse(&typed("a.test.", "blue", "true", "-")), Ok(Some(want)));
        let want = found("a.test", None, Trust::Unverified);
        assert_eq!(parse(&typed("a.test", "", "1", "/ca.pem")), Ok(Some(want)));
    }

    #[test]
    fn others_have_to_show_a_certificate_where_that_can_be_read() {
        for (file, authority) in [("-", None), ("", None), ("/ca.pem", Some("/ca.pem".into()))] {
            let parsed = parse(&typed("a.test", "-", "false", file));
            if CAN_VERIFY {
                let want = found("a.test", None, Trust::Certified { authority });
                assert_eq!(parsed, Ok(Some(want)));
            } else {
                let told = parsed.expect_err("nobody could check it").to_string();
                assert!(told.contains("--discovery-srv") && told.contains("feature tls"), "{told}");
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
            let told = parse(&typed(domain, name, insecure, "-")).expect_err(want).to_string();
            assert!(told.contains(want), "{told}");
        }
        let name = &long[1..];
        assert!(parse(&typed("a.test", name, "true", "-")).is_ok(), "63 characters in all");
    }

    /// What is asked for has room for 253 characters; a trailing dot is none of them.
    #[test]
    fn a_domain_has_to_leave_room_for_the_service() {
        let domain = |length: usize| {
            let labels = format!("{}.", "a".repeat(60)).repeat(4);
            labels[..length].trim_end_matches('.').to_owned() + ".b"
        };
        for (name, max) in [("-", 231), ("blue", 226)] {
            let longest = domain(max - 2);
            assert_eq!(longest.len(), max);
            for fits in [longest.clone(), format!("{longest}.")] {
                assert!(parse(&typed(&fits, name, "true", "-")).is_ok(), "{fits}");
            }
            let over = format!("{longest}c");
            let told = parse(&typed(&over, name, "true", "-")).expect_err("one too many");
            let told = told.to_string();
            assert!(told.contains(&format!("more than the {max} characters")), "{told}");
            assert!(told.contains("--discovery-srv:") && told.contains(&over), "{told}");
        }
    }

    #[test]
    fn flags_without_effect_are_known() {
        let check = |typed: Typed, want: &[&str]| {
            let discovery = parse(&typed).expect("nothing to refuse");
            let unused = unused(&typed, discovery.as_ref());
            let told: Vec<String> =
                unused.iter().map(|it| format!("{} {}", it.flag, it.reason)).collect();
            assert_eq!(told, want, "{typed:?}");
        };
        let alone = ["discovery-srv-name no_discovery_srv", "trusted-ca-file no_discovery_srv"];
        check(typed("-", "x", "-", "/ca.pem"), &alone);
        check(typed("-", "-", "false", "-"), &[]);
        check(typed("-", "-", "true", "-"), &["insecure-discovery no_discovery_srv"]);
        let beside = ["trusted-ca-file insecure_discovery"];
        check(typed("a.test", "x", "true", "/ca.pem"), &beside);
        check(typed("a.test", "x", "true", "-"), &[]);
        let empty = ["discovery-srv-name empty_value", "trusted-ca-file empty_value"];
        check(typed("a.test", "", "true", ""), &empty);
        check(typed("", "-", "-", "-"), &["discovery-srv empty_value"]);
    }
}
