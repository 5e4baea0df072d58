//! What one handshake has established, noted as the library comes by it.
//!
//! Judges nothing by itself: certificates go to `chain.rs` and signatures to the library, and what
//! they say is handed on as it is.
//!
//! A handshake that completes needs none of this. But a server that wants a certificate of its
//! client gets an empty one from us. In TLS 1.3 our side is complete before the server can say no.
//! In TLS 1.2 the server's last message, which completes our side, comes only after it has seen
//! our certificate; instead of it comes an alert, or the mere end of the connection. That server
//! is proven as well:
//!
//! 1. Its chain leads to our authorities, is in force and is for our name (`verify_server_cert`).
//! 2. It holds the key of that certificate, now: the signature that was verified covers our random
//!    bytes of this handshake (in TLS 1.2 both sides' and the key exchange, RFC 5246 7.4.3, and
//!    the library has no suite without one; in TLS 1.3 all that was said, RFC 8446 4.4.3). There
//!    is no other way to come by it than from the holder of the key, and no session is resumed.
//! 3. The library has verified both for one and the same certificate, in that order, before our
//!    own certificate goes out.
//!
//! What is missing then is the server's word that nobody changed the messages under way (its
//! Finished). It protects what is agreed on, such as the cipher, and what is sent under it. We
//! send nothing under it. That somebody in between may pass on the messages of the true server is
//! so after a complete handshake, too; and who breaks off at this point where the true server
//! would not have gains no more than by letting it finish.
//!
//! That the server asked for a certificate (`CertificateRequest`) is demanded besides: without it
//! an end at this place has some other reason, a broken server for instance, and is a failure.

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

/// Notes of one handshake. Atomic because the library wants to share them between threads, of
/// which there is one.
#[derive(Debug)]
pub(super) struct Proof {
    trust: Arc<Trust>,
    /// The server's certificate was accepted.
    is_certified: AtomicBool,
    /// And then a signature by its key over this handshake.
    is_signed: AtomicBool,
    /// The server asked for a certificate of ours.
    is_asked: AtomicBool,
}

impl Proof {
    /// Nothing is established yet.
    pub(super) fn new(trust: Arc<Trust>) -> Proof {
        let [is_certified, is_signed, is_asked] = [false; 3].map(AtomicBool::new);
        Proof { trust, is_certified, is_signed, is_asked }
    }

    /// Whether the server has shown its certificate and that it holds the key.
    pub(super) fn is_signed(&self) -> bool {
        self.is_signed.load(Ordering::Relaxed)
    }

    /// Whether nothing is left to prove even if the server breaks off now, for want of a
    /// certificate of ours.
    pub(super) fn is_complete(&self) -> bool {
        self.is_signed() && self.is_asked.load(Ordering::Relaxed)
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
            // Of a key that is too short, for instance, the library says no more than that.
            Error::InvalidCertificate(CertificateError::BadSignature)
                if x509::read(certificate).is_ok_and(|it| !it.key.is_supported()) =>
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
        let refused = |error| Error::InvalidCertificate(to_certificate(error));
        outcome.map(|()| ServerCertVerified::assertion()).map_err(refused)
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
    /// Called when the server asks, and at no other time.
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.is_asked.store(true, Ordering::Relaxed);
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}
