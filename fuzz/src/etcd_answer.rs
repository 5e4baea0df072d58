//! Answers of etcd, of any member and of anything in its place: each is read as documented or
//! refused, and what is kept of it is bounded.
//!
//! The oracle is the JSON itself, read by its crate without the bounds and meanings of the product,
//! and a decoder of base64 and of ranges that is written another way. The first byte selects the
//! question.

use etcd_gateway::config::address::Host;
use etcd_gateway::config::{
    ETCD_ALARMS_MAX, ETCD_MEMBERS_MAX, ETCD_TEXT_CHARACTERS_MAX, ETCD_TOKEN_BYTES_MAX,
    ETCD_URL_BYTES_MAX, ETCD_URLS_PER_MEMBER_MAX,
};
use etcd_gateway::proto::etcd::kv::RangeQuery;
use etcd_gateway::proto::etcd::registry::Weight;
use etcd_gateway::proto::etcd::status::NotServing;
use etcd_gateway::proto::etcd::{Malformed, auth, failure, members, registry, status};

use super::assert_one_line;

/// Reads the bytes behind the first one as the answer to the question that it selects.
pub fn check(data: &[u8]) {
    let Some((question, body)) = data.split_first() else { return };
    match question {
        b's' => check_status(body),
        b'h' => check_health(body),
        b'm' => check_members(body),
        b'r' => check_range(body),
        b'a' => check_token(body),
        b'e' => check_failure(body),
        b'v' => check_service(body),
        b'b' => check_bodies(body),
        _ => {}
    }
}

fn check_reason(reason: Malformed, body: &[u8]) {
    assert_one_line(&reason.to_string());
    // Blanks do not make an object of what is not one, nor the other way round.
    let is_object = body.trim_ascii().starts_with(b"{") && body.trim_ascii().ends_with(b"}");
    assert!(is_object || reason != Malformed::NotEtcd, "not even an object");
}

fn check_plain(text: &str) {
    assert!(text.len() <= ETCD_TEXT_CHARACTERS_MAX);
    assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{text:?}");
}

fn check_status(body: &[u8]) {
    let status = match status::parse(body) {
        Ok(status) => status,
        Err(reason) => return check_reason(reason, body),
    };
    check_plain(&status.version);
    assert!(status.member_id > 0 && status.cluster_id > 0 && status.leader != Some(0));
    assert!(status.alarms.len() <= ETCD_ALARMS_MAX);
    let text = String::from_utf8_lossy(body);
    match status.serving() {
        Ok(_) => assert!(status.leader.is_some() && !status.is_learner),
        Err(NotServing::NoLeader) => assert!(!status.is_leader()),
        Err(NotServing::Learner) => assert!(text.contains("true")),
        Err(NotServing::Corrupt) => assert!(!status.alarms.is_empty()),
        Err(NotServing::Unhealthy) => panic!("a word of /health alone"),
    }
    // Blanks between and around do not count.
    let spaced = [b" \r\n\t", body, b"\n"].concat();
    if let Ok(again) = status::parse(&spaced) {
        assert_eq!(again, status);
    }
}

fn check_health(body: &[u8]) {
    let [ok, unavailable] = [200, 503].map(|code| status::parse_health(code, body));
    assert!(ok.is_err() || unavailable.is_err(), "healthy and not: {ok:?} {unavailable:?}");
    assert!(!matches!(ok, Ok(Err(_))), "200 is healthy");
    assert!(status::parse_health(404, body).is_err());
}

fn check_members(body: &[u8]) {
    let list = match members::parse(body) {
        Ok(list) => list,
        Err(reason) => return check_reason(reason, body),
    };
    assert!((1..=ETCD_MEMBERS_MAX).contains(&list.members.len()));
    let mut ids: Vec<u64> = list.members.iter().map(|member| member.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), list.members.len(), "each member once");
    let mut urls = 0;
    for member in &list.members {
        check_plain(&member.name);
        assert!(member.client_urls.len() <= ETCD_URLS_PER_MEMBER_MAX);
        assert!(member.client_urls.iter().all(|url| url.len() <= ETCD_URL_BYTES_MAX));
        urls += if member.is_learner { 0 } else { member.client_urls.len() };
    }
    let (found, skipped) = members::client_endpoints(&list);
    assert!(found.len() + skipped.len() <= urls, "all but repeated ones");
    for url in &found {
        let of = list.members.iter().find(|member| member.id == url.member_id);
        assert!(of.is_some_and(|member| !member.is_learner));
        check_host(&url.host, url.port);
        assert!(!matches!(url.host, Host::Address(ip) if ip.to_canonical().is_loopback()));
    }
    for (url, reason) in &skipped {
        check_plain(url);
        assert_one_line(&reason.to_string());
    }
}

fn check_host(host: &Host, port: u16) {
    assert!(port > 0 && !host.is_unspecified());
    assert_one_line(&host.to_string());
}

fn check_range(body: &[u8]) {
    let mut query = RangeQuery::with_keys_max(b"svc/", 4);
    // Pages come to an end also where each answer is the same.
    for pages in 0.. {
        assert!(pages <= 1, "the second page repeats the first");
        let page = match query.parse(body) {
            Ok(page) => page,
            Err(reason) => return check_reason(reason, body),
        };
        assert!(page.kvs.len() <= 4 && page.header.revision > 0);
        for kv in &page.kvs {
            assert!(kv.key.starts_with(b"svc/") && kv.mod_revision > 0);
            let _ = registry::parse(&kv.value);
        }
        match page.next {
            Some(next) => query = next,
            None => return,
        }
    }
}

fn check_token(body: &[u8]) {
    match auth::parse(body) {
        Ok(token) => {
            assert!((1..=ETCD_TOKEN_BYTES_MAX).contains(&token.as_str().len()));
            assert!(token.as_str().bytes().all(|byte| (b'!'..=b'~').contains(&byte)));
            assert!(!format!("{token:?}").contains(token.as_str()) || token.as_str().len() < 9);
        }
        Err(reason) => check_reason(reason, body),
    }
}

fn check_failure(body: &[u8]) {
    match failure::parse(body) {
        Ok(failure) => {
            check_plain(&failure.message);
            assert_one_line(&failure.kind.to_string());
        }
        Err(reason) => check_reason(reason, body),
    }
}

fn check_service(value: &[u8]) {
    match registry::parse(value) {
        Ok(service) => {
            check_host(&service.host, service.port);
            // Plain, it is the same server without a weight.
            let plain = format!("{}:{}", service.host, service.port);
            let again = registry::parse(plain.as_bytes()).expect("it was read from something");
            assert_eq!((again.host, again.port), (service.host, service.port));
            assert_eq!(again.weight, Weight::Unstated);
        }
        Err(reason) => assert_one_line(&reason.to_string()),
    }
}

/// What we ask: JSON on one line, whatever the prefix, the name and the password are.
fn check_bodies(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for body in [auth::body(&text, "x"), auth::body("x", &text), RangeQuery::new(data).body()] {
        assert!(body.starts_with('{') && body.ends_with('}'));
        assert!(!body.bytes().any(|byte| byte < b' '), "{body:?}");
    }
    assert!(auth::body(&text, "x").len() <= text.len() * 6 + 40);
}
