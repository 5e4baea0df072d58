//! The requests that follow a registry. Pure.

use super::members::Member;
use super::pages::Page;
use super::session::Session;
use super::stream::Stream;
use crate::config::REGISTRY_REQUEST_TIME;
use crate::proto::etcd::{auth, kv, status, watch};
use crate::proto::http1::Request;

/// The field of the head by which etcd gives a request up that takes too long, as without a leader
/// (`runtime.metadataGrpcTimeout` of grpc-gateway). A watch has none: it would end by it.
const TIME_FIELD: &str = "Grpc-Timeout";

/// The keys that requests are about.
#[derive(Debug)]
pub(super) struct Requests {
    prefix: Vec<u8>,
    time: String,
}

impl Requests {
    /// Requests about the keys that begin so.
    pub(super) fn new(prefix: &[u8]) -> Requests {
        let time = format!("{}S", REGISTRY_REQUEST_TIME.as_secs());
        Requests { prefix: prefix.to_vec(), time }
    }

    /// A request for a token.
    pub(super) fn token(&self, member: &Member, session: &Session) -> Request {
        let body = session.question().unwrap_or_default();
        post(member, auth::PATH, &[(TIME_FIELD, &self.time)], &body)
    }

    /// A request for a page of keys.
    pub(super) fn page(&self, member: &Member, page: &Page, session: &Session) -> Request {
        let mut fields = vec![(TIME_FIELD, self.time.as_str())];
        fields.extend(session.token().map(|token| (auth::TOKEN_FIELD, token.as_str())));
        post(member, kv::PATH, &fields, &page.body())
    }

    /// A request for changes from a revision on.
    pub(super) fn watch(&self, member: &Member, revision: u64, session: &Session) -> Request {
        let mut fields = vec![watch::LEADER_FIELD];
        fields.extend(session.token().map(|token| (auth::TOKEN_FIELD, token.as_str())));
        post(member, watch::PATH, &fields, &watch::body(&self.prefix, revision))
    }

    /// A request for the member's own status, which takes no token.
    pub(super) fn heartbeat(&self, member: &Member) -> Request {
        post(member, status::PATH, &[], status::BODY)
    }

    /// The answer to a watch, of which nothing has come.
    pub(super) fn stream(&self) -> Stream {
        Stream::new(&self.prefix)
    }
}

/// # Panics
/// Never: hosts of members have the characters of a name or an address, and a token those of a
/// field.
fn post(member: &Member, path: &str, fields: &[(&str, &str)], body: &str) -> Request {
    let request = Request::post(&member.authority, path, fields, body.as_bytes());
    request.expect("a host, a path and fields that were checked")
}
