//! Reading certificates: names as texts, and certificates that are cut short or changed.

use std::process::Command;

use super::super::x509;
use super::*;

#[test]
fn names_are_read_as_texts() {
    let scratch = Scratch::new();
    for (subject, want) in [
        ("/C=DE/O=An authority/CN=root", "CN=root,O=An authority,C=DE"),
        ("/DC=test/DC=example/OU=a+CN=b", "CN=b,OU=a,DC=example,DC=test"),
        ("/CN=Gültig", "CN=Gültig"),
        ("/emailAddress=a@b.test", "1.2.840.113549.1.9.1=a@b.test"),
        ("/", ""),
    ] {
        scratch.write("key", &made().key);
        let mut command = Command::new("openssl");
        command.current_dir(&scratch.path);
        command.args("req -x509 -utf8 -multivalue-rdn -key key -days 2".split(' '));
        command.args(["-outform", "DER", "-out", "certificate", "-subj", subject]);
        let output = command.output().expect("openssl runs");
        assert!(output.status.success(), "{subject}: {output:?}");
        let certificate = std::fs::read(scratch.path.join("certificate")).expect("a certificate");
        let read = x509::read(&certificate).expect("a certificate");
        assert_eq!(x509::name(read.subject), want);
    }
    // A name in another alphabet, with two bytes for each character, and bytes that are not a name.
    let name = [49, 13, 48, 11, 6, 3, 85, 4, 3, 30, 4, 0x04, 0x14, 0x04, 0x30];
    assert_eq!(x509::name(&name), "CN=Да");
    assert_eq!(x509::name(&[49, 200]), "unreadable");
}

#[test]
fn certificates_that_are_cut_short_or_changed_are_read_without_a_panic() {
    let text = CertificateDer::from_pem_slice(made().server.as_bytes()).expect("a certificate");
    assert!(x509::read(&text).is_ok());
    for end in 0..text.len() {
        assert!(x509::read(&text[..end]).is_err(), "{end}");
    }
    assert!(x509::read(&[&text[..], &[0]].concat()).is_err());
    for position in 0..text.len() {
        for value in [0, 1, 0x7f, 0x80, 0x82, 0xff] {
            let mut changed = text.to_vec();
            changed[position] = value;
            // Any outcome is right.
            if let Ok(read) = x509::read(&changed) {
                let _ = (x509::name(read.subject), read.key.is_supported());
            }
        }
    }
}
