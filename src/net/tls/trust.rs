//! Trusted certificates, from a file or from the system, and how each may be used.
//!
//! Owns the rules for a trusted certificate: what makes it an authority, and when a server may show
//! this very certificate. They are those of Go, and so of etcd and its clients. The certificates
//! that servers show are the matter of `chain.rs`.

use std::sync::OnceLock;

use rustls::pki_types::{CertificateDer, Der, ServerName, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, anchor_from_trusted_cert};

use super::super::remark::{Remark, RemarkKind};
use super::x509::{self, Certificate, Moment};
use crate::proto::tls::{AuthorityProblem, UnusableAuthority};

/// All trusted certificates, kept for the life of the process.
#[derive(Debug, Default)]
pub(super) struct Trust {
    authorities: Vec<Authority>,
    /// Certificates that a server may show itself.
    own: Vec<Own>,
}

/// A trusted certificate as the end of a server's chain. One that must not be an authority is kept
/// as well, so that the error can name it when a chain leads to it.
#[derive(Debug)]
pub(super) struct Authority {
    anchor: TrustAnchor<'static>,
    key_id: Option<Vec<u8>>,
    validity: Validity,
    path_length_max: Option<usize>,
    has_supported_key: bool,
    flaw: Option<Flaw>,
    subject: String,
    /// The subject in an error, made when it is first needed: it has to outlive the verifier.
    static_subject: OnceLock<&'static str>,
}

/// A trusted certificate that a server may show itself.
#[derive(Debug)]
struct Own {
    certificate: CertificateDer<'static>,
    validity: Validity,
}

/// The period in which a certificate is valid, both ends included.
#[derive(Clone, Copy, Debug)]
pub(super) struct Validity {
    not_before: Moment,
    not_after: Moment,
}

/// Why a certificate is not valid at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OutOfForce {
    NotYet,
    Expired,
}

/// Why a certificate must not be an authority, whatever the time is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// It is not marked as an authority, or is marked as none (`CA:FALSE`).
    NotAuthority,
    /// Its key usage excludes signatures of certificates.
    NoCertificateSign,
    /// Its extended key usage excludes servers.
    WrongPurpose,
    /// It has a critical extension that is not understood.
    UnknownCriticalExtension,
}

impl Trust {
    /// Adds a certificate, by its place among all, for servers with this `name`. Returns the
    /// remarks on it as of `now`; `None` if it is not a certificate.
    pub(super) fn add(
        &mut self,
        number: usize,
        certificate: &CertificateDer<'_>,
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Option<Vec<Remark>> {
        let read = x509::read(certificate).ok()?;
        let anchor = anchor_from_trusted_cert(certificate).ok()?.to_owned();
        let validity = Validity { not_before: read.not_before, not_after: read.not_after };
        let flaw = flaw(&read);
        let is_own = may_be_shown(certificate, &read, name);
        let authority = Authority {
            anchor,
            key_id: read.subject_key_id.map(<[u8]>::to_vec),
            validity,
            path_length_max: read.basic_constraints.and_then(|found| found.path_length_max),
            has_supported_key: read.key.is_supported(),
            flaw,
            subject: x509::name(read.subject),
            static_subject: OnceLock::new(),
        };
        let facts = authority.remarks(is_own, now).into_iter().flatten();
        let remarks = facts.map(|(kind, reason)| Remark {
            kind,
            number,
            subject: authority.subject.clone(),
            reason,
            file: None,
        });
        let remarks = remarks.collect();
        if is_own {
            let certificate = certificate.clone().into_owned();
            self.own.push(Own { certificate, validity });
        }
        self.authorities.push(authority);
        Some(remarks)
    }

    /// Whether no server can ever be verified.
    pub(super) fn is_useless(&self) -> bool {
        self.own.is_empty() && self.authorities.iter().all(|authority| authority.flaw.is_some())
    }

    /// All authorities, those with one of these key identifiers first: of many with the same name
    /// the library tries a limited number.
    pub(super) fn authorities(&self, key_ids: &[&[u8]]) -> Vec<&Authority> {
        let (mut named, others): (Vec<_>, Vec<_>) =
            self.authorities.iter().partition(|authority| {
                authority.key_id.as_deref().is_some_and(|id| key_ids.contains(&id))
            });
        named.extend(others);
        named
    }

    /// The number of authorities with this name.
    pub(super) fn count_of(&self, name: &[u8]) -> usize {
        self.all_of(name).count()
    }

    /// Whether an authority with this name has a key by which nothing can be verified here.
    pub(super) fn has_unsupported_key(&self, name: &[u8]) -> bool {
        self.all_of(name).any(|authority| !authority.has_supported_key)
    }

    fn all_of(&self, name: &[u8]) -> impl Iterator<Item = &Authority> {
        self.authorities.iter().filter(move |authority| authority.anchor.subject.as_ref() == name)
    }

    /// The period in which a server may show this very certificate; `None` if it needs an
    /// authority.
    pub(super) fn validity_of_own(&self, certificate: &CertificateDer<'_>) -> Option<Validity> {
        let mut own = self.own.iter();
        own.find(|own| own.certificate == *certificate).map(|own| own.validity)
    }
}

/// Why the certificate must not be an authority; `None` if it may.
fn flaw(certificate: &Certificate<'_>) -> Option<Flaw> {
    let is_authority = match certificate.basic_constraints {
        Some(constraints) => constraints.is_authority,
        None => certificate.is_version_1,
    };
    if certificate.has_unknown_critical_extension {
        return Some(Flaw::UnknownCriticalExtension);
    }
    if !is_authority {
        return Some(Flaw::NotAuthority);
    }
    if certificate.may_certify == Some(false) {
        return Some(Flaw::NoCertificateSign);
    }
    (certificate.may_serve == Some(false)).then_some(Flaw::WrongPurpose)
}

/// Whether a server with this name may show the certificate itself, without an authority.
fn may_be_shown(der: &CertificateDer<'_>, read: &Certificate<'_>, name: &ServerName<'_>) -> bool {
    let Ok(certificate) = EndEntityCert::try_from(der) else { return false };
    read.may_serve != Some(false) && certificate.verify_is_valid_for_subject_name(name).is_ok()
}

impl Validity {
    /// Why the certificate is not valid at that time; `None` if it is.
    pub(super) fn objection(self, now: UnixTime) -> Option<OutOfForce> {
        let now = Moment::Since1970(now.as_secs());
        match () {
            () if now < self.not_before => Some(OutOfForce::NotYet),
            () if now > self.not_after => Some(OutOfForce::Expired),
            () => None,
        }
    }
}

impl Authority {
    /// The authority as the library needs it.
    pub(super) fn anchor(&self) -> TrustAnchor<'_> {
        let TrustAnchor { subject, subject_public_key_info, name_constraints } = &self.anchor;
        TrustAnchor {
            subject: Der::from_slice(subject),
            subject_public_key_info: Der::from_slice(subject_public_key_info),
            name_constraints: name_constraints.as_ref().map(|der| Der::from_slice(der)),
        }
    }

    /// Why no chain can end at it at that time; `None` if one can.
    pub(super) fn objection(&self, now: UnixTime) -> Option<UnusableAuthority> {
        let problem = match (self.flaw, self.validity.objection(now)) {
            (Some(_), _) => AuthorityProblem::Unfit,
            (None, Some(OutOfForce::Expired)) => AuthorityProblem::Expired,
            (None, Some(OutOfForce::NotYet)) => AuthorityProblem::NotYetValid,
            (None, None) => return None,
        };
        // Leaked at most once for each authority.
        let subject =
            self.static_subject.get_or_init(|| Box::leak(self.subject.clone().into_boxed_str()));
        Some(UnusableAuthority { problem, subject })
    }

    /// The remarks on it, if a server may show it itself or not.
    fn remarks(&self, is_own: bool, now: UnixTime) -> [Option<(RemarkKind, &'static str)>; 2] {
        let usability = match self.flaw {
            Some(flaw) if is_own => Some((RemarkKind::TrustedForItself, flaw.word())),
            Some(flaw) => return [Some((RemarkKind::Skipped, flaw.word())), None],
            None if self.has_supported_key => None,
            None => Some((RemarkKind::Unusable, "unsupported_key")),
        };
        let validity = self.validity.objection(now).map(OutOfForce::word);
        [usability, validity.map(|word| (RemarkKind::NotInForce, word))]
    }

    /// The most authorities between it and a server.
    pub(super) fn path_length_max(&self) -> Option<usize> {
        self.path_length_max
    }
}

impl OutOfForce {
    fn word(self) -> &'static str {
        match self {
            OutOfForce::Expired => "expired",
            OutOfForce::NotYet => "not_yet_valid",
        }
    }
}

impl Flaw {
    fn word(self) -> &'static str {
        match self {
            Flaw::NotAuthority => "not_authority",
            Flaw::NoCertificateSign => "no_certificate_sign",
            Flaw::WrongPurpose => "wrong_purpose",
            Flaw::UnknownCriticalExtension => "unknown_critical_extension",
        }
    }
}
