//! Whom to trust: the certificates of a file, or of the system, by what each says of itself.
//!
//! Owns the rules for a certificate that is there: what makes it an authority, and that a server
//! may show the very same one. They are those of Go, and so of etcd and its clients. Knows nothing
//! of what servers show; that is `chain.rs`.

use std::sync::OnceLock;

use rustls::pki_types::{CertificateDer, Der, ServerName, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, anchor_from_trusted_cert};

use super::super::remark::{Remark, RemarkKind};
use super::x509::{self, Certificate, Moment};

/// What was found, for as long as the process lives.
#[derive(Debug, Default)]
pub(super) struct Trust {
    authorities: Vec<Authority>,
    /// Certificates that a server may show.
    own: Vec<Own>,
}

/// A certificate that may vouch for others, or would if nothing spoke against it. Those as well,
/// so that the reason can name it when a server's chain leads to it.
#[derive(Debug)]
pub(super) struct Authority {
    anchor: TrustAnchor<'static>,
    key_id: Option<Vec<u8>>,
    validity: Validity,
    path_length_max: Option<usize>,
    has_supported_key: bool,
    flaw: Option<Flaw>,
    subject: String,
    /// Words for the log, made when they are needed, once each: they have to outlive the verifier.
    words: [OnceLock<&'static str>; 3],
}

#[derive(Debug)]
struct Own {
    certificate: CertificateDer<'static>,
    validity: Validity,
}

/// From when on and until when, both included.
#[derive(Clone, Copy, Debug)]
pub(super) struct Validity {
    not_before: Moment,
    not_after: Moment,
}

/// Why something is not in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OutOfForce {
    NotYet,
    Expired,
}

/// Why a certificate cannot vouch for others, whenever it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// It does not say that it is an authority, or says that it is none (`CA:FALSE`).
    NotAuthority,
    /// Its key usage has no signatures of certificates.
    NoCertificateSign,
    /// Its extended key usage has neither servers nor any purpose.
    WrongPurpose,
    /// It has an extension that must be understood and is not.
    UnknownCriticalExtension,
}

/// Why a chain that is good otherwise cannot end at an authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Objection {
    Expired,
    NotYetValid,
    Unfit,
}

impl Trust {
    /// Takes what a certificate says of itself; servers will have to be `name`. Returns what is to
    /// be said of it as of `now`; its `number` is its place among all. `None` if it is none.
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
            path_length_max: read.basic_constraints.and_then(|it| it.path_length_max),
            has_supported_key: read.key.is_supported(),
            flaw,
            subject: x509::name(read.subject),
            words: Default::default(),
        };
        let facts = authority.remarks(is_own, now).into_iter().flatten();
        let subject = || authority.subject.clone();
        let remark =
            |(kind, reason)| Remark { kind, number, subject: subject(), reason, file: None };
        let remarks = facts.map(remark).collect();
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

    /// Certificates that may vouch for others. Those with one of these key identifiers come first:
    /// of many with one name, the library tries so many and no more.
    pub(super) fn authorities(&self, key_ids: &[&[u8]]) -> Vec<&Authority> {
        let is_named = |authority: &&Authority| {
            authority.key_id.as_deref().is_some_and(|id| key_ids.contains(&id))
        };
        let (mut named, others): (Vec<_>, Vec<_>) = self.authorities.iter().partition(is_named);
        named.extend(others);
        named
    }

    /// How many authorities have this name.
    pub(super) fn count_of(&self, name: &[u8]) -> usize {
        self.all_of(name).count()
    }

    /// Whether an authority of this name has a key of a kind that cannot be verified here.
    pub(super) fn has_unsupported_key(&self, name: &[u8]) -> bool {
        self.all_of(name).any(|authority| !authority.has_supported_key)
    }

    fn all_of(&self, name: &[u8]) -> impl Iterator<Item = &Authority> {
        self.authorities.iter().filter(move |it| it.anchor.subject.as_ref() == name)
    }

    /// When a server may show this very certificate; `None` if it needs an authority.
    pub(super) fn validity_of_own(&self, certificate: &CertificateDer<'_>) -> Option<Validity> {
        self.own.iter().find(|it| it.certificate == *certificate).map(|it| it.validity)
    }
}

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

/// Whether a server with the name may show the certificate itself, without any authority.
fn may_be_shown(der: &CertificateDer<'_>, read: &Certificate<'_>, name: &ServerName<'_>) -> bool {
    let is_for =
        |certificate: EndEntityCert<'_>| certificate.verify_is_valid_for_subject_name(name).is_ok();
    read.may_serve != Some(false) && EndEntityCert::try_from(der).is_ok_and(is_for)
}

impl Validity {
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
    /// What the library wants to know of it.
    pub(super) fn anchor(&self) -> TrustAnchor<'_> {
        let TrustAnchor { subject, subject_public_key_info, name_constraints } = &self.anchor;
        TrustAnchor {
            subject: Der::from_slice(subject),
            subject_public_key_info: Der::from_slice(subject_public_key_info),
            name_constraints: name_constraints.as_ref().map(|it| Der::from_slice(it)),
        }
    }

    /// Why it cannot vouch for a chain at that time.
    pub(super) fn objection(&self, now: UnixTime) -> Option<Objection> {
        match (self.flaw, self.validity.objection(now)) {
            (Some(_), _) => Some(Objection::Unfit),
            (None, Some(OutOfForce::Expired)) => Some(Objection::Expired),
            (None, Some(OutOfForce::NotYet)) => Some(Objection::NotYetValid),
            (None, None) => None,
        }
    }

    fn remarks(&self, is_own: bool, now: UnixTime) -> [Option<(RemarkKind, &'static str)>; 2] {
        let standing = match self.flaw {
            Some(flaw) if is_own => Some((RemarkKind::TrustedForItself, flaw.word())),
            Some(flaw) => return [Some((RemarkKind::Skipped, flaw.word())), None],
            None if self.has_supported_key => None,
            None => Some((RemarkKind::Unusable, "unsupported_key")),
        };
        let validity = self.validity.objection(now).map(OutOfForce::word);
        [standing, validity.map(|word| (RemarkKind::NotInForce, word))]
    }

    /// How many authorities may be between it and a server.
    pub(super) fn path_length_max(&self) -> Option<usize> {
        self.path_length_max
    }

    /// The objection and whom it is to, for the log.
    pub(super) fn words(&self, objection: Objection) -> &'static str {
        let reason = match objection {
            Objection::Expired => "authority_expired",
            Objection::NotYetValid => "authority_not_yet_valid",
            Objection::Unfit => "authority_unfit",
        };
        self.words[objection as usize].get_or_init(|| {
            // At most once for each authority and reason.
            Box::leak(format!("{reason} authority={:?}", self.subject).into_boxed_str())
        })
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
