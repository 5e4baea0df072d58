//! The meaning of the errors of the TLS library: the one table, as `net/errno.rs` is for errnos.

use std::sync::Arc;

use rustls::{AlertDescription, CertificateError, Error, OtherError, PeerIncompatible};
use webpki::Error as ChainError;

use crate::proto::tls::HandshakeError;

/// The error of a handshake that could not begin, for which the library needs random bytes alone.
pub(super) fn of_beginning(error: &Error) -> HandshakeError {
    debug_assert!(matches!(error, Error::FailedToGetRandomBytes), "{error}");
    HandshakeError::Local
}

/// The error of a handshake; `speaks_tls` if the server had sent a valid message before.
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
        // The answer to the first message, in which the server finds nothing that it supports.
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
        // Another alert, or a violation of the protocol.
        _ => HandshakeError::Refused,
    }
}

/// Whether a server that asked for a certificate of ours means it, or the lack of it, by this alert
/// (RFC 8446, section 6.2). By TLS 1.2 OpenSSL says `handshake_failure` where there is none, and Go
/// up to 1.20 `bad_certificate` by either version.
pub(super) fn is_about_client(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::HandshakeFailure
            | AlertDescription::NoCertificate
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::DecryptError
            | AlertDescription::CertificateRequired
    )
}

/// The error of a signature in the handshake, or of a certificate, as `to_certificate` wrapped it.
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

/// The error as the library takes it, so that it sends the server the right alert.
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

/// The error of certificates that do not lead to a trusted one.
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
