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

/// Why a server could not be verified. Its text is one word for the log, whose beginning says what
/// it is about: `certificate_` what the server shows, `authority_` what we trust, `no_common_` what
/// either side supports. What is `unsupported` is no fault of the server.
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
    /// An authority of ours vouches for the certificate and is not in force, or not fit for it. The
    /// word names both, the reason and the authority: that is no fault of the server.
    Authority(&'static str),
    /// The certificate is one of an authority, of another one than the server's own in our file.
    AuthorityAsServer,
    /// The certificate is no good for another reason: malformed, a signature that is wrong, or an
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
    /// The server sent another alert, or does not keep to the protocol.
    Refused,
    /// The connection broke in the middle, or our own system could not go on.
    Lost(NetError),
}

impl HandshakeError {
    /// What speaks against the server, as one word, behind which an authority is named where it
    /// speaks against that; the error itself where it is about the connection.
    ///
    /// # Errors
    /// That of the connection.
    pub fn word(self) -> Result<&'static str, NetError> {
        Ok(match self {
            HandshakeError::Authority(words) => words,
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

impl std::error::Error for HandshakeError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_one_word_of_its_own() {
        for (error, word) in [
            (HandshakeError::Authority("authority_expired"), "authority_expired"),
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
            (HandshakeError::Refused, "handshake_refused"),
            (HandshakeError::Lost(NetError::Reset), "reset"),
        ] {
            assert_eq!(error.to_string(), word);
        }
    }
}
