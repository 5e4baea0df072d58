//! Fields of the certificates in the file, and chains of all kinds that lead to one of them.

use super::*;

/// The settings of `openssl ca`, which can give a certificate any dates.
const SETTINGS: &str = "\
[ca]
default_ca = own
[own]
dir = .
database = issued
new_certs_dir = .
rand_serial = yes
default_md = sha256
string_mask = utf8only
policy = any
unique_subject = no
[any]
commonName = supplied
";
const ALWAYS: [&str; 2] = ["20200101000000Z", "20491231000000Z"];
const PAST: [&str; 2] = ["20200101000000Z", "20200201000000Z"];
const FUTURE: [&str; 2] = ["20491201000000Z", "20491231000000Z"];

/// A maker of certificates for the key of [`Made`] and for one key of authorities.
struct Maker {
    scratch: Scratch,
}

impl Maker {
    fn new() -> Maker {
        let scratch = Scratch::new();
        scratch.write("settings", SETTINGS);
        scratch.write("issued", "");
        scratch.write("server.key", &made().key);
        for key in ["root.key", "middle.key"] {
            scratch.openssl(&format!("genpkey -algorithm EC -pkeyopt {P256} -out {key}"));
        }
        Maker { scratch }
    }

    /// A certificate with these extensions, by the key of `issuer`, which is a name as well: that
    /// of the subject for one that is signed by itself.
    fn issue(
        &self,
        [subject, key]: [&str; 2],
        issuer: &str,
        [start, end]: [&str; 2],
        extensions: &str,
    ) -> String {
        let Maker { scratch } = self;
        scratch.write("extensions", extensions);
        scratch.openssl(&format!("req -new -key {key}.key -out request -subj /CN={subject}"));
        let by = if issuer == subject {
            format!("-selfsign -keyfile {key}.key")
        } else {
            format!("-cert {issuer}.pem -keyfile {issuer}.key")
        };
        scratch.openssl(&format!(
            "ca -batch -notext -config settings {by} -startdate {start} -enddate {end} \
             -extfile extensions -in request -out {subject}.pem"
        ));
        scratch.read(&format!("{subject}.pem"))
    }

    fn authority(&self, period: [&str; 2], extensions: &str) -> String {
        self.issue(["root", "root"], "root", period, extensions)
    }

    /// The certificate of a server, signed by itself, with a key of its own.
    fn own(&self, period: [&str; 2], extensions: &str) -> &'static str {
        let names = format!("subjectAltName=DNS:{NAME}\n{extensions}");
        leaked(self.issue(["own", "server"], "own", period, &names))
    }

    /// A server's certificate by the last authority.
    fn server(&self, extensions: &str) -> &'static str {
        let names = format!("subjectAltName=DNS:{NAME}\n{extensions}");
        leaked(self.issue(["server", "server"], "root", ALWAYS, &names))
    }
}

const P256: &str = "ec_paramgen_curve:prime256v1";
const AUTHORITY: &str = "basicConstraints=critical,CA:TRUE\n";

fn leaked(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

fn outcome_with(verifier: &Verifier, certificate: &'static str) -> Outcome {
    let outcomes = VERSIONS.map(|version| {
        let mut server = Setup { certificate, ..Setup::of(version) }.server();
        Wire::default().handshake(verifier, &mut server)
    });
    assert_eq!(outcomes[0], outcomes[1]);
    outcomes[0]
}

/// The verifier from a file with this text, or the error, with FILE for the path.
fn of_text(text: &str) -> Result<Verifier, String> {
    let scratch = Scratch::new();
    let path = scratch.write("authority.pem", text);
    let shown = path.display().to_string();
    of_path(&path, NAME).map_err(|reason| reason.replace(&shown, "FILE"))
}

fn remarks(verifier: &Verifier) -> Vec<String> {
    verifier.remarks().iter().map(|remark| format!("{:?} {remark}", remark.kind)).collect()
}

#[test]
fn a_certificate_that_must_not_be_an_authority_verifies_no_server() {
    let maker = Maker::new();
    for (extensions, reason) in [
        ("basicConstraints=critical,CA:FALSE", "not_authority"),
        ("subjectKeyIdentifier=hash", "not_authority"),
        ("basicConstraints=CA:FALSE\nextendedKeyUsage=clientAuth", "not_authority"),
        ("basicConstraints=CA:TRUE\nkeyUsage=digitalSignature,cRLSign", "no_certificate_sign"),
        ("basicConstraints=CA:TRUE\nextendedKeyUsage=clientAuth", "wrong_purpose"),
        ("basicConstraints=CA:TRUE\n1.2.3.4=critical,ASN1:NULL", "unknown_critical_extension"),
        ("basicConstraints=CA:TRUE\n2.5.29.99=critical,ASN1:NULL", "unknown_critical_extension"),
    ] {
        let authority = maker.authority(ALWAYS, extensions);
        let message = of_text(&authority).expect_err(extensions);
        let said = format!(r#"number=1 subject="CN=root" reason={reason}"#);
        assert_eq!(message, format!("no certificate in FILE can vouch for a server: {said}"));

        // Together with one that can be used, it causes a remark, and fails chains that lead to it.
        let server = maker.server("");
        let both = format!("{authority}{}", made().authority);
        let verifier = of_text(&both).expect("one authority");
        assert_eq!(remarks(&verifier), [format!("Skipped {said}")]);
        let unfit = root_is(AuthorityProblem::Unfit);
        assert_eq!(outcome_with(&verifier, server), unfit, "{extensions}");
        assert_eq!(outcome_with(&verifier, &made().server), Outcome::Done);
    }
}

#[test]
fn what_is_an_authority_in_one_way_or_another_vouches() {
    let maker = Maker::new();
    for extensions in [
        AUTHORITY,
        "basicConstraints=CA:TRUE",
        "basicConstraints=critical,CA:TRUE,pathlen:0",
        "basicConstraints=CA:TRUE\nkeyUsage=critical,keyCertSign",
        "basicConstraints=CA:TRUE\nextendedKeyUsage=serverAuth,clientAuth",
        "basicConstraints=CA:TRUE\nextendedKeyUsage=critical,anyExtendedKeyUsage",
        "basicConstraints=CA:TRUE\n1.2.3.4=ASN1:NULL",
        "basicConstraints=CA:TRUE\ncertificatePolicies=critical,1.2.3.4",
    ] {
        let authority = maker.authority(ALWAYS, extensions);
        let verifier = of_text(&authority).expect(extensions);
        assert_eq!(remarks(&verifier), [""; 0], "{extensions}");
        assert_eq!(outcome_with(&verifier, maker.server("")), Outcome::Done, "{extensions}");
    }
    // Of version 1, which has no extension to mark an authority.
    maker.scratch.openssl("req -new -key root.key -out request -subj /CN=root");
    maker.scratch.openssl("x509 -req -in request -signkey root.key -days 2 -out root.pem");
    let verifier = of_text(&maker.scratch.read("root.pem")).expect("an authority");
    assert_eq!(outcome_with(&verifier, maker.server("")), Outcome::Done);
}

#[test]
fn an_authority_counts_as_long_as_it_is_in_force() {
    let maker = Maker::new();
    for (period, start, problem) in [
        (PAST, "expired", AuthorityProblem::Expired),
        (FUTURE, "not_yet_valid", AuthorityProblem::NotYetValid),
    ] {
        let authority = maker.authority(period, AUTHORITY);
        let verifier = of_text(&authority).expect("it may be in force later");
        let remark = format!(r#"NotInForce number=1 subject="CN=root" reason={start}"#);
        assert_eq!(remarks(&verifier), [remark]);
        let server = maker.server("");
        assert_eq!(outcome_with(&verifier, server), root_is(problem));

        // The same key under the same name, as authorities are renewed.
        let renewed = maker.authority(ALWAYS, AUTHORITY);
        for both in [authority.clone() + &renewed, renewed + &authority] {
            let verifier = of_text(&both).expect("authorities");
            assert_eq!(outcome_with(&verifier, server), Outcome::Done);
        }
    }
}

#[test]
fn an_authority_expires_while_the_gateway_runs() {
    let maker = Maker::new();
    let authority = maker.authority(["20200101000000Z", "20400101000000Z"], AUTHORITY);
    let server = maker.server("");
    let mut verifier = of_text(&authority).expect("an authority");
    assert_eq!(outcome_with(&verifier, server), Outcome::Done);
    // 2040-01-01 and a second.
    let later = UnixTime::since_unix_epoch(Duration::from_secs(2_208_988_801));
    verifier.config.time_provider = Arc::new(Clock(later));
    assert_eq!(outcome_with(&verifier, server), root_is(AuthorityProblem::Expired));
}

#[test]
fn authorities_in_between_are_limited_by_the_last_one() {
    let maker = Maker::new();
    for (root, want) in [
        (AUTHORITY, Outcome::Done),
        ("basicConstraints=CA:TRUE,pathlen:1", Outcome::Done),
        ("basicConstraints=CA:TRUE,pathlen:0", failed(HandshakeError::BadCertificate)),
    ] {
        let root = maker.authority(ALWAYS, root);
        let middle = maker.issue(["middle", "middle"], "root", ALWAYS, AUTHORITY);
        let names = format!("subjectAltName=DNS:{NAME}\n");
        let server = maker.issue(["server", "server"], "middle", ALWAYS, &names);
        let verifier = of_text(&root).expect("an authority");
        let chain = leaked(format!("{server}{middle}"));
        assert_eq!(outcome_with(&verifier, chain), want);
        let alone = outcome_with(&verifier, leaked(server.clone()));
        assert_eq!(alone, failed(HandshakeError::UnknownAuthority));
        // As for Go, it need not be a root.
        let verifier = of_text(&middle).expect("an authority");
        assert_eq!(outcome_with(&verifier, leaked(server)), Outcome::Done);
    }
}

#[test]
fn few_authorities_may_be_shown_and_few_of_one_subject() {
    let maker = Maker::new();
    let verifier = of_text(&maker.authority(ALWAYS, AUTHORITY)).expect("an authority");
    let server = maker.server("");
    let others: Vec<String> = (0..11)
        .map(|number| maker.issue([&format!("other{number}"), "middle"], "root", ALWAYS, AUTHORITY))
        .collect();
    for (others, most) in [(&others[..], 10), (&vec![others[0].clone(); 4], 3)] {
        let too_long = failed(HandshakeError::ChainTooLong);
        for (count, want) in [(most, Outcome::Done), (most + 1, too_long)] {
            let chain = leaked(format!("{server}{}", others[..count].concat()));
            assert_eq!(outcome_with(&verifier, chain), want, "{count} others");
        }
    }
}

#[test]
fn what_is_itself_in_the_file_may_be_shown_while_it_is_in_force() {
    let maker = Maker::new();
    let remark = r#"TrustedForItself number=1 subject="CN=own" reason=not_authority"#;
    for (period, extensions, said, want) in [
        (ALWAYS, AUTHORITY, vec![], Outcome::Done),
        (ALWAYS, "basicConstraints=CA:FALSE", vec![remark], Outcome::Done),
        (ALWAYS, "extendedKeyUsage=anyExtendedKeyUsage", vec![remark], Outcome::Done),
        (
            PAST,
            "basicConstraints=CA:TRUE",
            vec![r#"NotInForce number=1 subject="CN=own" reason=expired"#],
            failed(HandshakeError::Expired),
        ),
        (
            FUTURE,
            "basicConstraints=CA:TRUE",
            vec![r#"NotInForce number=1 subject="CN=own" reason=not_yet_valid"#],
            failed(HandshakeError::NotYetValid),
        ),
    ] {
        let certificate = maker.own(period, extensions);
        let verifier = of_text(certificate).expect(extensions);
        assert_eq!(remarks(&verifier), said, "{extensions}");
        assert_eq!(outcome_with(&verifier, certificate), want, "{extensions}");
        // Another one of the same name and key needs an authority.
        let other = maker.own(ALWAYS, "basicConstraints=CA:FALSE\nsubjectKeyIdentifier=hash");
        let is_taken = outcome_with(&verifier, other) == Outcome::Done;
        assert_eq!(is_taken, extensions == AUTHORITY, "{extensions}");
    }
    // Useless, as the names or the purpose are others.
    let text = maker.issue(["own", "server"], "own", ALWAYS, "subjectAltName=DNS:other.test");
    assert!(of_text(&text).expect_err("another name").contains("reason=not_authority"));
    let text = maker.own(ALWAYS, "extendedKeyUsage=clientAuth");
    assert!(of_text(text).expect_err("another purpose").contains("reason=not_authority"));
}

#[test]
fn of_many_authorities_of_one_name_the_key_identifier_finds_the_one() {
    let maker = Maker::new();
    let with_ids = "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid:always";
    let authority = maker.authority(ALWAYS, &format!("{AUTHORITY}{with_ids}"));
    let server = maker.server(with_ids);
    let without_ids = maker.server("authorityKeyIdentifier=none");
    let mut others = String::new();
    for _ in 0..99 {
        let scratch = &maker.scratch;
        scratch.openssl(&format!("genpkey -algorithm EC -pkeyopt {P256} -out other.key"));
        let own = format!("-addext {}", AUTHORITY.trim());
        scratch
            .openssl(&format!("req -x509 -key other.key -out other -subj /CN=root -days 2 {own}"));
        others += &scratch.read("other");
    }
    let verifier = of_text(&(others.clone() + &authority)).expect("authorities");
    assert_eq!(outcome_with(&verifier, server), Outcome::Done, "the last of a hundred");
    assert_eq!(outcome_with(&verifier, without_ids), Outcome::Done, "as many as are tried");
    // Those of other names do not count.
    let more = made().authority.clone() + &others + &authority;
    assert_eq!(outcome_with(&of_text(&more).expect("authorities"), without_ids), Outcome::Done);

    let first = others.split_inclusive("-----END CERTIFICATE-----\n").next().expect("many");
    let verifier = of_text(&format!("{first}{others}{authority}")).expect("authorities");
    assert_eq!(outcome_with(&verifier, server), Outcome::Done);
    let too_many = failed(HandshakeError::TooManyAuthorities);
    assert_eq!(outcome_with(&verifier, without_ids), too_many);
}

#[test]
fn a_certificate_for_any_purpose_is_one_for_servers() {
    let maker = Maker::new();
    let verifier = of_text(&maker.authority(ALWAYS, AUTHORITY)).expect("an authority");
    for (usage, want) in [
        ("serverAuth", Outcome::Done),
        ("anyExtendedKeyUsage", Outcome::Done),
        ("clientAuth,anyExtendedKeyUsage", Outcome::Done),
        ("clientAuth", failed(HandshakeError::WrongPurpose)),
        ("codeSigning,1.2.3.4", failed(HandshakeError::WrongPurpose)),
    ] {
        let server = maker.server(&format!("extendedKeyUsage={usage}"));
        assert_eq!(outcome_with(&verifier, server), want, "{usage}");
    }
}

#[test]
fn what_is_not_supported_has_a_reason_of_its_own() {
    let maker = Maker::new();
    let root = maker.authority(ALWAYS, AUTHORITY);
    let verifier = of_text(&root).expect("an authority");
    for (extensions, want) in [
        ("1.2.3.4=critical,ASN1:NULL", HandshakeError::UnsupportedExtension),
        (AUTHORITY, HandshakeError::AuthorityAsServer),
    ] {
        assert_eq!(outcome_with(&verifier, maker.server(extensions)), failed(want), "{extensions}");
    }
    let names = format!("subjectAltName=DNS:{NAME}\n");
    let early = ["19650101000000Z", "20491231000000Z"];
    let server = leaked(maker.issue(["server", "server"], "root", early, &names));
    assert_eq!(outcome_with(&verifier, server), failed(HandshakeError::Before1970));

    // An authority in between that is as old, and one that is in the file, where we read it.
    let middle = maker.issue(["middle", "middle"], "root", early, AUTHORITY);
    let server = maker.issue(["server", "server"], "middle", ALWAYS, &names);
    let chain = leaked(format!("{server}{middle}"));
    assert_eq!(outcome_with(&verifier, chain), failed(HandshakeError::Before1970));
    for early in [early, ["00010101000000Z", "99991231235959Z"]] {
        let verifier = of_text(&maker.authority(early, AUTHORITY)).expect("an authority");
        assert_eq!(remarks(&verifier), [""; 0]);
        assert_eq!(outcome_with(&verifier, maker.server("")), Outcome::Done);
    }

    let limited = format!("{AUTHORITY}nameConstraints=critical,permitted;DNS:other.test");
    let verifier = of_text(&maker.authority(ALWAYS, &limited)).expect("an authority");
    let want = failed(HandshakeError::NameNotPermitted);
    assert_eq!(outcome_with(&verifier, maker.server("")), want);
}

#[test]
fn keys_that_cannot_be_verified_are_named_at_the_start_and_by_the_proof() {
    for key in [
        "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024",
        "genpkey -algorithm ED448",
        "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:secp224r1",
        "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:brainpoolP256r1",
    ] {
        let maker = Maker::new();
        maker.scratch.openssl(&format!("{key} -out root.key"));
        let verifier = of_text(&maker.authority(ALWAYS, AUTHORITY)).expect("an authority");
        let want = [r#"Unusable number=1 subject="CN=root" reason=unsupported_key"#];
        assert_eq!(remarks(&verifier), want, "{key}");
        let want = failed(HandshakeError::UnsupportedAlgorithm);
        assert_eq!(outcome_with(&verifier, maker.server("")), want, "{key}");
    }
    // SHA-1 is no longer accepted anywhere.
    let maker = Maker::new();
    let verifier = of_text(&maker.authority(ALWAYS, AUTHORITY)).expect("an authority");
    maker.scratch.write("settings", &SETTINGS.replace("sha256", "sha1"));
    let want = failed(HandshakeError::UnsupportedAlgorithm);
    assert_eq!(outcome_with(&verifier, maker.server("")), want);
}

#[test]
fn other_labels_of_certificates_are_taken() {
    for label in ["X509 CERTIFICATE", "TRUSTED CERTIFICATE"] {
        let text = made().authority.replace("CERTIFICATE", label);
        assert!(text.starts_with(&format!("-----BEGIN {label}-----\n")));
        let both = format!("{}{text}", made().other_authority);
        for text in [text.clone(), text.replace('\n', "\r\n"), text.trim_end().to_owned(), both] {
            let verifier = of_text(&text).expect("an authority");
            assert_eq!(outcome_with(&verifier, &made().server), Outcome::Done);
        }
    }
    // With the limits of trust that OpenSSL appends to the certificate.
    let maker = Maker::new();
    maker.scratch.write("root.pem", &made().authority);
    maker.scratch.openssl("x509 -in root.pem -addreject serverAuth -out trusted.pem");
    let text = maker.scratch.read("trusted.pem");
    assert!(text.starts_with("-----BEGIN TRUSTED CERTIFICATE-----\n"));
    let message = of_text(&text).expect_err("not trusted for servers");
    assert_eq!(message, "certificate 1 in FILE is broken: not valid X.509");
}
