//! TLS sessions with servers that have to hold a certificate for a name.
//!
//! Owns what is trusted, the name that is asked for and how far each session has come. The socket
//! and the deadline are the caller's: bytes in, bytes out. Reads files in [`Verifier::new`] alone,
//! which blocks and so belongs before the reactor. The library asks the wall clock whether a
//! certificate is in force, and the system for random bytes; nothing else here does.
//!
//! A name in the subject alone (common name) counts for nothing, as in Go.

mod algorithms;
mod chain;
mod failure;
mod file;
mod proof;
#[cfg(test)]
mod tests;
mod trust;
mod x509;

use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::{ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection};
use rustls_native_certs::load_native_certs;

use self::failure::{of_beginning, of_handshake};
use self::proof::Proof;
use self::trust::Trust;
use super::remark::Remark;

use crate::config::limits::HANDSHAKE_BYTES_MAX;
use crate::proto::tls::{Connector, HandshakeError, Session, Status};

/// What servers are verified against: the authorities and the name.
#[derive(Debug)]
pub struct Verifier {
    config: ClientConfig,
    trust: Arc<Trust>,
    name: ServerName<'static>,
    remarks: Vec<Remark>,
}

impl Verifier {
    /// Trusts the certificates in the PEM file `authority`, or the system's if there is none, and
    /// asks for certificates for `name`: a DNS name or the literal of an IP address.
    ///
    /// Several certificates may stand in the file, and other things beside them, which are passed
    /// over. `SSL_CERT_FILE` and `SSL_CERT_DIR` name the system's certificates elsewhere, as they
    /// do for OpenSSL.
    ///
    /// # Errors
    /// One line that names the file or the name and says what is wrong with it: it cannot be read,
    /// has no certificate, a broken one, or none that could ever vouch for a server; the system has
    /// none; the name is no such name.
    pub fn new(authority: Option<&Path>, name: &str) -> Result<Verifier, String> {
        let now = UnixTime::now();
        let name = server_name(name)?;
        let (trust, remarks) = match authority {
            Some(path) => file::of_file(path, &name, now)?,
            None => (file::of_system(load_native_certs(), &name, now)?, Vec::new()),
        };
        let mut verifier = Verifier::trusting(trust, name)?;
        let file = authority.map(|path| path.display().to_string());
        let in_file = |remark| Remark { file: file.clone(), ..remark };
        verifier.remarks = remarks.into_iter().map(in_file).collect();
        Ok(verifier)
    }

    fn trusting(trust: Trust, name: ServerName<'static>) -> Result<Verifier, String> {
        let trust = Arc::new(trust);
        let provider = Arc::new(algorithms::provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("cannot verify certificates: {error}"))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Proof::new(Arc::clone(&trust))))
            .with_no_client_auth();
        // A resumed session shows no certificate: it would prove that the server knows a secret of
        // some earlier server of that name.
        config.resumption = Resumption::disabled();
        // No protocol is offered (ALPN). etcd takes that for HTTP/1.1, and a connection that ends
        // before the first request is nothing it would log.
        Ok(Verifier { config, trust, name, remarks: Vec::new() })
    }

    /// Which certificates of the file are of no use, or not now.
    pub fn remarks(&self) -> &[Remark] {
        &self.remarks
    }
}

impl Verifier {
    /// Makes of it what begins the sessions.
    pub fn into_connector(self) -> Box<dyn Connector> {
        Box::new(self)
    }
}

impl Connector for Verifier {
    fn connect(&self) -> Box<dyn Session> {
        Box::new(self.begin())
    }
}

impl Verifier {
    fn begin(&self) -> TlsSession {
        let proof = Arc::new(Proof::new(Arc::clone(&self.trust)));
        // What is proven is kept per session, so each has a configuration of its own. Cloning one
        // copies a few pointers.
        let mut config = self.config.clone();
        config.dangerous().set_certificate_verifier(proof.clone());
        config.client_auth_cert_resolver = proof.clone();
        let connection = ClientConnection::new(Arc::new(config), self.name.clone());
        let begun = |mut connection: ClientConnection| {
            connection.set_buffer_limit(None);
            Box::new(Begun { connection, proof, received_bytes: 0, outgoing: Vec::new() })
        };
        TlsSession { begun: connection.map(begun).map_err(|error| of_beginning(&error)) }
    }
}

fn server_name(name: &str) -> Result<ServerName<'static>, String> {
    ServerName::try_from(name.to_owned())
        .map_err(|_| format!("{name:?} is neither a DNS name nor an IP address"))
}

/// One session with a server, from its first byte on.
#[derive(Debug)]
struct TlsSession {
    /// Boxed, as there are few at a time, and mostly none.
    begun: Result<Box<Begun>, HandshakeError>,
}

#[derive(Debug)]
struct Begun {
    connection: ClientConnection,
    proof: Arc<Proof>,
    /// Of the handshake: at most [`HANDSHAKE_BYTES_MAX`], and what one more read brings.
    received_bytes: usize,
    outgoing: Vec<u8>,
}

impl Session for TlsSession {
    fn outgoing(&mut self) -> &[u8] {
        match &mut self.begun {
            Ok(begun) => begun.outgoing(),
            Err(_) => &[],
        }
    }

    fn wrote(&mut self, bytes: usize) {
        if let Ok(begun) = &mut self.begun {
            begun.outgoing.drain(..bytes);
        }
    }

    /// A usual handshake has 2 to 6 KiB; one that floods is given up.
    fn incoming(&mut self, bytes: &[u8]) -> Status {
        match &mut self.begun {
            Ok(begun) => begun.incoming(bytes),
            Err(error) => Status::Failed(*error),
        }
    }

    fn end(&mut self, is_orderly: bool) -> Option<Status> {
        match &self.begun {
            Ok(begun) => begun.end(is_orderly),
            Err(error) => Some(Status::Failed(*error)),
        }
    }

    fn send(&mut self, plain: &[u8]) {
        if let Ok(begun) = &mut self.begun {
            // The library keeps all of it, since no limit is set.
            let _ = begun.connection.writer().write_all(plain);
        }
    }

    fn receive(&mut self, buffer: &mut [u8]) -> usize {
        match &mut self.begun {
            // What it calls an error is that there is nothing now, or that the peer has ended.
            Ok(begun) => begun.connection.reader().read(buffer).unwrap_or(0),
            Err(_) => 0,
        }
    }

    fn close(&mut self) {
        if let Ok(begun) = &mut self.begun {
            begun.connection.send_close_notify();
        }
    }
}

impl Begun {
    fn outgoing(&mut self) -> &[u8] {
        while self.connection.wants_write() {
            // A vector takes everything.
            if self.connection.write_tls(&mut self.outgoing).is_err() {
                break;
            }
        }
        &self.outgoing
    }

    fn incoming(&mut self, bytes: &[u8]) -> Status {
        if self.connection.is_handshaking() {
            self.received_bytes += bytes.len();
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            // The library takes as much as it has room for, and makes room as it goes on.
            if !matches!(self.connection.read_tls(&mut rest), Ok(1..)) {
                return Status::Failed(HandshakeError::Refused);
            }
            if let Err(error) = self.connection.process_new_packets() {
                return self.failed(&error);
            }
        }
        if !self.connection.is_handshaking() {
            debug_assert!(self.proof.is_signed());
            return Status::Established;
        }
        match self.received_bytes > HANDSHAKE_BYTES_MAX {
            true => Status::Failed(HandshakeError::Refused),
            false => Status::Handshaking,
        }
    }

    fn end(&self, is_orderly: bool) -> Option<Status> {
        match self.proof.is_complete() {
            true => Some(Status::Established),
            // etcd without TLS ends in order, without a word, when it is greeted in TLS.
            false if is_orderly && self.received_bytes == 0 => {
                Some(Status::Failed(HandshakeError::NoTls))
            }
            false => None,
        }
    }

    /// The server said what ends the handshake, or we did; the alert that says so to the server is
    /// among what is outgoing.
    fn failed(&self, error: &rustls::Error) -> Status {
        if !self.connection.is_handshaking()
            || (matches!(error, rustls::Error::AlertReceived(_)) && self.proof.is_complete())
        {
            return Status::Established;
        }
        Status::Failed(of_handshake(error, self.speaks_tls()))
    }

    /// Whether the server has said something valid, the first of which is the version.
    fn speaks_tls(&self) -> bool {
        self.connection.protocol_version().is_some()
    }
}
