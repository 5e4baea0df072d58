//! Proof that a server holds a certificate for a name: one TLS handshake, and nothing after it.
//!
//! Owns what is trusted, the name that is asked for and how far each handshake has come. The
//! socket and the deadline are the caller's, and no application data ever passes. Reads files in
//! [`Verifier::new`] alone, which blocks and so belongs before the reactor. The library asks the
//! wall clock whether a certificate is in force; nothing else here does.
//!
//! ```text
//! Verifier::new ──► begin ──► advance: write ─► read ─► process ─┐
//!                               ▲         ▲                      ├─► Done or Failed
//!                  next event ──┘         └──────────────────────┤
//!                               Pending ◄────────────────────────┘ the socket is empty
//! ```
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

use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::{ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection};
use rustls_native_certs::load_native_certs;

use self::failure::{of_beginning, of_handshake};
use self::proof::Proof;
use self::trust::Trust;
use super::errno::{net_error, retry};
use super::remark::Remark;
use super::{HandshakeError, NetError, Shake};
use crate::config::limits::HANDSHAKE_BYTES_MAX;

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

    /// A handshake that has not said anything yet.
    pub fn begin(&self) -> Handshake {
        let proof = Arc::new(Proof::new(Arc::clone(&self.trust)));
        // What is proven is kept per handshake, so each has a configuration of its own. Cloning
        // one copies a few pointers.
        let mut config = self.config.clone();
        config.dangerous().set_certificate_verifier(proof.clone());
        config.client_auth_cert_resolver = proof.clone();
        let connection = ClientConnection::new(Arc::new(config), self.name.clone());
        let begun =
            |connection| Box::new(Begun { connection, proof, received_bytes: 0, lost: None });
        Handshake { begun: connection.map(begun).map_err(|error| of_beginning(&error)) }
    }
}

fn server_name(name: &str) -> Result<ServerName<'static>, String> {
    ServerName::try_from(name.to_owned())
        .map_err(|_| format!("{name:?} is neither a DNS name nor an IP address"))
}

/// One handshake, from the first byte to the last.
#[derive(Debug)]
pub struct Handshake {
    /// Boxed, as there are few at a time, and mostly none.
    begun: Result<Box<Begun>, HandshakeError>,
}

impl Handshake {
    /// Goes on as far as the socket lets it; it is non-blocking, and an event told that something
    /// changed, or that the connection stands. The end is told once: no call after [`Shake::Done`]
    /// or [`Shake::Failed`], but for closing the socket.
    ///
    /// Either end is told to the server as far as the socket takes it at once: by `close_notify`,
    /// or by an alert that says what is wrong with its certificate.
    ///
    /// Reads until the socket is empty, since an edge-triggered event is not repeated. No call can
    /// go on for long: a usual handshake has 2 to 6 KiB, and of one that floods, all calls together
    /// read [`HANDSHAKE_BYTES_MAX`], less than what a busy flow may read in one turn.
    pub fn advance<S: Read + Write>(&mut self, socket: &mut S) -> Shake {
        match &mut self.begun {
            Ok(begun) => begun.advance(socket),
            Err(error) => Shake::Failed(*error),
        }
    }
}

#[derive(Debug)]
struct Begun {
    connection: ClientConnection,
    proof: Arc<Proof>,
    /// At most [`HANDSHAKE_BYTES_MAX`], and what one more read brings.
    received_bytes: usize,
    /// What a write found. Bytes that came before may still be there to read.
    lost: Option<NetError>,
}

impl Begun {
    fn advance(&mut self, socket: &mut (impl Read + Write)) -> Shake {
        loop {
            self.write(socket);
            match retry(|| self.connection.read_tls(socket)) {
                // etcd without TLS ends in order, without a word, when it is greeted in TLS.
                Ok(0) if self.received_bytes == 0 && !self.proof.is_complete() => {
                    return Shake::Failed(HandshakeError::NoTls);
                }
                Ok(0) => return self.ended(NetError::Reset),
                Ok(count) => self.received_bytes += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return self.lost.map_or(Shake::Pending, |error| self.ended(error));
                }
                Err(error) => return self.ended(net_error(error)),
            }
            let outcome = self.connection.process_new_packets();
            if !self.connection.is_handshaking() {
                debug_assert!(self.proof.is_signed());
                // Goes into one segment with the last message of the handshake.
                self.connection.send_close_notify();
                self.write(socket);
                return Shake::Done;
            }
            if let Err(error) = outcome {
                // The alert that tells the server.
                self.write(socket);
                return self.failed(&error);
            }
            if self.received_bytes > HANDSHAKE_BYTES_MAX {
                return Shake::Failed(HandshakeError::Refused);
            }
        }
    }

    fn write(&mut self, socket: &mut impl Write) {
        while self.lost.is_none() && self.connection.wants_write() {
            match retry(|| self.connection.write_tls(socket)) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => self.lost = Some(net_error(error)),
            }
        }
    }

    /// The connection is no more.
    fn ended(&self, error: NetError) -> Shake {
        if self.proof.is_complete() {
            return Shake::Done;
        }
        Shake::Failed(HandshakeError::Lost(error))
    }

    /// The server said what ends the handshake, or we did.
    fn failed(&self, error: &rustls::Error) -> Shake {
        if matches!(error, rustls::Error::AlertReceived(_)) && self.proof.is_complete() {
            return Shake::Done;
        }
        Shake::Failed(of_handshake(error, self.speaks_tls()))
    }

    /// Whether the server has said something valid, the first of which is the version.
    fn speaks_tls(&self) -> bool {
        self.connection.protocol_version().is_some()
    }
}
