//! What can become of a TLS handshake. Names the reasons; `net/tls.rs` finds them.

use std::fmt;

use super::NetError;

/// Outcome of [`super::Net::shake`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shake {
    /// The server is verified. There is nothing left to do but to close the connection.
    Done,
    /// More bytes are needed, or there is no room to write; an event will tell.
    Pending,
    /// It will never be, over this connection.
    Failed(HandshakeError),
}

/// Why a server could not be verified. Its text is one word for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandshakeError {
    /// Its certificate, or one that vouches for it, was in force until some time ago.
    Expired,
    /// Its certificate, or one that vouches for it, is not in force yet. Often it is our own clock
    /// that is wrong, as on a board without a battery until it has heard of the time.
    NotYetValid,
    /// The certificate is for other names. One that has names in its subject alone is for none.
    WrongName,
    /// No authority that we trust vouches for the certificate.
    UnknownAuthority,
    /// The certificate is no good for another reason: malformed, a signature that is wrong or of a
    /// kind that is not trusted, not meant for a server, or that of an authority itself.
    BadCertificate,
    /// What came was no TLS, or the connection ended in order before anything came.
    NoTls,
    /// The server sent an alert, has no version or cipher in common with us, or does not keep to
    /// the protocol.
    Refused,
    /// The connection broke in the middle, or our own system could not go on.
    Lost(NetError),
}

impl HandshakeError {
    /// What speaks against the server, as one word; the error itself where it is about the
    /// connection.
    ///
    /// # Errors
    /// That of the connection.
    pub fn word(self) -> Result<&'static str, NetError> {
        Ok(match self {
            HandshakeError::Expired => "certificate_expired",
            HandshakeError::NotYetValid => "certificate_not_yet_valid",
            HandshakeError::WrongName => "certificate_wrong_name",
            HandshakeError::UnknownAuthority => "certificate_unknown_authority",
            HandshakeError::BadCertificate => "certificate_invalid",
            HandshakeError::NoTls => "no_tls",
            HandshakeError::Refused => "handshake_refused",
            HandshakeError::Lost(error) => return Err(error),
        })
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.word() {
            Ok(word) => f.write_str(word),
            Err(error) => error.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_one_word_of_its_own() {
        for (error, word) in [
            (HandshakeError::Expired, "certificate_expired"),
            (HandshakeError::NotYetValid, "certificate_not_yet_valid"),
            (HandshakeError::WrongName, "certificate_wrong_name"),
            (HandshakeError::UnknownAuthority, "certificate_unknown_authority"),
            (HandshakeError::BadCertificate, "certificate_invalid"),
            (HandshakeError::NoTls, "no_tls"),
            (HandshakeError::Refused, "handshake_refused"),
            (HandshakeError::Lost(NetError::Reset), "reset"),
        ] {
            assert_eq!(error.to_string(), word);
        }
    }
}
