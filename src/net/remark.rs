//! Facts about a certificate of a trusted authority, for the log at the start.

use std::fmt;

/// A limit of the use of a certificate that the user declared trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// The effect on its use.
    pub kind: RemarkKind,
    /// The place among the certificates, counted from 1.
    pub number: usize,
    /// The subject, as in RFC 4514.
    pub subject: String,
    /// The cause, as one word.
    pub reason: &'static str,
    /// The path of the certificate's file, if it is from one.
    pub file: Option<String>,
}

/// The effect on the use of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemarkKind {
    /// It is not used.
    Skipped,
    /// It is trusted where a server shows this very certificate, but not as an authority.
    TrustedForItself,
    /// It is not valid yet, or has expired.
    NotInForce,
    /// It is our own, and not for clients.
    NotForClients,
    /// It is an authority whose signatures cannot be verified, because of the kind of its key.
    Unusable,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Remark { number, subject, reason, .. } = self;
        write!(f, "number={number} subject={subject:?} reason={reason}")
    }
}
