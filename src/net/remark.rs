//! Facts about a certificate that was given to trust, for the log at the start.

use std::fmt;

/// Why a certificate that was given to trust is of no use, or not now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// What follows for it.
    pub kind: RemarkKind,
    /// Its place among the certificates, counted from 1.
    pub number: usize,
    /// Its subject, as in RFC 4514.
    pub subject: String,
    /// Why, in a word.
    pub reason: &'static str,
    /// The path of the file that it is in.
    pub file: Option<String>,
}

/// What follows for the certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemarkKind {
    /// It is of no use.
    Skipped,
    /// It vouches for no server but the one that shows it.
    TrustedForItself,
    /// Its time has not come, or is over.
    NotInForce,
    /// It is an authority by a key of a kind that cannot be verified here.
    Unusable,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Remark { number, subject, reason, .. } = self;
        write!(f, "number={number} subject={subject:?} reason={reason}")
    }
}
