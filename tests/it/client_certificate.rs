//! `--cert-file` and `--key-file`: what servers that demand a certificate say to ours, or to none,
//! and what a start says of the files.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use etcd_gateway::net::tls::Verifier;
use etcd_gateway::net::tls_settings::{ClientFiles, TlsSettings};
use etcd_gateway::proto::tls::{Connector, HandshakeError, Status};

use crate::util::*;

const NAMES: &str = "DNS:localhost,IP:127.0.0.1";
const REQUEST: &[u8] = b"GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// A verifier that knows no name yet.
fn verifier(authority: &Authority, client: Option<&Certificate>) -> Verifier {
    let authority = &*authority.certificate();
    let client = client.map(|Certificate { certificate, key }| ClientFiles { certificate, key });
    let authority = Some(authority);
    let settings = TlsSettings { authority, client, domain: None, has_other_names: true };
    Verifier::new(settings).expect("files of use")
}

/// The first bytes of the answer, or why there is none.
fn ask(verifier: &Verifier, address: SocketAddr, name: &str) -> Result<String, HandshakeError> {
    let mut session = verifier.connect(name)?;
    let mut stream = TcpStream::connect(address).expect("a server");
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    let (mut buffer, mut plain, mut has_asked) = ([0; 4096], [0; 4096], false);
    loop {
        let outgoing = session.outgoing().to_vec();
        // A server may be heard that hears us no longer.
        let _ = stream.write_all(&outgoing);
        session.wrote(outgoing.len());
        let bytes = stream.read(&mut buffer).expect("bytes or an end");
        let status = match bytes {
            0 => session.end(true).expect("a reason"),
            bytes => session.incoming(&mut &buffer[..bytes]),
        };
        match status {
            Status::Handshaking => {}
            Status::Dismissed(error) | Status::Failed(error) => return Err(error),
            Status::Established if !has_asked => {
                has_asked = true;
                session.send(REQUEST);
            }
            Status::Established => assert!(bytes > 0, "an end without an answer"),
        }
        let received = session.receive(&mut plain);
        if received > 0 {
            return Ok(String::from_utf8_lossy(&plain[..received]).into_owned());
        }
    }
}

/// 3.4.23 speaks TLS 1.3, in which the refusal comes behind the handshake, 3.5.1 speaks TLS 1.2.
#[test]
fn etcd_takes_our_certificate_or_says_that_it_does_not() {
    let directory = TemporaryDirectory::new();
    let ours = Authority::new(directory.path(), "ours");
    let other = Authority::new(directory.path(), "other");
    let member = ours.issue("member", NAMES, Validity::Valid);
    let client = ours.issue("client", "DNS:client", Validity::Valid);
    let expired = ours.issue("expired", "DNS:client", Validity::Expired);
    let foreign = other.issue("foreign", "DNS:client", Validity::Valid);
    for version in Version::ALL {
        let arguments = LoneMember::tls(&member, Some(&ours.certificate()));
        let etcd = LoneMember::start(version, directory.path(), &arguments);
        let address = etcd.address();
        for name in ["127.0.0.1", "localhost"] {
            let answer = ask(&verifier(&ours, Some(&client)), address, name);
            let answer = answer.expect("an answer");
            assert!(answer.starts_with("HTTP/1.1 200 "), "{version:?}: {answer}");
        }
        for (client, want) in [
            (None, HandshakeError::ClientCertificateRequired),
            (Some(&expired), HandshakeError::ClientCertificateRefused),
            (Some(&foreign), HandshakeError::ClientCertificateRefused),
        ] {
            let answer = ask(&verifier(&ours, client), address, "localhost");
            assert_eq!(answer, Err(want), "{version:?}");
        }
        let answer = ask(&verifier(&ours, Some(&client)), address, "other.test");
        assert_eq!(answer, Err(HandshakeError::WrongName), "{version:?}");
    }
}

#[test]
fn openssl_says_so_by_other_alerts() {
    let directory = TemporaryDirectory::new();
    let ours = Authority::new(directory.path(), "ours");
    let other = Authority::new(directory.path(), "other");
    let own = ours.issue("server", NAMES, Validity::Valid);
    let client = ours.issue("client", "DNS:client", Validity::Valid);
    let expired = ours.issue("expired", "DNS:client", Validity::Expired);
    let foreign = other.issue("foreign", "DNS:client", Validity::Valid);
    let clients = format!("-CAfile={}", ours.certificate().display());
    for version in ["-tls1_2", "-tls1_3"] {
        let reservation = Reservation::new();
        let address = reservation.address();
        let arguments = ["-Verify=1", "-verify_return_error", &clients, version];
        let _server = TlsServer::start(address, &own, &arguments);
        let answer = ask(&verifier(&ours, Some(&client)), address, "localhost");
        assert!(answer.expect("an answer").starts_with("HTTP/1.0 200 "), "{version}");
        for (client, want) in [
            (None, HandshakeError::ClientCertificateRequired),
            (Some(&expired), HandshakeError::ClientCertificateRefused),
            (Some(&foreign), HandshakeError::ClientCertificateRefused),
        ] {
            let answer = ask(&verifier(&ours, client), address, "localhost");
            assert_eq!(answer, Err(want), "{version}");
        }
    }
}

/// The whole line of a start that fails, with its exit status.
#[track_caller]
fn refuse(arguments: &[&str], status: i32, want: &str) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_etcd-gateway"));
    let output = finish(command.arg("--listen-addr=127.0.0.1:0").args(arguments), "");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(status), "{said}");
    let last = said.lines().last().expect("a line");
    assert!(last.starts_with("etcd-gateway: ") && last.contains(want), "{said}");
}

#[test]
fn start_with_half_a_pair_or_a_wrong_one_fails() {
    let directory = TemporaryDirectory::new();
    let ours = Authority::new(directory.path(), "ours");
    let client = ours.issue("client", "DNS:client", Validity::Valid);
    let other = ours.issue("other", "DNS:client", Validity::Valid);
    let certificate = format!("--cert-file={}", client.certificate.display());
    let key = format!("--key-file={}", client.key.display());
    let other_key = format!("--key-file={}", other.key.display());
    let https = "--endpoints=https://127.0.0.1:1";
    refuse(&[https, &certificate], 2, "missing --key-file, which --cert-file needs");
    refuse(&[https, &key, "--cert-file="], 2, "missing --cert-file, which --key-file needs");
    refuse(&[https, &certificate, &other_key], 1, "is not that of certificate 1 in ");
    refuse(&[https, &certificate, "--key-file=/nowhere"], 1, "cannot read /nowhere: ");
    refuse(&[https, "--cert-file=/nowhere", &key], 1, "cannot read /nowhere: ");
    refuse(&[https, "--trusted-ca-file=/nowhere"], 1, "cannot read /nowhere: ");

    let gateway = Gateway::builder().arg("--endpoints=http://127.0.0.1:1").arg(&certificate);
    let gateway = gateway.arg("--key-file=/nowhere").start();
    for flag in ["--cert-file", "--key-file"] {
        let line = format!("flag has no effect flag={flag} reason=no_tls_connection");
        gateway.wait_for_log(&line);
    }
    let gateway = Gateway::builder().arg(https).arg(&certificate).arg(&key).start();
    gateway.wait_for_log("ready ");
    assert_eq!(gateway.log_count("flag has no effect"), 0, "{:?}", gateway.log());
}

#[test]
fn a_certificate_that_servers_are_likely_to_refuse_is_reported_at_the_start() {
    let directory = TemporaryDirectory::new();
    let ours = Authority::new(directory.path(), "ours");
    let expired = r#"in force number=1 subject="CN=old" reason=expired"#;
    for (shown, want) in [
        (ours.issue("good", "DNS:client", Validity::Valid), None),
        (ours.issue("old", "DNS:client", Validity::Expired), Some(expired)),
        (ours.issue_for_servers("server"), Some(r#"is not for clients subject="CN=server""#)),
    ] {
        let certificate = format!("--cert-file={}", shown.certificate.display());
        let key = format!("--key-file={}", shown.key.display());
        let builder = Gateway::builder().arg("--endpoints=https://127.0.0.1:1");
        let gateway = builder.arg(&certificate).arg(&key).start();
        let lines: Vec<String> = gateway.log();
        let warnings: Vec<&String> =
            lines.iter().filter(|line| line.starts_with("WARN certificate ")).collect();
        assert_eq!(warnings.len(), usize::from(want.is_some()), "{lines:#?}");
        for (line, want) in warnings.iter().zip(want) {
            let file = format!(" file=\"{}\"", shown.certificate.display());
            assert!(line.contains(want) && line.ends_with(&file), "{line}");
        }
    }
}
