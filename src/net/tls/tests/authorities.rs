//! Sources of authorities: a file, or the system.

use super::*;

#[test]
fn a_file_may_have_several_authorities_and_other_text() {
    let made = made();
    let several = [&made.other_authority, "# ours\n", &made.key, &made.authority].join("\n");
    let verifier = verifier_of(&several, NAME);
    assert_eq!(
        Wire::default().handshake(&verifier, &mut Setup::of(&TLS13).server()),
        Outcome::Done
    );
}

#[test]
fn a_file_that_cannot_be_used_is_named_in_one_line() {
    let scratch = Scratch::new();
    let half = &made().authority[..made().authority.len() / 2];
    let base64 = "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n";
    let content = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let second = made().authority.clone() + content;
    for (name, text, want) in [
        ("empty", "", "no certificate in "),
        ("garbage", "\u{0}\u{1}, or so", "no certificate in "),
        ("key", &made().key, "no certificate in "),
        ("half", half, "certificate 1 in "),
        ("base64", base64, "certificate 1 in "),
        ("content", content, "certificate 1 in "),
        ("second", &second, "certificate 2 in "),
    ] {
        let path = scratch.write(name, text);
        let reason = of_path(&path, NAME).expect_err(name);
        assert!(reason.starts_with(want), "{reason}");
        assert!(reason.contains(&path.display().to_string()), "{reason}");
        assert!(!reason.contains('\n'), "{reason}");
    }
    for path in [scratch.path.join("missing"), scratch.path.clone()] {
        let reason = of_path(&path, NAME).expect_err("no file");
        assert!(reason.starts_with(&format!("cannot read {}: ", path.display())), "{reason}");
    }
}

#[test]
fn a_name_has_to_be_one() {
    let scratch = Scratch::new();
    let path = scratch.write("authority.pem", &made().authority);
    for name in ["", ".", "a b", "a..b", "-a.test", "[::1]", "1.2.3", "a.test:1"] {
        let reason = of_path(&path, name).expect_err(name);
        assert_eq!(reason, format!("{name:?} is neither a DNS name nor an IP address"));
    }
}

#[test]
fn the_system_needs_one_certificate_that_can_be_used() {
    let domain = Some(server_name(NAME).expect("a name"));
    let (names, now) = (Names { domain, has_others: false }, UnixTime::now());
    let nothing = CertificateResult::default();
    let reason = file::of_system(nothing, names.clone(), now).expect_err("nothing found");
    assert_eq!(reason, "this system has no certificates of authorities: none was found");

    let mut found = CertificateResult::default();
    let broken = CertificateDer::from(vec![0]);
    let authority = CertificateDer::from_pem_slice(made().authority.as_bytes());
    found.certs = vec![broken, authority.expect("a certificate")];
    let trust = file::of_system(found, names, now).expect("one that can be used");
    let verifier = Verifier::trusting(trust).expect("a verifier");
    assert_eq!(
        Wire::default().handshake(&verifier, &mut Setup::of(&TLS13).server()),
        Outcome::Done
    );
}
