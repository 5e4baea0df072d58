//! The replacement of `net/tls.rs` in a build without the feature `tls`: there is no verifier and
//! no session. The compiler can see that in this file alone, since the fields are private;
//! elsewhere it would warn of unreachable code.

use std::convert::Infallible;
use std::rc::Rc;

use super::remark::Remark;
use super::tls_settings::TlsSettings;
use crate::proto::tls::{Connector, HandshakeError, Session};

/// Verifies servers. There is none in this build.
#[derive(Debug)]
pub struct Verifier {
    none: Infallible,
}

impl Verifier {
    /// Fails: this build has no verifier.
    ///
    /// # Errors
    /// Always: one line that says so.
    pub fn new(_settings: TlsSettings<'_>) -> Result<Verifier, String> {
        Err("this build cannot verify certificates: it is one without the feature `tls`".to_owned())
    }

    /// Never called, as there is no verifier.
    pub fn remarks(&self) -> &[Remark] {
        match self.none {}
    }

    /// Never called, as there is no verifier.
    pub fn has_no_authorities(&self) -> bool {
        match self.none {}
    }

    /// Never called, as there is no verifier.
    pub fn into_connector(self) -> Rc<dyn Connector> {
        match self.none {}
    }
}

impl Connector for Verifier {
    fn connect(&self, _name: &str) -> Result<Box<dyn Session>, HandshakeError> {
        match self.none {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_without_tls_says_so_instead_of_trusting() {
        let reason = Verifier::new(TlsSettings::default()).expect_err("nothing to verify with");
        assert!(reason.contains("feature `tls`"), "{reason}");
    }
}
