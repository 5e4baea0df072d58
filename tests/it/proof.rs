//! `--trusted-ca-file`: keys, certificates and servers of all kinds, made by openssl, and etcd.

use std::fs;
use std::path::PathBuf;

use crate::names::member_address;
use crate::util::*;
use crate::verify::{NAME, is_served, put, secure_cluster, serve_names, verifying, wait_verified};

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
        for octet in octets {
            wait_verified(&gateway, octet);
        }
        assert!(is_served(&gateway));
        assert_eq!(gateway.log_count("endpoint not verified"), 0);
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

fn write(directory: &TemporaryDirectory, name: &str, text: &str) -> PathBuf {
    let path = directory.path().join(name);
    fs::write(&path, text).expect("write to our own directory");
    path
}
