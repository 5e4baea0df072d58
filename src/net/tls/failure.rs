//! What the errors of the TLS library mean here: the one table, as `net/errno.rs` is for errnos.

use rustls::{CertificateError, Error};

use super::super::{HandshakeError, NetError};

/// Why a handshake could not even begin: of what the library names, it needs random bytes alone.
pub(super) fn of_beginning(error: &Error) -> HandshakeError {
    debug_assert!(matches!(error, Error::FailedToGetRandomBytes), "{error}");
    HandshakeError::Lost(NetError::NotSupported)
}

/// Why a handshake failed; `speaks_tls` if the server had said something valid before.
pub(super) fn of_handshake(error: &Error, speaks_tls: bool) -> HandshakeError {
    match error {
        Error::InvalidCertificate(error) => of_certificate(error),
        Error::NoCertificatesPresented => HandshakeError::BadCertificate,
        Error::FailedToGetRandomBytes => HandshakeError::Lost(NetError::NotSupported),
        Error::InvalidMessage(_)
        | Error::PeerSentOversizedRecord
        | Error::InappropriateMessage { .. }
        | Error::InappropriateHandshakeMessage { .. }
            if !speaks_tls =>
        {
            HandshakeError::NoTls
        }
        // An alert, nothing in common, or a server that does not keep to the protocol.
        _ => HandshakeError::Refused,
    }
}

fn of_certificate(error: &CertificateError) -> HandshakeError {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            HandshakeError::Expired
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            HandshakeError::NotYetValid
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            HandshakeError::WrongName
        }
        CertificateError::UnknownIssuer => HandshakeError::UnknownAuthority,
        _ => HandshakeError::BadCertificate,
    }
}
