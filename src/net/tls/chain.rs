//! Whether the certificates of a server lead to a trusted one, and if not, for which reason.
//!
//! The library verifies paths, signatures and names. This file adds what it does not check: the
//! limits of the authority at the end, certificates that are trusted themselves, and certificates
//! for any purpose. Pure: takes the time as an argument.

use std::cell::Cell;
use std::collections::HashSet;

use rustls::pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use webpki::{
    EndEntityCert, Error, ExtendedKeyUsageValidator, KeyPurposeId, KeyPurposeIdIter, KeyUsage,
    RequiredEkuNotFoundContext, VerifiedPath,
};

use super::algorithms::SIGNATURES;
use super::failure::of_chain;
use super::trust::{Authority, OutOfForce, Trust};
use super::x509::{self, Moment};
use crate::proto::tls::{HandshakeError, UnusableAuthority};

/// Most authorities with the same name that the library tries; Go has the same limit.
const AUTHORITIES_OF_ONE_NAME_MAX: usize = 99;

/// Most certificates of authorities that a server may show. Servers usually show few, and each
/// further one is tried in every possible path, while the loop waits.
const AUTHORITIES_SHOWN_MAX: usize = 10;

/// Most of these with a subject that another one has, as where two authorities have signed the same
/// one. Each of them may double the paths and the signatures to verify.
const SAME_SUBJECTS_MAX: usize = 2;

/// The certificates that a server shows.
pub(super) struct Shown<'a> {
    /// That of the server.
    pub(super) own: &'a CertificateDer<'a>,
    /// Those of authorities, in any order.
    pub(super) others: &'a [CertificateDer<'a>],
}

impl Shown<'_> {
    /// Verifies the certificates of a server with this `name` as of `now`.
    ///
    /// # Errors
    /// The reason why they do not prove that the server has the name.
    pub(super) fn verify(
        &self,
        trust: &Trust,
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), HandshakeError> {
        if !self.is_within_limits() {
            return Err(HandshakeError::ChainTooLong);
        }
        // Name and purpose are right, or `trust.rs` would not list the certificate.
        if let Some(validity) = trust.validity_of_own(self.own, name) {
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

    /// Whether there are few possible paths. Any server can show any certificates, and needs no key
    /// for that.
    fn is_within_limits(&self) -> bool {
        if self.others.len() > AUTHORITIES_SHOWN_MAX {
            return false;
        }
        // A certificate that cannot be read may have any subject.
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
        let anchors: Vec<TrustAnchor<'_>> =
            authorities.iter().map(|authority| authority.anchor()).collect();
        let objection = Cell::new(None);
        let path = own.verify_for_usage(
            SIGNATURES.all,
            &anchors,
            self.others,
            now,
            Serving,
            None,
            Some(&|path: &VerifiedPath<'_>| {
                let mut ends = anchors.iter().zip(&authorities);
                let end = ends.find(|(anchor, _)| std::ptr::eq(*anchor, path.anchor()));
                let (_, authority) = end.ok_or(Error::UnknownIssuer)?;
                check_end(path, authority, now, &objection)
            }),
        );
        match (path, objection.get()) {
            (Ok(_), _) => Ok(()),
            // A path that is good except for its end.
            (Err(_), Some(authority)) => Err(HandshakeError::Authority(authority)),
            (Err(error), None) => Err(self.reason(&error, trust)),
        }
    }

    /// The reason, more precise where the library's is too general: that names neither unsupported
    /// algorithms nor the limit that was exceeded.
    fn reason(&self, error: &Error, trust: &Trust) -> HandshakeError {
        let mut shown = self.all().filter_map(|certificate| x509::read(certificate).ok());
        match error {
            Error::BadDerTime | Error::UnknownIssuer
                if shown.any(|certificate| certificate.not_before == Moment::Before1970) =>
            {
                HandshakeError::Before1970
            }
            Error::InvalidSignatureForPublicKey
                if shown.any(|certificate| !certificate.key.is_supported()) =>
            {
                HandshakeError::UnsupportedAlgorithm
            }
            Error::InvalidSignatureForPublicKey if self.lead_to_unsupported_keys(trust) => {
                HandshakeError::UnsupportedAlgorithm
            }
            Error::MaximumSignatureChecksExceeded
                if shown.any(|certificate| {
                    trust.count_of(certificate.issuer) > AUTHORITIES_OF_ONE_NAME_MAX
                }) =>
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
        shown.any(|certificate| trust.has_unsupported_key(certificate.issuer))
    }

    fn authority_key_ids(&self) -> Vec<&[u8]> {
        let read = self.all().filter_map(|certificate| x509::read(certificate).ok());
        read.filter_map(|certificate| certificate.authority_key_id).collect()
    }
}

/// Checks that a path may end at this authority; notes the objection otherwise.
fn check_end(
    path: &VerifiedPath<'_>,
    authority: &Authority,
    now: UnixTime,
    objection: &Cell<Option<UnusableAuthority>>,
) -> Result<(), Error> {
    let length = path.intermediate_certificates().count();
    if authority.path_length_max().is_some_and(|max| length > max) {
        return Err(Error::PathLenConstraintViolated);
    }
    let Some(unusable) = authority.objection(now) else { return Ok(()) };
    objection.set(Some(unusable));
    Err(Error::UnknownIssuer)
}

/// Certificates for servers, or for any purpose: Go accepts both, as RFC 5280 leaves it to the
/// application.
struct Serving;

impl ExtendedKeyUsageValidator for Serving {
    fn validate(&self, purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        // The encodings of 1.3.6.1.5.5.7.3.1 and 2.5.29.37.0, without tag and length.
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
