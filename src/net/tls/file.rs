//! The sources of trusted certificates: a file, or the system. Reads files, which may block, and so
//! runs before the reactor.

use std::path::Path;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls_native_certs::CertificateResult;

use super::super::remark::Remark;
use super::trust::{Names, Trust};

/// Trust in the certificates of a file (PEM, RFC 7468), with remarks as of `now`.
///
/// # Errors
/// One line with the path, for a file that cannot be read, has no certificate or a broken one, or
/// has none by which a server could be verified, as far as its name is known.
pub(super) fn of_file(
    path: &Path,
    names: Names,
    now: UnixTime,
) -> Result<(Trust, Vec<Remark>), String> {
    let (mut trust, mut remarks) = (Trust::new(names), Vec::new());
    for (number, certificate) in (1..).zip(&certificates(path)?) {
        let added = trust.add(number, certificate, now);
        remarks.extend(added.ok_or_else(|| broken(number, path, "X.509"))?);
    }
    if trust.is_useless() {
        let reasons: Vec<String> = remarks.iter().map(Remark::to_string).collect();
        let (shown, reasons) = (path.display(), reasons.join("; "));
        return Err(format!("no certificate in {shown} can vouch for a server: {reasons}"));
    }
    Ok((trust, remarks))
}

/// The certificates of a file (PEM, RFC 7468), at least one. Other text is ignored.
///
/// # Errors
/// One line with the path, for a file that cannot be read, has none, or one that is not PEM.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = with_usual_labels(&read(path)?);
    let certificates: Vec<CertificateDer<'static>> = (1..)
        .zip(CertificateDer::pem_slice_iter(&text))
        .map(|(number, certificate)| certificate.map_err(|_| broken(number, path, "PEM")))
        .collect::<Result<_, String>>()?;
    match certificates.is_empty() {
        true => Err(format!("no certificate in {}", path.display())),
        false => Ok(certificates),
    }
}

/// The error for a certificate, counted from 1, that is not in this `form`.
pub(super) fn broken(number: usize, path: &Path, form: &str) -> String {
    format!("certificate {number} in {} is broken: not valid {form}", path.display())
}

/// The bytes of a file.
///
/// # Errors
/// One line with the path, for a file that cannot be read.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

/// The text with two other labels of certificates replaced by the usual one: the older one (RFC
/// 7468, section 5.3), and that of OpenSSL. OpenSSL may append limits of trust to the certificate,
/// which other programs cannot read: such a certificate counts as broken.
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

/// Trust in the system's certificates. Those that cannot be used are skipped without a remark: the
/// others suffice, and users of this program cannot mend them.
///
/// # Errors
/// One line, if there is no certificate by which a server could be verified, as far as its name is
/// known.
pub(super) fn of_system(
    found: CertificateResult,
    names: Names,
    now: UnixTime,
) -> Result<Trust, String> {
    let mut trust = Trust::new(names);
    for (number, certificate) in (1..).zip(&found.certs) {
        // An item that is not a certificate is skipped.
        let _ = trust.add(number, certificate, now);
    }
    if trust.is_useless() {
        let reason = found.errors.first().map_or("none was found".to_owned(), |e| e.to_string());
        return Err(format!("this system has no certificates of authorities: {reason}"));
    }
    Ok(trust)
}
