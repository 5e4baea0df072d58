//! Whether what a server shows leads to whom we trust, and if not, for which reason.
//!
//! Paths, signatures and names are verified by the library. Added is what it does not look at: what
//! the authority at the end says of itself, certificates that are trusted by themselves, and
//! certificates for any purpose. Pure: takes the time as an argument.

use std::cell::Cell;
use std::collections::HashSet;

use rustls::pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use webpki::{
    EndEntityCert, Error, ExtendedKeyUsageValidator, KeyPurposeId, KeyPurposeIdIter, KeyUsage,
    RequiredEkuNotFoundContext, VerifiedPath,
};

use super::algorithms::SIGNATURES;
use super::failure::of_chain;
use super::trust::{OutOfForce, Trust};
use super::x509::{self, Moment};
use crate::proto::tls::HandshakeError;

/// Authorities of one name that the library tries, as Go does.
const AUTHORITIES_OF_ONE_NAME_MAX: usize = 99;

/// Certificates of authorities that a server may show. Those that do show few: each one more is
/// looked at for every path that there may be, and the loop does nothing else meanwhile.
const AUTHORITIES_SHOWN_MAX: usize = 10;

/// Of these, those that may have a subject that another one has, as where an authority is signed by
/// two. With every one of them the paths, and the signatures to verify, may double.
const SAME_SUBJECTS_MAX: usize = 2;

/// What a server shows.
pub(super) struct Shown<'a> {
    /// Its own certificate.
    pub(super) own: &'a CertificateDer<'a>,
    /// Those of authorities, in any order.
    pub(super) others: &'a [CertificateDer<'a>],
}

impl Shown<'_> {
    /// Whether a server that is `name` may show that, at that time.
    ///
    /// # Errors
    /// The reason.
    pub(super) fn verify(
        &self,
        trust: &Trust,
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), HandshakeError> {
        if !self.is_within_limits() {
            return Err(HandshakeError::ChainTooLong);
        }
        // The name and the purpose are known to fit.
        if let Some(validity) = trust.validity_of_own(self.own) {
            return match validity.objection(now) {
                Some(OutOfForce::Expired) => Err(HandshakeError::Expired),
                Some(OutOfForce::NotYet) => Err(HandshakeError::NotYetValid),
                None => Ok(()),
            };
        }
        let own = EndEntityCert::try_from(self.own).map_err(|error| of_chain(&error))?;
        self.verify_path(&own, trust, now)?;
        own.verify_is_valid_for_subject_name(name).map_err(|error| of_chain(&error))
    }

    /// Whether there are few paths to look at, whatever they come to. Whoever answers at an address
    /// may show what they like, and need no key for it.
    fn is_within_limits(&self) -> bool {
        if self.others.len() > AUTHORITIES_SHOWN_MAX {
            return false;
        }
        // One that cannot be read may have any subject.
        let read = self.others.iter().filter_map(|certificate| x509::read(certificate).ok());
        let subjects: HashSet<&[u8]> = read.map(|certificate| certificate.subject).collect();
        self.others.len() - subjects.len() <= SAME_SUBJECTS_MAX
    }

    fn verify_path(
        &self,
        own: &EndEntityCert<'_>,
        trust: &Trust,
        now: UnixTime,
    ) -> Result<(), HandshakeError> {
        let authorities = trust.authorities(&self.authority_key_ids());
        let anchors: Vec<TrustAnchor<'_>> = authorities.iter().map(|it| it.anchor()).collect();
        let objection = Cell::new(None);
        let judge = |path: &VerifiedPath<'_>| {
            let is_end = |anchor: &TrustAnchor<'_>| std::ptr::eq(anchor, path.anchor());
            let end = anchors.iter().position(is_end).ok_or(Error::UnknownIssuer)?;
            let authority = authorities[end];
            let length = path.intermediate_certificates().count();
            if authority.path_length_max().is_some_and(|max| length > max) {
                return Err(Error::PathLenConstraintViolated);
            }
            let Some(found) = authority.objection(now) else { return Ok(()) };
            objection.set(Some(authority.words(found)));
            Err(Error::UnknownIssuer)
        };
        let path = own.verify_for_usage(
            SIGNATURES.all,
            &anchors,
            self.others,
            now,
            Serving,
            None,
            Some(&judge),
        );
        match (path, objection.get()) {
            (Ok(_), _) => Ok(()),
            // A path that is good but for its end.
            (Err(_), Some(words)) => Err(HandshakeError::Authority(words)),
            (Err(error), None) => Err(self.reason(&error, trust)),
        }
    }

    /// The reason, where the library's is too general: it names neither what it does not support
    /// nor how many there are of what.
    fn reason(&self, error: &Error, trust: &Trust) -> HandshakeError {
        let mut shown = self.all().filter_map(|certificate| x509::read(certificate).ok());
        let is_early = |it: x509::Certificate<'_>| it.not_before == Moment::Before1970;
        match error {
            Error::BadDerTime | Error::UnknownIssuer if shown.any(is_early) => {
                HandshakeError::Before1970
            }
            Error::InvalidSignatureForPublicKey if shown.any(|it| !it.key.is_supported()) => {
                HandshakeError::UnsupportedAlgorithm
            }
            Error::InvalidSignatureForPublicKey if self.lead_to_unsupported_keys(trust) => {
                HandshakeError::UnsupportedAlgorithm
            }
            Error::MaximumSignatureChecksExceeded
                if shown.any(|it| trust.count_of(it.issuer) > AUTHORITIES_OF_ONE_NAME_MAX) =>
            {
                HandshakeError::TooManyAuthorities
            }
            error => of_chain(error),
        }
    }

    fn all(&self) -> impl Iterator<Item = &CertificateDer<'_>> {
        std::iter::once(self.own).chain(self.others)
    }

    fn lead_to_unsupported_keys(&self, trust: &Trust) -> bool {
        let mut shown = self.all().filter_map(|certificate| x509::read(certificate).ok());
        shown.any(|it| trust.has_unsupported_key(it.issuer))
    }

    fn authority_key_ids(&self) -> Vec<&[u8]> {
        let id = |certificate| x509::read(certificate).ok()?.authority_key_id;
        self.all().filter_map(|certificate| id(certificate)).collect()
    }
}

/// For servers, or for any purpose: Go takes both, as RFC 5280 leaves it to the application.
struct Serving;

impl ExtendedKeyUsageValidator for Serving {
    fn validate(&self, purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        // Their encoding, without tag and length: 1.3.6.1.5.5.7.3.1 and 2.5.29.37.0.
        const SERVER: KeyPurposeId<'static> = KeyPurposeId::new(&[43, 6, 1, 5, 5, 7, 3, 1]);
        const ANY: KeyPurposeId<'static> = KeyPurposeId::new(&[85, 29, 37, 0]);
        let mut is_limited = false;
        for purpose in purposes {
            is_limited = true;
            if [SERVER, ANY].contains(&purpose?) {
                return Ok(());
            }
        }
        if !is_limited {
            return Ok(());
        }
        let (required, present) = (KeyUsage::server_auth(), Vec::new());
        Err(Error::RequiredEkuNotFoundContext(RequiredEkuNotFoundContext { required, present }))
    }
}
