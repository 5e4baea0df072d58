//! Members that cannot be trusted, or that do not trust the gateway, before each of those who ask:
//! one line says why, clients of the other endpoint are served meanwhile, and all is well once the
//! member is.
//!
//! etcd 3.4.23 speaks TLS 1.3, in which a refusal comes behind the handshake, 3.5.1 speaks TLS 1.2.
//! Both read their certificate anew for each connection.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use crate::util::*;

const NAMES: &str = "DNS:localhost,IP:127.0.0.1";

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asker {
    Check,
    List,
    Registry,
}

const ASKERS: [Asker; 3] = [Asker::Check, Asker::List, Asker::Registry];

impl Asker {
    /// A gateway in front of `other` that asks the member, too.
    fn start(self, member: &LoneMember, other: &FakeMember, tls: &[String]) -> Gateway {
        let url = member.url();
        let arguments = match self {
            Asker::Check => "--health-check=etcd --health-interval=50ms".to_owned(),
            Asker::List => "--health-check=off --follow-members --follow-interval=100ms".to_owned(),
            Asker::Registry => {
                format!("--health-check=off --registry-prefix=svc/ --etcd-endpoints={url}")
            }
        };
        let mut builder = Gateway::builder().log_level("info").endpoint(&other.url());
        for argument in arguments.split(' ').chain(tls.iter().map(String::as_str)) {
            builder = builder.arg(argument);
        }
        match self {
            Asker::Registry => builder.start(),
            // Clients, who do not speak TLS here, get the other one.
            Asker::Check | Asker::List => builder.endpoint(&format!("{url}?priority=1")).start(),
        }
    }

    /// The line that says why, and the one that tells of the end.
    fn lines(self, member: SocketAddr, reason: &str) -> [String; 2] {
        match self {
            Asker::Check => [
                format!("WARN endpoint fails its check endpoint={member} reason={reason} pairs=0"),
                format!("INFO endpoint passes its check again endpoint={member} "),
            ],
            Asker::List => [
                format!("list of members not believed endpoint={member} reason={reason}"),
                "INFO list of members known again".to_owned(),
            ],
            Asker::Registry => [
                format!(
                    "WARN registry not followed, keeping the last known services server={member} \
                     reason={reason} services=0"
                ),
                format!("INFO registry followed again server={member} services=0"),
            ],
        }
    }
}

/// Waits until the log says once why the member is of no use, and goes on asking for a while.
/// Returns the gateway.
fn expect_refused(
    asker: Asker,
    member: &LoneMember,
    other: &FakeMember,
    tls: &[String],
    reason: &str,
) -> Gateway {
    let gateway = asker.start(member, other, tls);
    let [line, _] = asker.lines(member.address(), reason);
    gateway.wait_for_log(&line);
    let address = member.address().to_string();
    let asked = other.requests().len();
    until("clients are served meanwhile", || {
        letter_of(&gateway.connect());
        asker == Asker::Registry || other.requests().len() > asked + 3
    });
    let lines = gateway.log();
    let about = lines.iter().filter(|line| line.contains(&address) && line.contains("reason="));
    assert_eq!(about.count(), 1, "{asker:?} {reason}: {lines:#?}");
    gateway
}

fn expect_recovered(asker: Asker, member: &LoneMember, gateway: &Gateway, reason: &str) {
    let [_, line] = asker.lines(member.address(), reason);
    gateway.wait_for_log(&line);
}

/// The other endpoint, which serves clients and gives no list.
fn other_of(asker: Asker) -> FakeMember {
    let other = FakeMember::start(b'b');
    if asker == Asker::List {
        other.tell(Health::Answer(503, String::new()));
    }
    other
}

fn trust(authority: &Authority, client: Option<&Certificate>) -> Vec<String> {
    let mut arguments = vec![format!("--trusted-ca-file={}", authority.certificate().display())];
    if let Some(Certificate { certificate, key }) = client {
        arguments.push(format!("--cert-file={}", certificate.display()));
        arguments.push(format!("--key-file={}", key.display()));
    }
    arguments
}

/// Makes it the certificate that the member shows from now on.
fn show(live: &Certificate, shown: &Certificate) {
    fs::copy(&shown.certificate, &live.certificate).expect("a directory of our own");
    fs::copy(&shown.key, &live.key).expect("a directory of our own");
}

fn live(directory: &Path) -> Certificate {
    Certificate { certificate: directory.join("live.pem"), key: directory.join("live.key") }
}

fn expect_certificates_are_verified(version: Version) {
    let directory = TemporaryDirectory::new();
    let ours = Authority::new(directory.path(), "ours");
    let other = Authority::new(directory.path(), "other");
    let good = ours.issue("good", NAMES, Validity::Valid);
    let live = live(directory.path());
    show(&live, &good);
    let member = LoneMember::start(version, directory.path(), &LoneMember::tls(&live, None));
    let tls = trust(&ours, None);
    for (shown, reason) in [
        (other.issue("unknown", NAMES, Validity::Valid), "certificate_unknown_authority"),
        (ours.issue("expired", NAMES, Validity::Expired), "certificate_expired"),
        (ours.issue("early", NAMES, Validity::NotYet), "certificate_not_yet_valid"),
        (ours.issue("named", "DNS:other.test", Validity::Valid), "certificate_wrong_name"),
    ] {
        show(&live, &shown);
        let gateways = ASKERS.map(|asker| {
            let other = other_of(asker);
            let gateway = expect_refused(asker, &member, &other, &tls, reason);
            (asker, gateway, other)
        });
        show(&live, &good);
        for (asker, gateway, _other) in &gateways {
            expect_recovered(*asker, &member, gateway, reason);
        }
    }
}

fn expect_a_certificate_is_shown(version: Version) {
    let directory = TemporaryDirectory::new();
    let ours = Authority::new(directory.path(), "ours");
    let other = Authority::new(directory.path(), "other");
    let own = ours.issue("member", NAMES, Validity::Valid);
    let clients = ours.certificate();
    let arguments = LoneMember::tls(&own, Some(&clients));
    let member = LoneMember::start(version, directory.path(), &arguments);
    let expired = ours.issue("expired", "DNS:client", Validity::Expired);
    let foreign = other.issue("foreign", "DNS:client", Validity::Valid);
    for (client, reason) in [
        (None, "client_certificate_required"),
        (Some(&expired), "client_certificate_refused"),
        (Some(&foreign), "client_certificate_refused"),
    ] {
        for asker in ASKERS {
            let other = other_of(asker);
            expect_refused(asker, &member, &other, &trust(&ours, client), reason);
        }
    }
    let client = ours.issue("client", "DNS:client", Validity::Valid);
    for asker in ASKERS {
        let other = other_of(asker);
        let gateway = asker.start(&member, &other, &trust(&ours, Some(&client)));
        gateway.wait_for_log(match asker {
            Asker::Check => "endpoint passes its check endpoint=127.0.0.1",
            Asker::List => "list of members followed",
            Asker::Registry => "reason=no_service",
        });
        let address = member.address().to_string();
        let lines = gateway.log();
        let refused = lines.iter().find(|line| line.contains(&address) && line.contains("WARN"));
        assert_eq!(refused, None, "{asker:?}");
    }
}

#[test]
fn certificates_of_debians_etcd_are_verified() {
    expect_certificates_are_verified(Version::Debian);
}

#[test]
fn certificates_of_etcd_3_5_are_verified() {
    expect_certificates_are_verified(Version::V3_5);
}

#[test]
fn debians_etcd_wants_a_certificate_of_ours() {
    expect_a_certificate_is_shown(Version::Debian);
}

#[test]
fn etcd_3_5_wants_a_certificate_of_ours() {
    expect_a_certificate_is_shown(Version::V3_5);
}

/// By default, such a member is one of those that are not checked.
#[test]
fn a_member_that_wants_a_certificate_serves_unchecked_by_default() {
    let directory = TemporaryDirectory::new();
    let ours = Authority::new(directory.path(), "ours");
    let own = ours.issue("member", NAMES, Validity::Valid);
    for version in Version::ALL {
        let arguments = LoneMember::tls(&own, Some(&ours.certificate()));
        let member = LoneMember::start(version, directory.path(), &arguments);
        let address = member.address();
        let mut builder = Gateway::builder().log_level("info").arg("--health-interval=20ms");
        builder = builder.endpoint(&member.url());
        for argument in trust(&ours, None) {
            builder = builder.arg(&argument);
        }
        let gateway = builder.start();
        gateway.wait_for_log(&format!(
            "INFO endpoint is not checked endpoint={address} reason=client_certificate_required"
        ));
        let client = ours.issue(&format!("client-{version:?}"), "DNS:client", Validity::Valid);
        let mut command = std::process::Command::new("openssl");
        command.arg("s_client").arg("-connect").arg(gateway.address().to_string());
        command.arg("-cert").arg(&client.certificate).arg("-key").arg(&client.key);
        let output = finish(command.arg("-CAfile").arg(ours.certificate()), "");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains("Verify return code: 0 (ok)"), "{version:?}: {said}");
        assert_eq!(gateway.log().len(), 2, "{version:?}: {:#?}", gateway.log());
    }
}
