//! TLS as bytes in and bytes out: the trait [`Session`], for one end of a connection, and why its
//! handshake fails. Owns no socket; `net/tls.rs` has the real sessions, the simulator others.
//!
//! ```text
//!   what is sent ──► send ──► ┌─────────┐ ──► outgoing, wrote ──► socket
//!                             │ Session │
//!   what was said ◄── receive ◄└─────────┘ ◄────── incoming, end ◄── socket
//! ```

use std::fmt;

/// One end of a TLS connection, from the first byte of its handshake on.
pub trait Session: fmt::Debug {
    /// Bytes for the peer that are still to be written; empty when there are none at present.
    fn outgoing(&mut self) -> &[u8];

    /// The first `bytes` of [`Session::outgoing`] were written.
    fn wrote(&mut self, bytes: usize);

    /// Takes bytes that the peer has sent, from the front of `bytes`, which keeps the rest. Some
    /// are left only by an established session that holds all the decrypted bytes that it may: it
    /// takes more after [`Session::receive`]. Bytes behind the peer's end are dropped. A failed
    /// session may still have an alert for the peer in [`Session::outgoing`].
    fn incoming(&mut self, bytes: &mut &[u8]) -> Status;

    /// The peer sends no more: in order, or since the connection is lost. `None` where the session
    /// knows nothing better than that.
    fn end(&mut self, is_orderly: bool) -> Option<Status>;

    /// Encrypts bytes for the peer; only once the session is established.
    fn send(&mut self, plain: &[u8]);

    /// Decrypted bytes of the peer, put at the start of `buffer`; how many, 0 when there are none
    /// at present.
    fn receive(&mut self, buffer: &mut [u8]) -> usize;

    /// Says that no more will be sent (`close_notify`).
    fn close(&mut self);
}

/// Begins sessions with servers, each of which has to prove its name.
pub trait Connector: fmt::Debug {
    /// A session that has sent nothing yet, with a server of this `name`: a DNS name, with or
    /// without a dot at its end, or the literal of an IP address without brackets.
    ///
    /// # Errors
    /// When it cannot begin, which is not a fault of any server: [`HandshakeError::Local`], or
    /// [`HandshakeError::UnusableName`].
    fn connect(&self, name: &str) -> Result<Box<dyn Session>, HandshakeError>;
}

/// The state of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The peer is not verified yet.
    Handshaking,
    /// The peer is verified; bytes may go both ways.
    Established,
    /// The peer is verified, and refuses us before a byte of it has come: none will.
    Dismissed(HandshakeError),
    /// It will never be verified over this connection.
    Failed(HandshakeError),
}

impl Status {
    /// Whether a session in this state may be in the other one next: a peer is verified once, and
    /// a session that has failed is read no further.
    pub fn may_become(self, next: Status) -> bool {
        match self {
            Status::Handshaking => true,
            Status::Established => !matches!(next, Status::Handshaking | Status::Failed(_)),
            Status::Dismissed(_) | Status::Failed(_) => next == self,
        }
    }
}

/// Why a server could not be verified, or does not take us. Its text is one word for the log, whose
/// beginning says what it is about: `certificate_` what the server shows, `client_certificate_`
/// what we show, `authority_` what we trust, `no_common_` what either side supports. What is
/// `unsupported` is not a fault of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandshakeError {
    /// Its certificate, or one that it shows to vouch for it, was in force until some time ago.
    Expired,
    /// Its certificate, or one that it shows to vouch for it, is not in force yet. Often it is our
    /// own clock that is wrong, as on a board without a battery until it has heard of the time.
    NotYetValid,
    /// The certificate is for other names. One that has names in its subject alone is for none.
    WrongName,
    /// The certificate, or one that vouches for it, is for other purposes than serving.
    WrongPurpose,
    /// An authority that vouches for the certificate may not do so for such a name.
    NameNotPermitted,
    /// No authority that we trust vouches for the certificate.
    UnknownAuthority,
    /// The certificate leads to a trusted authority that cannot be used, which is not a fault of
    /// the server.
    Authority(UnusableAuthority),
    /// The certificate is one of an authority, of another one than the server's own in our file.
    AuthorityAsServer,
    /// The certificate is invalid for another reason: malformed, a signature that is wrong, or an
    /// authority that is none among those that vouch for it.
    BadCertificate,
    /// A key or a signature of the chain is of a kind that cannot be verified here.
    UnsupportedAlgorithm,
    /// A certificate of the chain has an extension that must be understood and is not.
    UnsupportedExtension,
    /// A certificate of the chain is of an older version of X.509 than 3.
    UnsupportedVersion,
    /// A certificate of the chain is in force since before 1970, which the library cannot read.
    Before1970,
    /// More authorities that we trust have the name of the server's than are tried.
    TooManyAuthorities,
    /// The chain takes more steps, or more attempts, than are made.
    ChainTooLong,
    /// What came was no TLS, or the connection ended in order before anything came.
    NoTls,
    /// The server speaks no version of TLS that we speak: 1.2 and 1.3.
    NoCommonVersion,
    /// The server has no cipher suite in common with us, nor any other group or signature that it
    /// would need: all these it tells by one and the same alert.
    NoCommonCipherSuite,
    /// The server demands a certificate of ours, and we have none.
    ClientCertificateRequired,
    /// The server does not take the certificate of ours.
    ClientCertificateRefused,
    /// The server sent another alert, or does not keep to the protocol.
    Refused,
    /// The name is one that no certificate can be for.
    UnusableName,
    /// Our own system could not go on: it has no random bytes.
    Local,
}

/// A trusted authority that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnusableAuthority {
    /// Why it cannot be used.
    pub problem: AuthorityProblem,
    /// Its subject, as in RFC 4514. Anything may be in it.
    pub subject: &'static str,
}

/// Why a trusted authority cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthorityProblem {
    /// It has expired.
    Expired,
    /// It is not valid yet.
    NotYetValid,
    /// It must not be an authority, or not one of servers.
    Unfit,
}

impl AuthorityProblem {
    fn word(self) -> &'static str {
        match self {
            AuthorityProblem::Expired => "authority_expired",
            AuthorityProblem::NotYetValid => "authority_not_yet_valid",
            AuthorityProblem::Unfit => "authority_unfit",
        }
    }
}

impl HandshakeError {
    /// The reason as one word.
    pub fn word(self) -> &'static str {
        match self {
            HandshakeError::Authority(UnusableAuthority { problem, .. }) => problem.word(),
            HandshakeError::Expired => "certificate_expired",
            HandshakeError::NotYetValid => "certificate_not_yet_valid",
            HandshakeError::WrongName => "certificate_wrong_name",
            HandshakeError::WrongPurpose => "certificate_wrong_purpose",
            HandshakeError::NameNotPermitted => "certificate_name_not_permitted",
            HandshakeError::UnknownAuthority => "certificate_unknown_authority",
            HandshakeError::AuthorityAsServer => "certificate_of_authority",
            HandshakeError::BadCertificate => "certificate_invalid",
            HandshakeError::UnsupportedAlgorithm => "certificate_unsupported_algorithm",
            HandshakeError::UnsupportedExtension => "certificate_unsupported_extension",
            HandshakeError::UnsupportedVersion => "certificate_unsupported_version",
            HandshakeError::Before1970 => "certificate_before_1970",
            HandshakeError::TooManyAuthorities => "too_many_authorities_of_one_name",
            HandshakeError::ChainTooLong => "certificate_chain_too_long",
            HandshakeError::NoTls => "no_tls",
            HandshakeError::NoCommonVersion => "no_common_tls_version",
            HandshakeError::NoCommonCipherSuite => "no_common_cipher_suite",
            HandshakeError::ClientCertificateRequired => "client_certificate_required",
            HandshakeError::ClientCertificateRefused => "client_certificate_refused",
            HandshakeError::Refused => "handshake_refused",
            HandshakeError::UnusableName => "unusable_server_name",
            HandshakeError::Local => "not_supported",
        }
    }

    /// The subject of the trusted authority that the reason is about, if it is about one.
    pub fn authority(self) -> Option<&'static str> {
        match self {
            HandshakeError::Authority(UnusableAuthority { subject, .. }) => Some(subject),
            _ => None,
        }
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl std::error::Error for HandshakeError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unusable_authority_is_named_apart_from_the_reason() {
        for (problem, word) in [
            (AuthorityProblem::Expired, "authority_expired"),
            (AuthorityProblem::NotYetValid, "authority_not_yet_valid"),
            (AuthorityProblem::Unfit, "authority_unfit"),
        ] {
            let subject = "CN=the root";
            let error = HandshakeError::Authority(UnusableAuthority { problem, subject });
            assert_eq!((error.word(), error.authority()), (word, Some(subject)));
        }
        assert_eq!(HandshakeError::Expired.authority(), None);
    }

    #[test]
    fn each_reason_is_one_word_of_its_own() {
        for (error, word) in [
            (HandshakeError::Expired, "certificate_expired"),
            (HandshakeError::NotYetValid, "certificate_not_yet_valid"),
            (HandshakeError::WrongName, "certificate_wrong_name"),
            (HandshakeError::WrongPurpose, "certificate_wrong_purpose"),
            (HandshakeError::NameNotPermitted, "certificate_name_not_permitted"),
            (HandshakeError::UnknownAuthority, "certificate_unknown_authority"),
            (HandshakeError::AuthorityAsServer, "certificate_of_authority"),
            (HandshakeError::BadCertificate, "certificate_invalid"),
            (HandshakeError::UnsupportedAlgorithm, "certificate_unsupported_algorithm"),
            (HandshakeError::UnsupportedExtension, "certificate_unsupported_extension"),
            (HandshakeError::UnsupportedVersion, "certificate_unsupported_version"),
            (HandshakeError::Before1970, "certificate_before_1970"),
            (HandshakeError::TooManyAuthorities, "too_many_authorities_of_one_name"),
            (HandshakeError::ChainTooLong, "certificate_chain_too_long"),
            (HandshakeError::NoTls, "no_tls"),
            (HandshakeError::NoCommonVersion, "no_common_tls_version"),
            (HandshakeError::NoCommonCipherSuite, "no_common_cipher_suite"),
            (HandshakeError::ClientCertificateRequired, "client_certificate_required"),
            (HandshakeError::ClientCertificateRefused, "client_certificate_refused"),
            (HandshakeError::Refused, "handshake_refused"),
            (HandshakeError::UnusableName, "unusable_server_name"),
            (HandshakeError::Local, "not_supported"),
        ] {
            assert_eq!(error.to_string(), word);
        }
    }
}
