//! The facts that one handshake has proven, noted when the library verifies them.
//!
//! Decides nothing by itself: certificates go to `chain.rs` and signatures to the library, and
//! their results are passed on unchanged.
//!
//! A handshake that completes needs no notes. But a server that requires a certificate of its
//! client gets an empty one. In TLS 1.3 the client's side is complete before the server can refuse
//! that. In TLS 1.2 the server's last message, which completes the client's side, follows the
//! client's certificate; instead of it comes an alert, or the end of the connection. Such a server
//! is proven as well:
//!
//! 1. Its chain leads to a trusted authority, is valid and is for the name (`verify_server_cert`).
//! 2. It has the key of that certificate, now: the verified signature covers the client's random
//!    bytes of this handshake (in TLS 1.2 those of both sides and the key exchange, RFC 5246 7.4.3,
//!    and the library has no suite without a signature; in TLS 1.3 all messages so far, RFC 8446
//!    4.4.3). Only the holder of the key can make it, and no session is resumed.
//! 3. The library has verified both for one and the same certificate, in this order, before it
//!    sends the client's certificate.
//!
//! Only the server's Finished is missing then, the proof that the messages were not changed on
//! their way. It protects the parameters, such as the cipher, and the data that is sent under them.
//! No data is sent here. A man in the middle can relay the messages of the true server after a
//! complete handshake, too; and one who ends the connection at this point, where the true server
//! would not, gains no more than by letting the handshake complete.
//!
//! The server must also have asked for a certificate (`CertificateRequest`): without that, an end
//! at this point has another reason, a broken server for instance, and is a failure.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

use super::algorithms::SIGNATURES;
use super::chain::Shown;
use super::failure::to_certificate;
use super::trust::Trust;
use super::x509;
use crate::proto::tls::HandshakeError;

/// The notes of one handshake. Atomic because the library may share them between threads, although
/// there is only one.
#[derive(Debug)]
pub(super) struct Proof {
    trust: Arc<Trust>,
    /// The certificate of our own, with its key; `None`: there is none.
    identity: Option<Arc<CertifiedKey>>,
    /// The server's certificate was accepted.
    is_certified: AtomicBool,
    /// After that, a signature by its key over this handshake was.
    is_signed: AtomicBool,
    /// The server asked for a certificate of the client.
    is_asked: AtomicBool,
}

impl Proof {
    /// Notes without any fact yet.
    pub(super) fn new(trust: Arc<Trust>, identity: Option<Arc<CertifiedKey>>) -> Proof {
        let [is_certified, is_signed, is_asked] = [false; 3].map(AtomicBool::new);
        Proof { trust, identity, is_certified, is_signed, is_asked }
    }

    /// Whether the server has proven its certificate and that it has the key.
    pub(super) fn is_signed(&self) -> bool {
        self.is_signed.load(Ordering::Relaxed)
    }

    /// Whether the proof is complete even if the server ends the connection now, for want of a
    /// certificate of the client.
    pub(super) fn is_complete(&self) -> bool {
        self.is_signed() && self.is_asked.load(Ordering::Relaxed)
    }

    /// What it means for us if the server ends the connection then.
    pub(super) fn refusal(&self) -> HandshakeError {
        match self.identity {
            Some(_) => HandshakeError::ClientCertificateRefused,
            None => HandshakeError::ClientCertificateRequired,
        }
    }

    fn note_signature(
        &self,
        certificate: &CertificateDer<'_>,
        outcome: Result<HandshakeSignatureValid, Error>,
    ) -> Result<HandshakeSignatureValid, Error> {
        let is_certified = self.is_certified.load(Ordering::Relaxed);
        debug_assert!(is_certified, "a signature before its certificate");
        self.is_signed.store(is_certified && outcome.is_ok(), Ordering::Relaxed);
        outcome.map_err(|error| match error {
            // The library has no other error for a key that is too short, for instance.
            Error::InvalidCertificate(CertificateError::BadSignature)
                if x509::read(certificate).is_ok_and(|read| !read.key.is_supported()) =>
            {
                to_certificate(HandshakeError::UnsupportedAlgorithm).into()
            }
            error => error,
        })
    }
}

impl ServerCertVerifier for Proof {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let shown = Shown { own: end_entity, others: intermediates };
        let outcome = shown.verify(&self.trust, name, now);
        self.is_certified.store(outcome.is_ok(), Ordering::Relaxed);
        outcome
            .map(|()| ServerCertVerified::assertion())
            .map_err(|error| Error::InvalidCertificate(to_certificate(error)))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let outcome = verify_tls12_signature(message, certificate, signature, &SIGNATURES);
        self.note_signature(certificate, outcome)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let outcome = verify_tls13_signature(message, certificate, signature, &SIGNATURES);
        self.note_signature(certificate, outcome)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        SIGNATURES.supported_schemes()
    }
}

impl ResolvesClientCert for Proof {
    /// Called when the server asks for a certificate, and only then.
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.is_asked.store(true, Ordering::Relaxed);
        self.identity.clone()
    }

    fn has_certs(&self) -> bool {
        self.identity.is_some()
    }
}
