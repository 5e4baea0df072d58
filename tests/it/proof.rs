//! `--trusted-ca-file`: keys, certificates and servers of all kinds, made by openssl, and etcd.
//!
//! What is taken and what is not is in docs/discovery.md, with what Go and OpenSSL do.

use std::fs;
use std::path::{Path, PathBuf};

use crate::util::*;
use crate::verify::{
    DOMAIN, NAME, is_served, put, secure_cluster, serve_names, verifying, wait_not_verified,
    wait_verified,
};

const AUTHORITY: &str = "basicConstraints=critical,CA:TRUE";

/// Every curve of the authority with every hash, under both versions of TLS. A server of TLS 1.2
/// shows a key of P-521 only to those who list the curve.
#[test]
fn members_with_keys_of_every_curve_prove_themselves() {
    Machine::run(|machine| {
        let directory = TemporaryDirectory::new();
        let (mut servers, mut trusted, mut octet) = (Vec::new(), String::new(), 10);
        for (curve, key) in [("p256", P256), ("p384", P384), ("p521", P521)] {
            for hash in ["sha256", "sha384", "sha512"] {
                let name = format!("{curve}-{hash}");
                let kind = [key, hash];
                let authority = Authority::of_kind(directory.path(), &name, kind, AUTHORITY);
                trusted += &fs::read_to_string(authority.certificate()).expect("a certificate");
                // The member's key is of another curve than its authority's, too.
                for (member, key) in [("same", key), ("p521", P521), ("p384", P384)] {
                    let own = authority.issue_with([member, key], NAME, Validity::Valid);
                    let version = ["-tls1_2", "-tls1_3"][usize::from(octet % 2 == 0)];
                    octet += 1;
                    servers.push(TlsServer::start(member_address(octet), &own, &[version]));
                }
            }
        }
        let octets: Vec<u8> = (11..=octet).collect();
        let trust = write(&directory, "all.pem", &trusted);
        let _dns = serve_names(&octets);
        let gateway = verifying(machine, &trust).start();
        // Enough at once for some to be logged in one line together.
        let is_verified = |octet: &u8| {
            let address = member_address(*octet).to_string();
            let tells = |line: &String| line.contains(" verified") && line.contains(&address);
            gateway.log().iter().any(tells)
        };
        until("all of them are verified", || octets.iter().all(is_verified));
        assert!(is_served(&gateway));
        assert_eq!(gateway.log_count("not verified") + gateway.log_count("not_verified"), 0);
    });
}

#[test]
fn servers_of_p521_alone_are_verified_by_either_version() {
    Machine::run(|machine| {
        let directory = TemporaryDirectory::new();
        let ours = Authority::of_kind(directory.path(), "ours", [P521, "sha512"], AUTHORITY);
        let own = ours.issue_with(["member", P521], NAME, Validity::Valid);
        let start = |octet, version| {
            let arguments = [version, "-groups", "P-521", "-sigalgs", "ECDSA+SHA512"];
            TlsServer::start(member_address(octet), &own, &arguments)
        };
        let _servers = [start(11, "-tls1_2"), start(12, "-tls1_3")];
        let _dns = serve_names(&[11, 12]);
        let gateway = verifying(machine, &ours.certificate()).start();
        wait_verified(&gateway, 11);
        wait_verified(&gateway, 12);
    });
}

/// The whole of it with the strongest curve: a real cluster, and etcdctl through the gateway.
#[test]
fn cluster_with_keys_of_p521_proves_itself() {
    Machine::run(|machine| {
        let directory = TemporaryDirectory::new();
        let ours = Authority::of_kind(directory.path(), "ours", [P521, "sha512"], AUTHORITY);
        let names = format!("{NAME},IP:127.0.0.1");
        let own = ours.issue_with(["member", P521], &names, Validity::Valid);
        let _cluster = secure_cluster(&ours, &own);
        let _dns = serve_names(&[11, 12, 13]);
        let gateway = verifying(machine, &ours.certificate()).start();
        for octet in [11, 12, 13] {
            wait_verified(&gateway, octet);
        }
        assert!(put(&gateway, &ours, &own));
    });
}

#[test]
fn members_without_anything_in_common_with_us_are_told_apart() {
    Machine::run(|machine| {
        let directory = TemporaryDirectory::new();
        let ours = Authority::new(directory.path(), "ours");
        let issue = |name: &str, key: &str| ours.issue_with([name, key], NAME, Validity::Valid);
        let rsa = issue("rsa", "rsa:2048");
        let short = issue("short", "rsa:1024");
        let usual = issue("usual", P256);
        let rows: [(u8, &Certificate, &[&str], &str); 8] = [
            // Without forward secrecy, and with an older mode of encryption.
            (11, &rsa, &["-tls1_2", "-cipher", "AES128-GCM-SHA256"], "no_common_cipher_suite"),
            (12, &rsa, &["-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA"], "no_common_cipher_suite"),
            (13, &usual, &["-tls1_3", "-groups", "X448"], "no_common_cipher_suite"),
            (14, &issue("ed448", "ed448"), &["-tls1_3"], "no_common_cipher_suite"),
            (15, &usual, &["-tls1_1", "-cipher", "ALL@SECLEVEL=0"], "no_common_tls_version"),
            (16, &short, &["-cipher", "ALL@SECLEVEL=0"], "certificate_unsupported_algorithm"),
            (
                17,
                &short,
                &["-tls1_2", "-cipher", "ALL@SECLEVEL=0"],
                "certificate_unsupported_algorithm",
            ),
            (
                18,
                &issue("p224", "ec -pkeyopt ec_paramgen_curve:secp224r1"),
                &["-tls1_2"],
                "no_common_cipher_suite",
            ),
        ];
        let _servers: Vec<TlsServer> = rows
            .iter()
            .map(|(octet, own, more, _)| TlsServer::start(member_address(*octet), own, more))
            .collect();
        let _dns = serve_names(&rows.each_ref().map(|(octet, ..)| *octet));
        let gateway = verifying(machine, &ours.certificate()).start();
        for (octet, _, _, reason) in rows {
            wait_not_verified(&gateway, octet, reason);
        }
    });
}

fn write(directory: &TemporaryDirectory, name: &str, text: &str) -> PathBuf {
    let path = directory.path().join(name);
    fs::write(&path, text).expect("write to our own directory");
    path
}

fn refuse_trust(path: &Path, parts: &[&str]) {
    let trust = format!("--trusted-ca-file={}", path.display());
    let builder = Gateway::builder().arg(DOMAIN).arg(&trust).log_level("info");
    let output = finish(&mut builder.command(), "");
    check_refusal(&path, &output, 1, &[&[path.to_str().expect("of ours")], parts].concat());
}

#[test]
fn what_is_not_an_authority_is_refused_at_the_start_by_its_name() {
    let directory = TemporaryDirectory::new();
    for (name, extensions, reason) in [
        ("no", "basicConstraints=critical,CA:FALSE", "not_authority"),
        ("mute", "subjectKeyIdentifier=hash", "not_authority"),
        ("usage", "basicConstraints=CA:TRUE keyUsage=digitalSignature", "no_certificate_sign"),
        ("purpose", "basicConstraints=CA:TRUE extendedKeyUsage=clientAuth", "wrong_purpose"),
        (
            "extension",
            "basicConstraints=CA:TRUE 1.2.3.4=critical,ASN1:NULL",
            "unknown_critical_extension",
        ),
    ] {
        let authority = Authority::of_kind(directory.path(), name, [P256, "sha256"], extensions);
        let subject = format!(r#"subject="CN={name}""#);
        refuse_trust(&authority.certificate(), &[&subject, &format!("reason={reason}")]);
    }
    let ours = Authority::new(directory.path(), "ours");
    let client = ours.issue("client", "DNS:client.test", Validity::Valid);
    refuse_trust(&client.certificate, &[r#"subject="CN=client""#, "reason=not_authority"]);
}

#[test]
fn members_whose_authority_cannot_vouch_hear_which_one_it_is() {
    Machine::run(|machine| {
        let directory = TemporaryDirectory::new();
        let good = Authority::new(directory.path(), "good");
        let kind = [P256, "sha256"];
        let unfit = "basicConstraints=critical,CA:FALSE";
        let unfit = Authority::of_kind(directory.path(), "unfit", kind, unfit);
        let past = good.renewed_as("past", Validity::Expired);
        let future = good.renewed_as("future", Validity::NotYet);
        let authorities = [&good, &unfit, &past, &future];
        let pems = authorities
            .map(|authority| fs::read_to_string(authority.certificate()).expect("a file"));
        let trust = write(&directory, "all.pem", &pems.concat());
        let members = authorities.map(|authority| authority.issue("member", NAME, Validity::Valid));
        let _servers: Vec<TlsServer> = (11..)
            .zip(&members)
            .map(|(octet, own)| TlsServer::start(member_address(octet), own, &[]))
            .collect();
        let _dns = serve_names(&[11, 12, 13, 14]);
        let gateway = verifying(machine, &trust).start();
        let file = format!("file={:?}", trust.display().to_string());
        for remark in [
            r#"skipped number=2 subject="CN=unfit" reason=not_authority"#,
            r#"not in force number=3 subject="CN=past" reason=expired"#,
            r#"not in force number=4 subject="CN=future" reason=not_yet_valid"#,
        ] {
            gateway.wait_for_log(&format!("WARN certificate {remark} {file}"));
        }
        wait_verified(&gateway, 11);
        for (octet, words) in [
            (12, r#"authority_unfit authority="CN=unfit""#),
            (13, r#"authority_expired authority="CN=past""#),
            (14, r#"authority_not_yet_valid authority="CN=future""#),
        ] {
            wait_not_verified(&gateway, octet, words);
        }
        assert!(is_served(&gateway));
    });
}

/// As etcd's clients take it, and as `openssl req -x509` makes it by default.
#[test]
fn member_whose_own_certificate_is_the_file_is_verified() {
    Machine::run(|machine| {
        let directory = TemporaryDirectory::new();
        let extensions = format!("{AUTHORITY} subjectAltName={NAME},IP:127.0.0.1");
        let itself = Authority::of_kind(directory.path(), "itself", [P256, "sha256"], &extensions);
        let _cluster = secure_cluster(&itself, &itself.own());
        let _dns = serve_names(&[11, 12, 13]);
        let gateway = verifying(machine, &itself.certificate()).start();
        for octet in [11, 12, 13] {
            wait_verified(&gateway, octet);
        }
        assert!(put(&gateway, &itself, &itself.own()), "and so does Go");
        assert_eq!(gateway.log_count("WARN certificate"), 0);
    });
}

/// etcd takes any label.
#[test]
fn older_label_of_certificates_is_taken() {
    Machine::run(|machine| {
        let directory = TemporaryDirectory::new();
        let ours = Authority::new(directory.path(), "ours");
        let pem = fs::read_to_string(ours.certificate()).expect("a file");
        let older = pem.replace("CERTIFICATE", "X509 CERTIFICATE");
        let trust = write(&directory, "older.pem", &older);
        let own = ours.issue("member", NAME, Validity::Valid);
        let _server = TlsServer::start(member_address(11), &own, &[]);
        let _dns = serve_names(&[11]);
        wait_verified(&verifying(machine, &trust).start(), 11);
    });
}
