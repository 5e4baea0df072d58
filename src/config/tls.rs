//! The flags of connections of our own over TLS, which have their meaning together. Pure.
//!
//! Such connections are the proof of endpoints that SRV records list, checks of endpoints over
//! https, and those to the etcd of a registry. Clients' own TLS is relayed as it is.

use std::path::PathBuf;

use super::address::EndpointAddress;
use super::discovery_srv::{CAN_VERIFY, DiscoverySrv, Trust};
use super::flags::{CERT_FILE, KEY_FILE, TRUSTED_CA_FILE, Typed, UsageError};
use super::health::HealthCheckMode;
use super::unused::{NoEffect, UnusedFlag, given};
use crate::scheme::Scheme;

/// The files of connections of our own over TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// The certificates of trusted authorities; `None`: those of the system.
    pub authority: Option<PathBuf>,
    /// What servers are shown that ask for a certificate; `None`: nothing.
    pub client: Option<ClientFiles>,
    /// Whether servers are asked over https, by names of their own.
    pub has_https_checks: bool,
}

/// A certificate with the chain to its authority, and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientFiles {
    /// The file with the certificate, and those that vouch for it behind it.
    pub certificate: PathBuf,
    /// The file with the key.
    pub key: PathBuf,
}

/// The meaning of the flags together. As in etcd, an empty value counts as absent.
///
/// # Errors
/// [`UsageError`] for a certificate without a key, or a key without a certificate.
pub(super) fn parse(typed: &Typed, has_https_checks: bool) -> Result<Tls, UsageError> {
    let [authority, certificate, key] =
        [&TRUSTED_CA_FILE, &CERT_FILE, &KEY_FILE].map(|flag| given(typed, flag).map(PathBuf::from));
    let client = match (certificate, key) {
        (Some(certificate), Some(key)) => Some(ClientFiles { certificate, key }),
        (None, None) => None,
        (Some(_), None) => return Err(UsageError::without(&CERT_FILE, &KEY_FILE)),
        (None, Some(_)) => return Err(UsageError::without(&KEY_FILE, &CERT_FILE)),
    };
    Ok(Tls { authority, client, has_https_checks })
}

/// Whether endpoints may be checked over https by other names than the domain of a proof: those
/// that were typed as such URLs are, and those of SRV records that need no proof.
pub(super) fn has_https_checks(
    endpoints: &[EndpointAddress],
    discovery: Option<&DiscoverySrv>,
    mode: &HealthCheckMode,
) -> bool {
    let mut schemes = endpoints.iter().map(|endpoint| endpoint.scheme);
    let is_unverified = discovery.is_some_and(|discovery| discovery.trust == Trust::Unverified);
    let may_be_asked = is_unverified || schemes.any(|scheme| scheme == Some(Scheme::Https));
    CAN_VERIFY && *mode != HealthCheckMode::Off && may_be_asked
}

/// Whether members of etcd that are found later may be asked over https: an endpoint to begin with
/// is a URL of https or comes from records, or files of TLS were typed.
pub(super) fn has_https_members(
    typed: &Typed,
    endpoints: &[EndpointAddress],
    discovery: Option<&DiscoverySrv>,
) -> bool {
    let mut files = [&TRUSTED_CA_FILE, &CERT_FILE, &KEY_FILE].into_iter();
    let mut schemes = endpoints.iter().map(|endpoint| endpoint.scheme);
    let is_https = schemes.any(|scheme| scheme == Some(Scheme::Https));
    let has_files = files.any(|flag| given(typed, flag).is_some());
    CAN_VERIFY && (has_files || is_https || discovery.is_some())
}

/// Why no connection of ours is over TLS; `None` if one may be.
fn no_effect(discovery: Option<&DiscoverySrv>, has_https_checks: bool) -> Option<NoEffect> {
    match discovery {
        _ if has_https_checks => None,
        Some(DiscoverySrv { trust: Trust::Certified, .. }) => None,
        Some(DiscoverySrv { trust: Trust::Unverified, .. }) => Some(NoEffect::InsecureDiscovery),
        None => Some(NoEffect::NoTlsConnection),
    }
}

/// The flags that have no effect.
pub(super) fn unused(
    typed: &Typed,
    tls: &Tls,
    discovery: Option<&DiscoverySrv>,
) -> Vec<UnusedFlag> {
    let reason = no_effect(discovery, tls.has_https_checks);
    let flags = [&TRUSTED_CA_FILE, &CERT_FILE, &KEY_FILE].into_iter();
    flags.filter_map(|flag| UnusedFlag::find(flag, typed.last(flag)?, reason)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(authority: &str, certificate: &str, key: &str) -> Typed {
        let values = [(&TRUSTED_CA_FILE, authority), (&CERT_FILE, certificate), (&KEY_FILE, key)];
        values.into_iter().filter(|(_, text)| *text != "-").collect()
    }

    #[test]
    fn files_that_are_absent_or_empty_are_none() {
        for absent in ["-", ""] {
            assert_eq!(parse(&typed(absent, absent, absent), false), Ok(Tls::default()));
        }
        let files = ClientFiles { certificate: "c.pem".into(), key: "k.pem".into() };
        let want =
            Tls { authority: Some("ca.pem".into()), client: Some(files), has_https_checks: true };
        assert_eq!(parse(&typed("ca.pem", "c.pem", "k.pem"), true), Ok(want));
    }

    #[test]
    fn certificate_and_key_are_typed_together() {
        for absent in ["-", ""] {
            let message = parse(&typed("-", "c.pem", absent), false).expect_err("a key is missing");
            let want = "missing --key-file, which --cert-file needs";
            assert_eq!(message.to_string(), want);
            let message = parse(&typed("-", absent, "k.pem"), true).expect_err("no certificate");
            let want = "missing --cert-file, which --key-file needs";
            assert_eq!(message.to_string(), want);
        }
    }

    #[test]
    fn urls_of_https_and_records_without_proof_are_checked_over_tls() {
        let (insecure, certified) = (discovery(Trust::Unverified), discovery(Trust::Certified));
        for (endpoints, discovery, want) in [
            (&["a:1", "http://b:1"][..], None, false),
            (&[], None, false),
            (&["a:1", "HTTPS://b:1/x"], None, CAN_VERIFY),
            (&[], Some(&insecure), CAN_VERIFY),
            (&[], Some(&certified), false),
        ] {
            let parsed = endpoints.iter().map(|text| text.parse().expect(text));
            let parsed: Vec<EndpointAddress> = parsed.collect();
            let found = has_https_checks(&parsed, discovery, &HealthCheckMode::Auto);
            assert_eq!(found, want, "{endpoints:?} {discovery:?}");
            assert!(!has_https_checks(&parsed, discovery, &HealthCheckMode::Off));
        }
    }

    fn discovery(trust: Trust) -> DiscoverySrv {
        DiscoverySrv { domain: "a.test".to_owned(), name: None, trust }
    }

    #[test]
    fn files_without_effect_are_known() {
        let (insecure, certified) = (discovery(Trust::Unverified), discovery(Trust::Certified));
        let all = typed("ca.pem", "c.pem", "k.pem");
        for (discovery, has_https_checks, reason) in [
            (None, false, Some("no_tls_connection")),
            (None, true, None),
            (Some(&insecure), false, Some("insecure_discovery")),
            (Some(&insecure), true, None),
            (Some(&certified), false, None),
            (Some(&certified), true, None),
        ] {
            let tls = parse(&all, has_https_checks).expect("all files");
            let found = unused(&all, &tls, discovery);
            let found: Vec<String> =
                found.iter().map(|unused| format!("{} {}", unused.flag, unused.reason)).collect();
            let flags = ["trusted-ca-file", "cert-file", "key-file"];
            let want: Vec<String> = flags
                .iter()
                .filter_map(|flag| reason.map(|reason| format!("{flag} {reason}")))
                .collect();
            assert_eq!(found, want, "{discovery:?} {has_https_checks}");
        }
        let empty = typed("", "", "");
        let found = unused(&empty, &Tls::default(), Some(&certified));
        let found: Vec<&str> = found.iter().map(|unused| unused.flag).collect();
        assert_eq!(found, ["trusted-ca-file", "cert-file", "key-file"], "empty values");
    }
}
