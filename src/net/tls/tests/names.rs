//! Servers of names that become known after the start.

use super::*;

/// A verifier that knows the name of no server, or that of a domain, and expects others.
fn of_any_name(authority: &str, domain: Option<&str>) -> Result<Verifier, String> {
    let scratch = Scratch::new();
    let path = scratch.write("authority.pem", authority);
    let authority = Some(&*path);
    let settings =
        TlsSettings { authority, domain, has_other_names: true, ..TlsSettings::default() };
    Verifier::new(settings)
}

fn outcome(verifier: &Verifier, certificate: &'static str, name: &str) -> Outcome {
    let outcomes = VERSIONS.map(|version| {
        let mut server = Setup { certificate, ..Setup::of(version) }.server();
        Wire::default().carry_out(&mut Handshake::with(verifier, name), &mut server)
    });
    assert_eq!(outcomes[0], outcomes[1], "{name}");
    outcomes[0]
}

/// A certificate for this name, signed by the usual key.
fn self_signed(name: &str, more: &str) -> &'static str {
    let scratch = Scratch::new();
    scratch.write("key", &made().key);
    let names = format!("-addext subjectAltName={name} -addext basicConstraints=CA:FALSE {more}");
    Box::leak(scratch.self_signed("own", "key", "own", &names).into_boxed_str())
}

#[test]
fn each_server_proves_the_name_that_it_is_asked_for() {
    for verifier in [of_any_name(&made().authority, None), Ok(verifier())] {
        let verifier = verifier.expect("an authority");
        for (name, want) in [
            (NAME, Outcome::Done),
            ("a.wild.test", Outcome::Done),
            ("127.0.0.1", Outcome::Done),
            ("other.test", failed(HandshakeError::WrongName)),
        ] {
            assert_eq!(outcome(&verifier, &made().server, name), want, "{name}");
        }
    }
}

#[test]
fn a_certificate_in_the_file_counts_for_its_own_name_alone() {
    let (a, b) = (self_signed("DNS:a.test", ""), self_signed("IP:127.0.0.1", ""));
    for (domain, verifier) in [
        ("", of_any_name(&format!("{a}{b}"), None)),
        (NAME, of_any_name(&format!("{a}{b}{}", made().authority), Some(NAME))),
    ] {
        let verifier = verifier.expect("of use for some server");
        let said: Vec<String> =
            verifier.remarks().iter().map(|of| format!("{:?} {}", of.kind, of.number)).collect();
        assert_eq!(said, ["TrustedForItself 1", "TrustedForItself 2"], "{domain}");
        let unfit = UnusableAuthority { problem: AuthorityProblem::Unfit, subject: "CN=own" };
        for (certificate, name, is_taken) in
            [(a, "a.test", true), (b, "127.0.0.1", true), (a, "127.0.0.1", false), (b, NAME, false)]
        {
            let found = outcome(&verifier, certificate, name);
            let want = match is_taken {
                true => Outcome::Done,
                false => failed(HandshakeError::Authority(unfit)),
            };
            assert_eq!(found, want, "{domain} {name}");
        }
    }
}

#[test]
fn a_file_has_to_be_of_use_for_the_servers_that_are_known() {
    let other = self_signed("DNS:other.test", "");
    let useless = "can vouch for a server: number=1 subject=\"CN=own\" reason=not_authority";
    let reason = of_any_name(other, Some(NAME)).expect_err("the domain has another name");
    assert!(reason.ends_with(useless), "{reason}");
    assert!(of_any_name(other, None).is_ok(), "a server may have that name");
    for (names, more) in [
        ("DNS:other.test", "-addext extendedKeyUsage=clientAuth"),
        ("email:a@other.test,URI:https://other.test", ""),
    ] {
        let reason = of_any_name(self_signed(names, more), None).expect_err("for no server");
        assert!(reason.ends_with(useless), "{reason}");
    }
}

#[test]
fn a_name_that_no_certificate_can_be_for_is_an_error() {
    let verifier = verifier();
    for name in ["", ".", "a b", "a..b", "-a.test", "[::1]", "1.2.3", "a.test:1"] {
        let error = verifier.connect(name).expect_err(name);
        assert_eq!(error, HandshakeError::UnusableName, "{name}");
    }
    for name in ["a_b.test", "a.test.", "::1", "xn--bcher-kva.test"] {
        assert!(verifier.connect(name).is_ok(), "{name}");
    }
}

#[test]
fn names_do_not_pile_up() {
    let verifier = verifier();
    let held = Arc::strong_count(&verifier.trust);
    for number in 0..1000 {
        let session = verifier.connect(&format!("m{number}.test")).expect("a name");
        drop(session);
    }
    assert_eq!(Arc::strong_count(&verifier.trust), held, "nothing is kept for a name");
}
