//! Where the certificates that we trust come from: a file, or the system. Reads files, and so
//! blocks; that belongs before the reactor.

use std::path::Path;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls_native_certs::CertificateResult;

use super::super::remark::Remark;
use super::trust::Trust;

/// The certificates of a file, in the form of RFC 7468.
pub(super) fn of_file(
    path: &Path,
    name: &ServerName<'_>,
    now: UnixTime,
) -> Result<(Trust, Vec<Remark>), String> {
    let shown = path.display();
    let text = std::fs::read(path).map_err(|error| format!("cannot read {shown}: {error}"))?;
    let text = with_usual_labels(&text);
    let broken = |number: usize, reason: &str| {
        format!("certificate {number} in {shown} is broken: {reason}")
    };
    let (mut trust, mut remarks) = (Trust::default(), Vec::new());
    let mut count = 0;
    for certificate in CertificateDer::pem_slice_iter(&text) {
        count += 1;
        let certificate = certificate.map_err(|_| broken(count, "no valid PEM"))?;
        let said = trust.add(count, &certificate, name, now);
        remarks.extend(said.ok_or_else(|| broken(count, "no valid X.509"))?);
    }
    if count == 0 {
        return Err(format!("no certificate in {shown}"));
    }
    if trust.is_useless() {
        let reasons: Vec<String> = remarks.iter().map(Remark::to_string).collect();
        let reasons = reasons.join("; ");
        return Err(format!("no certificate in {shown} can vouch for a server: {reasons}"));
    }
    Ok((trust, remarks))
}

/// The text with the other labels of certificates replaced by the usual one: the older one (RFC
/// 7468, section 5.3), and that of OpenSSL, which may have more behind the certificate. To what has
/// that, trust is limited; it is no certificate to others, and so is broken here.
fn with_usual_labels(text: &[u8]) -> Vec<u8> {
    const OTHERS: [&[u8]; 4] = [
        b"-----BEGIN X509 CERTIFICATE-----",
        b"-----END X509 CERTIFICATE-----",
        b"-----BEGIN TRUSTED CERTIFICATE-----",
        b"-----END TRUSTED CERTIFICATE-----",
    ];
    let mut usual = Vec::with_capacity(text.len());
    for line in text.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
        let replaced = match OTHERS.iter().position(|other| line.starts_with(other)) {
            Some(0 | 2) => &b"-----BEGIN CERTIFICATE-----"[..],
            Some(_) => b"-----END CERTIFICATE-----",
            None => b"",
        };
        usual.extend(replaced);
        usual.extend(if replaced.is_empty() { line } else { b"\n" });
    }
    usual
}

/// The system's certificates. Some that cannot be used are no reason to do without the others, and
/// nothing that a user of this program could mend.
pub(super) fn of_system(
    found: CertificateResult,
    name: &ServerName<'_>,
    now: UnixTime,
) -> Result<Trust, String> {
    let mut trust = Trust::default();
    for (number, certificate) in (1..).zip(&found.certs) {
        // What is no certificate is passed over.
        let _ = trust.add(number, certificate, name, now);
    }
    if trust.is_useless() {
        let reason = found.errors.first().map_or("none was found".to_owned(), |e| e.to_string());
        return Err(format!("this system has no certificates of authorities: {reason}"));
    }
    Ok(trust)
}
