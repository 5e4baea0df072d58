//! Users of a registry that etcd refuses, and takes again: one line says why, and what is known of
//! the services stays.

use std::fs;
use std::path::Path;

use crate::util::*;

/// A gateway that follows what is registered in a member, as this user.
fn follow(member: &LoneMember, user: &str, directory: &Path) -> Gateway {
    let file = directory.join("password");
    fs::write(&file, "secret\n").expect("a directory of our own");
    let builder = Gateway::builder().log_level("info").arg("--registry-prefix=svc/");
    let builder = builder.arg(&format!("--etcd-endpoints={}", member.url()));
    let file = format!("--password-file={}", file.display());
    builder.arg(&format!("--user={user}")).arg(&file).start()
}

fn etcdctl(member: &LoneMember, words: &str) {
    output_of(&mut member.etcdctl(&words.split(' ').collect::<Vec<_>>()));
}

fn expect_known(gateway: &Gateway, octet: u8) {
    gateway.wait_for_log(&format!("endpoint added endpoint=10.99.0.{octet}:80 "));
}

/// Tokens end with the time or the process that gave them, rights with a change of them, and
/// authentication begins and ends: the user of the registry is authenticated anew, without a word
/// where that helps.
fn expect_authentication_comes_and_goes(version: Version) {
    let directory = TemporaryDirectory::new();
    // The shortest time: a token lives for a second after its last use.
    let arguments = ["--auth-token-ttl=1".to_owned()];
    let mut member = LoneMember::start(version, directory.path(), &arguments);
    etcdctl(&member, "put svc/a 10.99.0.1:80");
    USERS.iter().for_each(|words| etcdctl(&member, words));
    let gateway = follow(&member, "gw", directory.path());
    expect_known(&gateway, 1);
    // Authentication begins under a watch, which does not show it until it is lost.
    etcdctl(&member, "auth enable");
    member.restart();
    etcdctl(&member, "--user=root:pw put svc/b 10.99.0.2:80");
    expect_known(&gateway, 2);
    // The token of before is that of another process, and too old.
    member.restart();
    etcdctl(&member, "--user=root:pw put svc/c 10.99.0.3:80");
    expect_known(&gateway, 3);
    assert_eq!(gateway.log_count("reason=token_"), 0, "{:#?}", gateway.log());
    assert_eq!(gateway.log_count("reason=auth_"), 0, "{:#?}", gateway.log());

    // A right is withdrawn and given back.
    etcdctl(&member, "--user=root:pw user revoke-role gw reader");
    member.restart();
    let address = member.address();
    gateway.wait_for_log(&format!("server={address} reason=permission_denied services=3"));
    etcdctl(&member, "--user=root:pw user grant-role gw reader");
    etcdctl(&member, "--user=root:pw put svc/d 10.99.0.4:80");
    expect_known(&gateway, 4);
    // A user who is gone has a wrong password.
    etcdctl(&member, "--user=root:pw user delete gw");
    member.restart();
    gateway.wait_for_log(&format!("server={address} reason=password_wrong services=4"));
    // Authentication ends.
    etcdctl(&member, "--user=root:pw auth disable");
    etcdctl(&member, "put svc/e 10.99.0.5:80");
    expect_known(&gateway, 5);
    for reason in ["permission_denied", "password_wrong"] {
        assert_eq!(gateway.log_count(reason), 1, "{:#?}", gateway.log());
    }
    assert_eq!(gateway.log_count("secret"), 0);
}

#[test]
fn authentication_comes_and_goes_in_debians_etcd() {
    expect_authentication_comes_and_goes(Version::Debian);
}

#[test]
fn authentication_comes_and_goes_in_etcd_3_5() {
    expect_authentication_comes_and_goes(Version::V3_5);
}
