//! The settings of connections of our own over TLS, in either build.

use std::path::Path;

/// The files of connections of our own over TLS, and the servers that they lead to.
#[derive(Clone, Copy, Debug, Default)]
pub struct TlsSettings<'a> {
    /// The trusted certificates (PEM); `None`: those of the system.
    pub authority: Option<&'a Path>,
    /// What servers are shown that ask for a certificate; `None`: nothing.
    pub client: Option<ClientFiles<'a>>,
    /// The name that endpoints from SRV records have to be certified for; `None`: there are none,
    /// or they need no certificate.
    pub domain: Option<&'a str>,
    /// Whether there may be servers of other names, which become known later.
    pub has_other_names: bool,
}

/// A certificate and its key, in files.
#[derive(Clone, Copy, Debug)]
pub struct ClientFiles<'a> {
    /// The certificate (PEM), and those that vouch for it behind it.
    pub certificate: &'a Path,
    /// Its private key (PEM).
    pub key: &'a Path,
}
