//! TLS sessions with servers, each of which has to prove a certificate for its name.
//!
//! Owns the trusted certificates, the certificate of our own and the state of each session. The
//! socket and the deadline are the caller's: bytes in, bytes out. Reads files in [`Verifier::new`]
//! alone, which may block and so runs before the reactor. Names may become known later: what
//! depends on one is decided in its handshake, from what was read, and nothing is kept for a name.
//! The library reads the wall clock, for the validity of certificates, and takes random bytes from
//! the system; nothing else here does.
//!
//! A name in the subject alone (common name) is ignored, as in Go.

mod algorithms;
mod chain;
mod failure;
mod file;
mod identity;
mod proof;
#[cfg(test)]
mod tests;
mod trust;
mod x509;

use std::io::{Read, Write};
use std::rc::Rc;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::{InvalidDnsNameError, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ClientConnection};
use rustls_native_certs::load_native_certs;

use self::failure::{is_about_client, of_beginning, of_handshake};
use self::proof::Proof;
use self::trust::{Names, Trust};
use super::remark::Remark;
use super::tls_settings::TlsSettings;
use crate::config::limits::HANDSHAKE_BYTES_MAX;
use crate::proto::tls::{Connector, HandshakeError, Session, Status};

/// Verifies servers by the trusted certificates, and shows them ours if they ask for one.
#[derive(Debug)]
pub struct Verifier {
    config: ClientConfig,
    trust: Arc<Trust>,
    identity: Option<Arc<CertifiedKey>>,
    remarks: Vec<Remark>,
    has_no_authorities: bool,
}

impl Verifier {
    /// A verifier that trusts the certificates in the file of the settings, or the system's, with
    /// the certificate of our own.
    ///
    /// The file may have several certificates, and other text, which is ignored. `SSL_CERT_FILE`
    /// and `SSL_CERT_DIR` name another place of the system's certificates, as for OpenSSL. Where
    /// that has none, only a domain is a reason to fail.
    ///
    /// # Errors
    /// One line with the file or the domain, and what is wrong with it: the file cannot be read, or
    /// has no certificate, a broken one, or none by which a server could be verified; the system
    /// has no certificate; the domain is neither a DNS name nor the literal of an IP address; the
    /// certificate of our own, or its key, cannot be used.
    pub fn new(settings: TlsSettings<'_>) -> Result<Verifier, String> {
        let now = UnixTime::now();
        let domain = settings.domain.map(|name| {
            server_name(name)
                .map_err(|_| format!("{name:?} is neither a DNS name nor an IP address"))
        });
        let has_domain = domain.is_some();
        let names = Names { domain: domain.transpose()?, has_others: settings.has_other_names };
        let (mut remarks, mut has_no_authorities) = (Vec::new(), false);
        let trust = match settings.authority {
            Some(path) => {
                let (trust, found) = file::of_file(path, names, now)?;
                let file = Some(path.display().to_string());
                remarks.extend(found.into_iter().map(|of| Remark { file: file.clone(), ..of }));
                trust
            }
            None => match file::of_system(load_native_certs(), names.clone(), now) {
                Ok(trust) => trust,
                Err(reason) if has_domain => return Err(reason),
                Err(_) => {
                    has_no_authorities = true;
                    Trust::new(names)
                }
            },
        };
        let mut verifier = Verifier::trusting(trust)?;
        if let Some(files) = settings.client {
            let (identity, found) =
                identity::of_files(files, verifier.config.crypto_provider(), now)?;
            verifier.identity = Some(identity);
            remarks.extend(found);
        }
        Ok(Verifier { remarks, has_no_authorities, ..verifier })
    }

    fn trusting(trust: Trust) -> Result<Verifier, String> {
        let trust = Arc::new(trust);
        let provider = Arc::new(algorithms::provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("cannot verify certificates: {error}"))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Proof::new(Arc::clone(&trust), None)))
            .with_no_client_auth();
        // A resumed session shows no certificate. It would prove that the server knows a secret of
        // an earlier server with that name.
        config.resumption = Resumption::disabled();
        // No protocol is offered (ALPN). etcd takes that for HTTP/1.1, and does not log a
        // connection that ends before the first request.
        Ok(Verifier {
            config,
            trust,
            identity: None,
            remarks: Vec::new(),
            has_no_authorities: false,
        })
    }

    /// The certificates of the files that are not used, or not without a limit.
    pub fn remarks(&self) -> &[Remark] {
        &self.remarks
    }

    /// Whether the system has no certificate of an authority, so that no server can be verified.
    pub fn has_no_authorities(&self) -> bool {
        self.has_no_authorities
    }

    /// The verifier as the reactor uses it, to begin sessions.
    pub fn into_connector(self) -> Rc<dyn Connector> {
        Rc::new(self)
    }
}

impl Connector for Verifier {
    fn connect(&self, name: &str) -> Result<Box<dyn Session>, HandshakeError> {
        Ok(Box::new(self.begin(name)?))
    }
}

impl Verifier {
    fn begin(&self, name: &str) -> Result<TlsSession, HandshakeError> {
        let name = server_name(name).map_err(|_| HandshakeError::UnusableName)?;
        let proof = Arc::new(Proof::new(Arc::clone(&self.trust), self.identity.clone()));
        // The notes belong to one session, so each has a configuration of its own. Cloning one
        // copies a few pointers.
        let mut config = self.config.clone();
        config.dangerous().set_certificate_verifier(proof.clone());
        config.client_auth_cert_resolver = proof.clone();
        let mut connection =
            ClientConnection::new(Arc::new(config), name).map_err(|error| of_beginning(&error))?;
        connection.set_buffer_limit(None);
        Ok(TlsSession {
            connection,
            proof,
            received_bytes: 0,
            has_received: false,
            outgoing: Vec::new(),
        })
    }
}

fn server_name(name: &str) -> Result<ServerName<'static>, InvalidDnsNameError> {
    ServerName::try_from(name.to_owned())
}

/// A session with a server, from its first byte on.
#[derive(Debug)]
struct TlsSession {
    connection: ClientConnection,
    proof: Arc<Proof>,
    /// Bytes of the handshake from the server: at most [`HANDSHAKE_BYTES_MAX`], and those of one
    /// more read.
    received_bytes: usize,
    /// Decrypted bytes have come.
    has_received: bool,
    outgoing: Vec<u8>,
}

impl Session for TlsSession {
    fn outgoing(&mut self) -> &[u8] {
        while self.connection.wants_write() {
            // A vector takes all bytes.
            if self.connection.write_tls(&mut self.outgoing).is_err() {
                break;
            }
        }
        &self.outgoing
    }

    fn wrote(&mut self, bytes: usize) {
        self.outgoing.drain(..bytes);
    }

    /// A usual handshake has 2 to 6 KiB; one with far more is given up.
    fn incoming(&mut self, bytes: &mut &[u8]) -> Status {
        if self.connection.is_handshaking() {
            self.received_bytes += bytes.len();
        }
        while !bytes.is_empty() {
            match self.feed(bytes) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    *bytes = &[];
                    return self.failed(&error);
                }
            }
        }
        if !self.connection.is_handshaking() {
            debug_assert!(self.proof.is_signed());
            return Status::Established;
        }
        match bytes.is_empty() && self.received_bytes <= HANDSHAKE_BYTES_MAX {
            true => Status::Handshaking,
            false => Status::Failed(HandshakeError::Refused),
        }
    }

    fn end(&mut self, is_orderly: bool) -> Option<Status> {
        match self.connection.is_handshaking() {
            false => Some(Status::Established),
            true if self.proof.is_complete() => Some(Status::Dismissed(self.proof.refusal())),
            // A server of etcd without TLS closes the connection in reply to TLS, without an
            // answer.
            true if is_orderly && self.received_bytes == 0 => {
                Some(Status::Failed(HandshakeError::NoTls))
            }
            true => None,
        }
    }

    fn send(&mut self, plain: &[u8]) {
        // The library keeps all of it, since no limit is set.
        let _ = self.connection.writer().write_all(plain);
    }

    fn receive(&mut self, buffer: &mut [u8]) -> usize {
        // Its errors are that there is nothing to read now, or that the peer has ended.
        self.connection.reader().read(buffer).unwrap_or(0)
    }

    fn close(&mut self) {
        self.connection.send_close_notify();
    }
}

impl TlsSession {
    /// Gives the library the first of these bytes. Returns whether it took any: it takes none while
    /// it holds more than 16 KiB of decrypted bytes.
    fn feed(&mut self, bytes: &mut &[u8]) -> Result<bool, rustls::Error> {
        match self.connection.read_tls(bytes) {
            Ok(1..) => {
                let state = self.connection.process_new_packets()?;
                self.has_received |= state.plaintext_bytes_to_read() > 0;
                Ok(true)
            }
            // The server has ended the session (`close_notify`): what follows is none of it.
            Ok(0) => {
                *bytes = &[];
                Ok(true)
            }
            Err(_) => Ok(false),
        }
    }

    /// The result after an error that ends the session, the server's or the library's own. The
    /// alert for the server is among the outgoing bytes.
    ///
    /// By TLS 1.3 our handshake is over before the server has read our certificate, so that what
    /// it thinks of that comes behind the handshake (RFC 8446, section 4.4.2.4).
    fn failed(&self, error: &rustls::Error) -> Status {
        let alert = match error {
            rustls::Error::AlertReceived(alert) => Some(*alert),
            _ => None,
        };
        let is_about_ours = alert.is_some_and(is_about_client) && self.proof.is_complete();
        match (self.connection.is_handshaking(), alert) {
            (false, _) if is_about_ours && !self.has_received => {
                Status::Dismissed(self.proof.refusal())
            }
            (false, _) => Status::Established,
            (true, Some(_)) if is_about_ours => Status::Dismissed(self.proof.refusal()),
            (true, Some(_)) if self.proof.is_complete() => {
                Status::Dismissed(HandshakeError::Refused)
            }
            (true, _) => Status::Failed(of_handshake(error, self.speaks_tls())),
        }
    }

    /// Whether the server has sent a valid message: the first one sets the version.
    fn speaks_tls(&self) -> bool {
        self.connection.protocol_version().is_some()
    }
}
