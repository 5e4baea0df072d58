//! The certificate of our own, for servers that ask for one, with its key. Reads files, which may
//! block, and so runs before the reactor.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};

use super::super::remark::{Remark, RemarkKind};
use super::super::tls_settings::ClientFiles;
use super::file;
use super::trust::{OutOfForce, Validity};
use super::x509;

/// The keys that can sign, for the error.
const KEYS: &str = "ECDSA by P-256 or P-384, Ed25519, RSA of 2048, 3072 or 4096 bits";

/// The certificate, with those that vouch for it, and its key; with remarks as of `now`.
///
/// # Errors
/// One line with the path, for a file that cannot be read, has no certificate or key, or a broken
/// one, for a key that cannot sign here, and for one that is not the certificate's.
pub(super) fn of_files(
    files: ClientFiles<'_>,
    provider: &CryptoProvider,
    now: UnixTime,
) -> Result<(Arc<CertifiedKey>, Vec<Remark>), String> {
    let ClientFiles { certificate, key } = files;
    let shown = certificate.display();
    let chain = file::certificates(certificate)?;
    let remarks = remarks(&chain, now).ok_or_else(|| file::broken(1, certificate, "X.509"))?;
    let path = key.display();
    let key = private_key(key)?;
    let identity = CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            format!("the private key in {path} is not that of certificate 1 in {shown}")
        }
        _ => format!("the private key in {path} cannot be used: it is none of {KEYS}"),
    })?;
    let file = Some(shown.to_string());
    let remarks = remarks.into_iter().map(|remark| Remark { file: file.clone(), ..remark });
    Ok((Arc::new(identity), remarks.collect()))
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let text = file::read(path)?;
    let path = path.display();
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        // PKCS #8 says so in its label, the older forms in a line below it (RFC 1421, 4.6.1.1).
        _ if text.windows(9).any(|nine| nine == b"ENCRYPTED") => {
            format!("the private key in {path} is encrypted: it has to be without a password")
        }
        pem::Error::NoItemsFound => format!("no private key in {path}"),
        _ => format!("the private key in {path} is broken: not valid PEM"),
    })
}

/// The reasons why servers are likely to refuse the first of these certificates; `None` if it is
/// not a certificate.
pub(super) fn remarks(chain: &[CertificateDer<'_>], now: UnixTime) -> Option<Vec<Remark>> {
    let read = x509::read(chain.first()?).ok()?;
    let validity = Validity { not_before: read.not_before, not_after: read.not_after };
    let out_of_force = validity.objection(now).map(OutOfForce::word);
    let reasons = [
        out_of_force.map(|reason| (RemarkKind::NotInForce, reason)),
        (read.may_be_clients == Some(false))
            .then_some((RemarkKind::NotForClients, "wrong_purpose")),
    ];
    let (number, subject) = (1, x509::name(read.subject));
    let remarks = reasons.into_iter().flatten().map(|(kind, reason)| Remark {
        kind,
        number,
        subject: subject.clone(),
        reason,
        file: None,
    });
    Some(remarks.collect())
}
