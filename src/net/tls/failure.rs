//! What the errors of the TLS library mean here: the one table, as `net/errno.rs` is for errnos.

use std::sync::Arc;

use rustls::{AlertDescription, CertificateError, Error, OtherError, PeerIncompatible};
use webpki::Error as ChainError;

use crate::proto::tls::HandshakeError;

/// Why a handshake could not even begin: of what the library names, it needs random bytes alone.
pub(super) fn of_beginning(error: &Error) -> HandshakeError {
    debug_assert!(matches!(error, Error::FailedToGetRandomBytes), "{error}");
    HandshakeError::Local
}

/// Why a handshake failed; `speaks_tls` if the server had said something valid before.
pub(super) fn of_handshake(error: &Error, speaks_tls: bool) -> HandshakeError {
    match error {
        Error::InvalidCertificate(error) => of_certificate(error),
        Error::NoCertificatesPresented => HandshakeError::BadCertificate,
        Error::FailedToGetRandomBytes => HandshakeError::Local,
        Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        )
        | Error::AlertReceived(AlertDescription::ProtocolVersion) => {
            HandshakeError::NoCommonVersion
        }
        // The answer to our first message: the server finds nothing in there that it could use.
        Error::AlertReceived(
            AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity,
        ) if !speaks_tls => HandshakeError::NoCommonCipherSuite,
        Error::InvalidMessage(_)
        | Error::PeerSentOversizedRecord
        | Error::InappropriateMessage { .. }
        | Error::InappropriateHandshakeMessage { .. }
            if !speaks_tls =>
        {
            HandshakeError::NoTls
        }
        // Another alert, or a server that does not keep to the protocol.
        _ => HandshakeError::Refused,
    }
}

/// About a signature of the handshake, or what `to_certificate` has made.
fn of_certificate(error: &CertificateError) -> HandshakeError {
    match error {
        CertificateError::Other(OtherError(error)) => {
            error.downcast_ref().copied().unwrap_or(HandshakeError::BadCertificate)
        }
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            HandshakeError::UnsupportedAlgorithm
        }
        CertificateError::Expired => HandshakeError::Expired,
        CertificateError::NotValidYet => HandshakeError::NotYetValid,
        CertificateError::NotValidForName => HandshakeError::WrongName,
        CertificateError::UnknownIssuer => HandshakeError::UnknownAuthority,
        CertificateError::InvalidPurpose => HandshakeError::WrongPurpose,
        _ => HandshakeError::BadCertificate,
    }
}

/// What the library is handed, so that it tells the server by the alert that is meant for that.
pub(super) fn to_certificate(error: HandshakeError) -> CertificateError {
    match error {
        HandshakeError::Expired => CertificateError::Expired,
        HandshakeError::NotYetValid => CertificateError::NotValidYet,
        HandshakeError::WrongName => CertificateError::NotValidForName,
        HandshakeError::UnknownAuthority => CertificateError::UnknownIssuer,
        HandshakeError::WrongPurpose => CertificateError::InvalidPurpose,
        HandshakeError::BadCertificate => CertificateError::BadEncoding,
        other => CertificateError::Other(OtherError(Arc::new(other))),
    }
}

/// Why what a server shows does not lead to whom we trust.
pub(super) fn of_chain(error: &ChainError) -> HandshakeError {
    match error {
        ChainError::CertExpired { .. } | ChainError::InvalidCertValidity => HandshakeError::Expired,
        ChainError::CertNotValidYet { .. } => HandshakeError::NotYetValid,
        ChainError::CertNotValidForName(_) => HandshakeError::WrongName,
        ChainError::UnknownIssuer => HandshakeError::UnknownAuthority,
        ChainError::RequiredEkuNotFoundContext(_) => HandshakeError::WrongPurpose,
        ChainError::NameConstraintViolation => HandshakeError::NameNotPermitted,
        ChainError::CaUsedAsEndEntity => HandshakeError::AuthorityAsServer,
        ChainError::UnsupportedSignatureAlgorithmContext(_)
        | ChainError::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
            HandshakeError::UnsupportedAlgorithm
        }
        ChainError::UnsupportedCriticalExtension => HandshakeError::UnsupportedExtension,
        ChainError::UnsupportedCertVersion => HandshakeError::UnsupportedVersion,
        ChainError::MaximumSignatureChecksExceeded
        | ChainError::MaximumPathBuildCallsExceeded
        | ChainError::MaximumNameConstraintComparisonsExceeded
        | ChainError::MaximumPathDepthExceeded => HandshakeError::ChainTooLong,
        _ => HandshakeError::BadCertificate,
    }
}
