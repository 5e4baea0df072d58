//! `--trusted-ca-file`: members from SRV records are used only after a TLS handshake with them.
//!
//! Members are servers of the openssl command, or real ones of etcd; what they are asked to prove
//! is that they are `example.test`, the domain of the records.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use crate::srv::{PLAIN, SECURE};
use crate::util::*;

pub const DOMAIN: &str = "--discovery-srv=example.test";
pub const NAME: &str = "DNS:example.test";

/// A gateway that verifies what it finds at `example.test`.
pub fn verifying(machine: &Machine, authority: &Path) -> GatewayBuilder {
    let trust = format!("--trusted-ca-file={}", authority.display());
    let builder = machine.gateway().arg(DOMAIN).arg(&trust);
    builder.arg("--connect-timeout=500ms").arg("--retry-delay=1s")
}

/// A name server that gives the secure set these members.
pub fn serve_names(last_octets: &[u8]) -> NameServer {
    let dns = NameServer::start(DNS);
    let record = |octet: &u8| {
        let target = format!("m{octet}.example.test");
        dns.set_addresses(&target, 3600, &[*octet]);
        Data::Srv { priority: 0, weight: 1, port: 2379, target }
    };
    dns.set(SECURE, 3600, &last_octets.iter().map(record).collect::<Vec<Data>>());
    dns
}

pub fn wait_verified(gateway: &Gateway, last_octet: u8) {
    let address = member_address(last_octet);
    gateway.wait_for_log(&format!("endpoint verified endpoint={address}"));
}

/// Waits for the line that tells why a member is not used, and sees that it names the reason.
#[track_caller]
pub fn wait_not_verified(gateway: &Gateway, last_octet: u8, reason: &str) {
    let address = member_address(last_octet);
    let line = gateway.wait_for_log(&format!("endpoint not verified endpoint={address} "));
    assert!(line.contains(&format!("reason={reason} ")), "not {reason}: {line}");
}

/// Whether a new client gets to a server that speaks TLS: that answers an empty ClientHello with
/// an alert, whatever certificates it has or wants.
pub fn is_served(gateway: &Gateway) -> bool {
    const EMPTY_HELLO: [u8; 9] = [0x16, 3, 3, 0, 4, 1, 0, 0, 0];
    let mut client = gateway.connect();
    let mut kind = [0];
    let answered = client.write_all(&EMPTY_HELLO).and_then(|()| client.read_exact(&mut kind));
    answered.is_ok() && kind == [0x15]
}

/// What Go's server says to a client that speaks TLS where it does not.
fn speak_http(mut stream: TcpStream) {
    // What fails here, fails the handshake as well.
    let _ = stream.read(&mut [0; 1024]);
    let _ = stream.write_all(b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTPS request\n");
}

#[test]
fn only_members_that_prove_themselves_are_used() {
    Machine::run(|machine| {
        let directory = TemporaryDirectory::new();
        let ours = Authority::new(directory.path(), "ours");
        let other = Authority::new(directory.path(), "other");
        let trust = ours.certificate();
        let clients = format!("-CAfile={}", trust.display());
        let good = ours.issue("good", NAME, Validity::Valid);
        let rows = [
            (11, good.clone(), None, &["-tls1_2"][..]),
            (12, good.clone(), None, &["-Verify=1", &clients, "-tls1_2"]),
            (13, good.clone(), None, &["-Verify=1", &clients, "-tls1_3"]),
            (14, ours.issue("old", NAME, Validity::Expired), Some("certificate_expired"), &[]),
            (15, ours.issue("new", NAME, Validity::NotYet), Some("certificate_not_yet_valid"), &[]),
            (
                16,
                ours.issue("wrong", "DNS:other.test,DNS:m16.example.test", Validity::Valid),
                Some("certificate_wrong_name"),
                &[],
            ),
            (
                17,
                other.issue("other", NAME, Validity::Valid),
                Some("certificate_unknown_authority"),
                &[],
            ),
        ];
        let _servers: Vec<TlsServer> = rows
            .iter()
            .map(|(octet, own, _, more)| TlsServer::start(member_address(*octet), own, more))
            .collect();
        let _plain = Backend::at(member_address(18), speak_http);
        let silent = Backend::at(member_address(19), |mut stream| {
            drop(io::copy(&mut stream, &mut io::sink()));
        });
        let _dns = serve_names(&[11, 12, 13, 14, 15, 16, 17, 18, 19, 20]);
        let gateway = verifying(machine, &trust).start();
        for (octet, _, reason, _) in &rows {
            match reason {
                Some(reason) => wait_not_verified(&gateway, *octet, reason),
                None => wait_verified(&gateway, *octet),
            }
        }
        wait_not_verified(&gateway, 18, "no_tls");
        wait_not_verified(&gateway, 19, "timed_out");
        wait_not_verified(&gateway, 20, "refused");
        let refused: usize = (0..12).filter(|_| !is_served(&gateway)).count();
        assert_eq!(refused, 0, "clients are served by those that are left");
        until("all are in the log", || gateway.log_count("pair closed") == 12);
        for octet in 14..21 {
            let needle = format!("endpoint not verified endpoint={} ", member_address(octet));
            assert_eq!(gateway.log_count(&needle), 1, "once for each reason");
        }
        let of_good = |line: &&String| {
            let is_one = |octet| line.contains(&format!("endpoint={} ", member_address(octet)));
            line.contains("pair closed") && (11..14).any(is_one)
        };
        assert_eq!(gateway.log().iter().filter(of_good).count(), 12);
        assert!(silent.accepted() >= 1, "it was tried");
    });
}

#[test]
fn member_that_returns_has_to_prove_itself_again() {
    Machine::run(|machine| {
        let directory = TemporaryDirectory::new();
        let ours = Authority::new(directory.path(), "ours");
        let other = Authority::new(directory.path(), "other");
        let good = ours.issue("good", NAME, Validity::Valid);
        let bad = other.issue("bad", NAME, Validity::Valid);
        let address = member_address(11);
        let _dns = serve_names(&[11]);
        let server = TlsServer::start(address, &good, &[]);
        let gateway = verifying(machine, &ours.certificate()).start();
        wait_verified(&gateway, 11);
        assert!(is_served(&gateway));

        server.kill();
        assert_eq!(answer(&gateway), None);
        gateway.wait_for_log(&format!("endpoint inactive endpoint={address} "));
        let server = TlsServer::start(address, &bad, &[]);
        wait_not_verified(&gateway, 11, "certificate_unknown_authority");
        assert!(!is_served(&gateway));
        server.kill();
        let _server = TlsServer::start(address, &good, &[]);
        wait_verified(&gateway, 11);
        until("it serves again", || is_served(&gateway));
    });
}

/// The records are good for another hour, but who is there is a stranger.
#[test]
fn member_that_cannot_prove_itself_is_looked_up_again() {
    Machine::run(|machine| {
        let directory = TemporaryDirectory::new();
        let [ours, other] = ["ours", "other"].map(|name| Authority::new(directory.path(), name));
        let good = ours.issue("good", NAME, Validity::Valid);
        let bad = other.issue("bad", NAME, Validity::Valid);
        let dns = serve_names(&[11]);
        let _stranger = TlsServer::start(member_address(11), &bad, &[]);
        let _member = TlsServer::start(member_address(12), &good, &[]);
        let gateway = verifying(machine, &ours.certificate()).start();
        wait_not_verified(&gateway, 11, "certificate_unknown_authority");
        dns.set_addresses("m11.example.test", 3600, &[12]);
        wait_verified(&gateway, 12);
    });
}

/// Where the system keeps its authorities is the same to all programs, and so is the variable.
#[test]
fn authorities_of_the_system_count_where_none_is_named() {
    Machine::run(|machine| {
        let directory = TemporaryDirectory::new();
        let ours = Authority::new(directory.path(), "ours");
        let own = ours.issue("member", NAME, Validity::Valid);
        let _dns = serve_names(&[11]);
        let _server = TlsServer::start(member_address(11), &own, &[]);
        let strangers = machine.gateway().arg(DOMAIN).start();
        wait_not_verified(&strangers, 11, "certificate_unknown_authority");
        let builder = machine.gateway().arg(DOMAIN).env("SSL_CERT_FILE", ours.certificate());
        wait_verified(&builder.start(), 11);
    });
}

#[test]
fn plain_records_are_insecure() {
    Machine::run(|machine| {
        let directory = TemporaryDirectory::new();
        let ours = Authority::new(directory.path(), "ours");
        let dns = NameServer::start(DNS);
        dns.set_addresses("m11.example.test", 3600, &[11]);
        let target = "m11.example.test".to_owned();
        dns.set(PLAIN, 3600, &[Data::Srv { priority: 0, weight: 1, port: 2379, target }]);
        let server = Backend::at(member_address(11), echo);
        let gateway = verifying(machine, &ours.certificate()).start();
        let line = gateway.wait_for_log("endpoint skipped");
        assert!(line.contains("name=m11.example.test:2379 reason=insecure"), "{line}");
        assert_eq!(answer(&gateway), None);
        assert_eq!(server.accepted(), 0);
    });
}

#[test]
fn file_that_holds_no_authority_is_refused() {
    let directory = TemporaryDirectory::new();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).expect("write to our own directory");
        path
    };
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for path in [
        directory.path().join("missing"),
        directory.path().to_owned(),
        file("empty", ""),
        file("text", "no certificate here\n"),
        file("broken", broken),
    ] {
        let trust = format!("--trusted-ca-file={}", path.display());
        let builder = Gateway::builder().arg(DOMAIN).arg(&trust).log_level("info");
        let output = finish(&mut builder.command(), "");
        check_refusal(&path, &output, 1, &[&path.display().to_string()]);
    }
}

/// etcdctl with all that a member may ask of it, through the gateway.
pub fn put(gateway: &Gateway, authority: &Authority, own: &Certificate) -> bool {
    let arguments = [
        format!("--cacert={}", authority.certificate().display()),
        format!("--cert={}", own.certificate.display()),
        format!("--key={}", own.key.display()),
        "--dial-timeout=1s".to_owned(),
        "--command-timeout=1s".to_owned(),
        "put".to_owned(),
        "found".to_owned(),
        "yes".to_owned(),
    ];
    let arguments = arguments.each_ref().map(String::as_str);
    finish(&mut etcdctl(gateway.address(), &arguments), "").status.success()
}

/// Three members that speak TLS at port 2379 and do not at 2381. The last one wants certificates
/// of its clients, too.
pub fn secure_cluster(ours: &Authority, own: &Certificate) -> Cluster {
    let mut cluster =
        Cluster::reserve_at([11, 12, 13].map(|octet| Reservation::at(member_address(octet))));
    for index in 0..3 {
        let plain = SocketAddr::new(cluster.endpoint(index).ip(), 2381);
        cluster.speak_tls(index, own, (index == 2).then_some(ours));
        cluster.serve_plain(index, plain);
    }
    cluster.launch();
    cluster
}

/// The whole of it, as it will be used: a real name server and a real cluster.
#[test]
fn cluster_is_found_by_its_domain_and_proves_itself() {
    Machine::run(|machine| {
        let directory = TemporaryDirectory::new();
        let ours = Authority::new(directory.path(), "ours");
        let other = Authority::new(directory.path(), "other");
        let own = ours.issue("member", &format!("{NAME},IP:127.0.0.1"), Validity::Valid);
        let _cluster = secure_cluster(&ours, &own);
        let mut options = vec!["local-ttl=60".to_owned()];
        for octet in [11, 12, 13] {
            let target = format!("m{octet}.example.test");
            options.push(format!("host-record={target},{},60", member_address(octet).ip()));
            options.push(format!("srv-host={SECURE},{target},2379,0,1"));
            options.push(format!("srv-host={PLAIN},{target},2381,0,1"));
            options.push(format!("srv-host=_etcd-client._tcp.plain.test,{target},2381,0,1"));
        }
        let _dns = Dnsmasq::start(DNS, &options);

        let gateway = verifying(machine, &ours.certificate()).start();
        for octet in [11, 12, 13] {
            wait_verified(&gateway, octet);
            let left_out = format!("endpoint skipped name=m{octet}.example.test:2381 ");
            assert!(gateway.wait_for_log(&left_out).contains("reason=insecure"));
        }
        for _ in 0..3 {
            assert!(put(&gateway, &ours, &own), "each member serves etcdctl");
        }
        assert_eq!(gateway.log_count(":2381 reason="), 3, "nothing else is said of those");

        let gateway = verifying(machine, &other.certificate()).start();
        for octet in [11, 12, 13] {
            wait_not_verified(&gateway, octet, "certificate_unknown_authority");
        }
        assert!(!put(&gateway, &ours, &own), "no member is used");

        let insecure = ["--discovery-srv=plain.test", "--insecure-discovery"];
        let gateway = insecure.into_iter().fold(machine.gateway(), GatewayBuilder::arg).start();
        for octet in [11, 12, 13] {
            let address = format!("{}:2381", member_address(octet).ip());
            gateway.wait_for_log(&format!("endpoint added endpoint={address} "));
            assert_eq!(output_of(&mut etcdctl(gateway.address(), &["put", "plain", "yes"])), "OK");
        }
    });
}
