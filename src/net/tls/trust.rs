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
#[derive(Debug)]
pub(super) struct Trust {
    names: Names,
    authorities: Vec<Authority>,
    /// Certificates that a server may show itself, if they are for its name.
    own: Vec<Own>,
}

/// The names of the servers, as far as they are known at the start.
#[derive(Clone, Debug)]
pub(super) struct Names {
    /// The name without which no server can be verified that has to be; `None`: there is none.
    pub(super) domain: Option<ServerName<'static>>,
    /// Whether there may be any others.
    pub(super) has_others: bool,
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

/// A trusted certificate that a server may show itself, if it is for its name.
#[derive(Debug)]
struct Own {
    certificate: CertificateDer<'static>,
    validity: Validity,
}

/// The period in which a certificate is valid, both ends included.
#[derive(Clone, Copy, Debug)]
pub(super) struct Validity {
    pub(super) not_before: Moment,
    pub(super) not_after: Moment,
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
    /// Trust in no certificate yet.
    pub(super) fn new(names: Names) -> Trust {
        Trust { names, authorities: Vec::new(), own: Vec::new() }
    }

    /// Adds a certificate, by its place among all. Returns the remarks on it as of `now`; `None` if
    /// it is not a certificate.
    pub(super) fn add(
        &mut self,
        number: usize,
        certificate: &CertificateDer<'_>,
        now: UnixTime,
    ) -> Option<Vec<Remark>> {
        let read = x509::read(certificate).ok()?;
        let anchor = anchor_from_trusted_cert(certificate).ok()?.to_owned();
        let validity = Validity { not_before: read.not_before, not_after: read.not_after };
        let flaw = flaw(&read);
        let own = Own::new(certificate, &read, validity);
        let is_own = own.as_ref().is_some_and(|own| self.may_be_shown(own));
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
        self.own.extend(own);
        self.authorities.push(authority);
        Some(remarks)
    }

    /// Whether a server may show the certificate, by the names that are known at the start.
    fn may_be_shown(&self, own: &Own) -> bool {
        let Names { domain, has_others } = &self.names;
        *has_others || domain.as_ref().is_some_and(|domain| own.is_for(domain))
    }

    /// Whether no server can ever be verified, or none with the name that has to be.
    pub(super) fn is_useless(&self) -> bool {
        let mut own = self.own.iter();
        let has_own = match &self.names.domain {
            Some(domain) => own.any(|own| own.is_for(domain)),
            None => own.any(|own| self.may_be_shown(own)),
        };
        !has_own && self.authorities.iter().all(|authority| authority.flaw.is_some())
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

    /// The period in which a server with this `name` may show this very certificate; `None` if it
    /// needs an authority.
    pub(super) fn validity_of_own(
        &self,
        certificate: &CertificateDer<'_>,
        name: &ServerName<'_>,
    ) -> Option<Validity> {
        let mut own = self.own.iter();
        let own = own.find(|own| own.certificate == *certificate)?;
        own.is_for(name).then_some(own.validity)
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

impl Own {
    /// The certificate, if a server of some name may show it itself, without an authority.
    fn new(
        certificate: &CertificateDer<'_>,
        read: &Certificate<'_>,
        validity: Validity,
    ) -> Option<Own> {
        let may_serve = read.has_names && read.may_serve != Some(false);
        let certificate = may_serve.then(|| certificate.clone().into_owned())?;
        Some(Own { certificate, validity })
    }

    /// Whether it is for a server of this name.
    fn is_for(&self, name: &ServerName<'_>) -> bool {
        let certificate = EndEntityCert::try_from(&self.certificate);
        certificate.is_ok_and(|own| own.verify_is_valid_for_subject_name(name).is_ok())
    }
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
    /// The reason as one word.
    pub(super) fn word(self) -> &'static str {
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
