//! Certificates of our own: the forms of keys, what servers get to see, and files of no use.

use super::*;
use crate::net::tls_settings::ClientFiles;

/// What makes a key, for openssl(1), where it is not made by genpkey(1).
const RSA: &str = "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out key";
const ED25519: &str = "genpkey -algorithm ED25519 -out key";

fn ec(curve: &str) -> String {
    format!("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:{curve} -out key")
}

/// A verifier with what these two files hold, or the error, with CERT and KEY for the paths.
fn of_texts(certificate: &str, key: &str) -> Result<Verifier, String> {
    let scratch = Scratch::new();
    let authority = scratch.write("authority.pem", &made().authority);
    let certificate = scratch.write("certificate.pem", certificate);
    let key = scratch.write("key.pem", key);
    of_paths(&authority, &certificate, &key)
}

fn of_paths(authority: &Path, certificate: &Path, key: &Path) -> Result<Verifier, String> {
    let settings = TlsSettings {
        authority: Some(authority),
        client: Some(ClientFiles { certificate, key }),
        domain: Some(NAME),
        ..TlsSettings::default()
    };
    let shown = [certificate, key].map(|path| path.display().to_string());
    Verifier::new(settings)
        .map_err(|reason| reason.replace(&shown[0], "CERT").replace(&shown[1], "KEY"))
}

/// A certificate by the usual authority for the key in the file `key`.
fn issue(scratch: &Scratch, extensions: &str) -> String {
    scratch.write("authority", &made().authority);
    scratch.write("authority.key", &made().authority_key);
    scratch.openssl("req -new -key key -out request -subj /CN=client");
    scratch.signed("client", "-CA authority -CAkey authority.key -CAcreateserial", extensions)
}

/// The certificates that a server has seen which demands one.
fn seen(verifier: &Verifier, version: &'static SupportedProtocolVersion) -> Vec<Vec<u8>> {
    let mut server = Setup::asking(version).server();
    let outcome = Wire::default().handshake(verifier, &mut server);
    let Server::Tls { mut connection, outcome: server_outcome, .. } = server else {
        unreachable!()
    };
    assert_eq!((outcome, server_outcome), (Outcome::Done, Ok(())), "{version:?}");
    assert!(!connection.is_handshaking(), "{version:?}");
    assert!(connection.process_new_packets().is_ok());
    let shown = connection.peer_certificates().expect("what it demands");
    shown.iter().map(|one| one.to_vec()).collect()
}

#[test]
fn keys_of_each_form_are_shown_with_the_whole_chain() {
    for (make, convert) in [
        (ec("prime256v1"), ""),
        (ec("secp384r1"), ""),
        // SEC1, and the same behind its parameters.
        (ec("prime256v1"), "ec -in key -out converted"),
        ("ecparam -name prime256v1 -genkey -out key".to_owned(), ""),
        (RSA.to_owned(), ""),
        (RSA.to_owned(), "rsa -in key -traditional -out converted"),
        (ED25519.to_owned(), ""),
    ] {
        let scratch = Scratch::new();
        scratch.openssl(&make);
        let certificate = issue(&scratch, "extendedKeyUsage=clientAuth");
        let key = match convert {
            "" => scratch.read("key"),
            convert => {
                scratch.openssl(convert);
                scratch.read("converted")
            }
        };
        let chain = format!("{certificate}{}", made().authority);
        let der: Vec<Vec<u8>> = CertificateDer::pem_slice_iter(chain.as_bytes())
            .map(|one| one.expect("a certificate").to_vec())
            .collect();
        let verifier = of_texts(&chain, &key).expect(&key);
        assert_eq!(verifier.remarks(), []);
        for version in VERSIONS {
            assert_eq!(seen(&verifier, version), der, "{make} {convert}");
        }
        // In one file, in any order.
        for both in [format!("{key}{chain}"), format!("{chain}{key}")] {
            let verifier = of_texts(&both, &both).expect("both are in it");
            assert_eq!(seen(&verifier, &TLS13), der);
        }
    }
}

#[test]
fn a_server_that_asks_for_none_sees_none() {
    let made = made();
    let verifier = of_texts(&made.client, &made.key).expect("a pair");
    for version in VERSIONS {
        let mut server = Setup::of(version).server();
        assert_eq!(Wire::default().handshake(&verifier, &mut server), Outcome::Done);
        let Server::Tls { connection, .. } = server else { unreachable!() };
        assert_eq!(connection.peer_certificates(), None, "{version:?}");
    }
}

#[test]
fn a_key_has_to_be_that_of_the_first_certificate() {
    let made = made();
    let other = "the private key in KEY is not that of certificate 1 in CERT";
    for (certificate, key) in [
        (&made.client, &made.other_key),
        (&format!("{}{}", made.authority, made.client), &made.key),
    ] {
        assert_eq!(of_texts(certificate, key).expect_err("another pair"), other);
    }
    // Of another kind as well.
    let scratch = Scratch::new();
    scratch.openssl(RSA);
    assert_eq!(of_texts(&made.client, &scratch.read("key")).expect_err("RSA"), other);
}

#[test]
fn files_without_what_they_should_have_are_named() {
    let made = made();
    let scratch = Scratch::new();
    scratch.write("key", &made.key);
    scratch.openssl("pkcs8 -topk8 -in key -passout pass:secret -out encrypted");
    scratch.openssl("ec -in key -aes128 -passout pass:secret -out traditional");
    let broken = "-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----\n";
    let garbage = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let no_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let kinds = "ECDSA by P-256 or P-384, Ed25519, RSA of 2048, 3072 or 4096 bits";
    let unusable = format!("the private key in KEY cannot be used: it is none of {kinds}");
    let encrypted = "the private key in KEY is encrypted: it has to be without a password";
    for (certificate, key, want) in [
        ("", &*made.key, "no certificate in CERT"),
        (&made.key, &made.key, "no certificate in CERT"),
        (no_certificate, &made.key, "certificate 1 in CERT is broken: not valid X.509"),
        (&made.client, "", "no private key in KEY"),
        (&made.client, &made.client, "no private key in KEY"),
        (&made.client, broken, "the private key in KEY is broken: not valid PEM"),
        (&made.client, garbage, &unusable),
        (&made.client, &scratch.read("encrypted"), encrypted),
        (&made.client, &scratch.read("traditional"), encrypted),
    ] {
        assert_eq!(of_texts(certificate, key).expect_err(want), want);
    }
    for make in [ec("secp521r1"), RSA.replace("2048", "1024")] {
        scratch.openssl(&make);
        let (certificate, key) = (issue(&scratch, ""), scratch.read("key"));
        assert_eq!(of_texts(&certificate, &key).expect_err(&make), unusable);
    }
    let authority = scratch.write("authority.pem", &made.authority);
    let (certificate, missing) = (scratch.write("cert", &made.client), scratch.path.join("none"));
    let reason = of_paths(&authority, &certificate, &missing).expect_err("no file");
    assert!(reason.starts_with("cannot read KEY: "), "{reason}");
    let reason = of_paths(&authority, &missing, &certificate).expect_err("no file");
    assert!(reason.starts_with("cannot read CERT: "), "{reason}");
}

#[test]
fn a_certificate_that_servers_will_refuse_is_told() {
    let scratch = Scratch::new();
    scratch.openssl(&ec("prime256v1"));
    for (extensions, want) in [
        ("extendedKeyUsage=serverAuth", &["NotForClients 1 CN=client wrong_purpose"][..]),
        ("extendedKeyUsage=serverAuth,clientAuth", &[]),
        ("extendedKeyUsage=anyExtendedKeyUsage", &[]),
        ("basicConstraints=CA:FALSE", &[]),
    ] {
        let certificate = issue(&scratch, extensions);
        let verifier = of_texts(&certificate, &scratch.read("key")).expect("a pair");
        let said: Vec<String> = verifier
            .remarks()
            .iter()
            .inspect(|remark| assert!(remark.file.is_some(), "{remark:?}"))
            .map(|of| format!("{:?} {} {} {}", of.kind, of.number, of.subject, of.reason))
            .collect();
        assert_eq!(said, want, "{extensions}");
    }
    let read = CertificateDer::from_pem_slice(made().client.as_bytes()).expect("a certificate");
    for (time, want) in [
        (now() + TEN_YEARS, Some("expired")),
        (now() - TEN_YEARS, Some("not_yet_valid")),
        (now(), None),
    ] {
        let chain = [read.clone()];
        let remarks = identity::remarks(&chain, UnixTime::since_unix_epoch(time));
        let reasons: Vec<&str> =
            remarks.expect("a certificate").iter().map(|remark| remark.reason).collect();
        assert_eq!(reasons, want.into_iter().collect::<Vec<_>>());
    }
}
