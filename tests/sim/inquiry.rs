//! What the gateway asks members of etcd to find endpoints, and what they reply: bytes of HTTP, and
//! what they mean.

use std::time::Duration;

use data_encoding::BASE64;
use serde_json::Value;

use crate::cluster::{Cluster, Status, header};
use crate::context::Context;
use crate::faults::Fault;
use crate::followed::PREFIX;
use crate::keys::Change;
use crate::line::Watch;
use crate::members::{chunked, framed};

/// For how long a member tries to reach the others for a range, unless it is asked for less.
const RANGE_TIME: Duration = Duration::from_secs(2);

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    Status,
    List,
    Range,
    Watch { from: u64 },
}

/// What a reply means.
#[derive(Clone, Debug)]
pub enum Said {
    Status(Status),
    /// A version of the list of members, and the term of the member that has it.
    List {
        version: usize,
        term: u64,
    },
    /// All keys at a revision.
    Range {
        revision: u64,
    },
    /// A watch has begun.
    Created,
    Changes(Vec<Change>),
    /// A question is refused, or a watch is over.
    Refused,
    /// A watch is over, since it begins before what is left.
    Compacted,
}

/// What a member says, and how it says so.
#[derive(Clone, Debug)]
pub struct Reply {
    pub bytes: Vec<u8>,
    pub said: Said,
    /// The connection ends behind it.
    pub ends: bool,
    /// It is whole only once the connection has ended.
    pub is_until_end: bool,
    /// It is a part of a stream.
    pub is_streamed: bool,
}

impl Cluster {
    /// What a member replies; the time until it knows, if it does not yet.
    pub fn reply(
        &self,
        context: &mut Context,
        member: usize,
        asked: Asked,
    ) -> Result<Reply, Duration> {
        let refuses = context.strike(Fault::EtcdRefuses);
        let waits = !self.has_quorum_at(member) && context.random.chance(500);
        let now = context.now;
        let status = self.status(member, now);
        let keys = context.plan.followed.as_ref().map_or(0, |followed| followed.keys);
        let (code, text, said) = match asked {
            _ if refuses => refusal(503, 14, "etcdserver: server stopped"),
            Asked::Status => (200, self.status_text(member, status), Said::Status(status)),
            Asked::List | Asked::Range | Asked::Watch { .. } if status.is_learner => {
                refusal(503, 14, "etcdserver: rpc not supported for learner")
            }
            Asked::List => {
                let term = status.term;
                let said = Said::List { version: self.list_of(member), term };
                (200, self.list_text(member, term), said)
            }
            Asked::Range if waits => return Err(RANGE_TIME / 4),
            Asked::Range if !self.has_quorum_at(member) => {
                refusal(504, 4, "context deadline exceeded")
            }
            Asked::Range => {
                let revision = self.keys.revision;
                (200, self.keys.range(member, status.term, keys), Said::Range { revision })
            }
            Asked::Watch { .. } if !status.has_leader => refusal(503, 14, "etcdserver: no leader"),
            Asked::Watch { .. } => return Ok(self.begin_watch(context, member, status.term)),
        };
        let answer = framed(code, &text, &mut context.random);
        let (ends, is_until_end) = (answer.ends, answer.is_until_end);
        Ok(Reply { bytes: answer.bytes, said, ends, is_until_end, is_streamed: false })
    }

    fn begin_watch(&self, context: &mut Context, member: usize, term: u64) -> Reply {
        let header = header(member, term, Some(self.keys.revision));
        let is_refused = context.strike(Fault::WatchRefused);
        let rest = match is_refused {
            true => r#","canceled":true,"cancel_reason":"etcdserver: request timed out""#,
            false => "",
        };
        let text = format!("{{\"result\":{{\"header\":{header},\"created\":true{rest}}}}}\n");
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let bytes = format!("{head}{}", chunks(&text, context)).into_bytes();
        let said = if is_refused { Said::Refused } else { Said::Created };
        Reply { bytes, said, ends: false, is_until_end: false, is_streamed: true }
    }

    /// What a member tells over a watch that goes on, and the watch behind that.
    pub fn news(&self, context: &mut Context, member: usize, watch: Watch) -> (Vec<Reply>, Watch) {
        let over = Watch { is_over: true, ..watch };
        if !self.has_leader(member, context.now) {
            let what = r#""grpc_code":14,"http_code":503,"message":"etcdserver: no leader""#;
            let end = chunks(&format!(r#"{{"error":{{{what}}}}}"#), context) + "0\r\n\r\n";
            return (vec![streamed(end, Said::Refused)], over);
        }
        // What the others have agreed on has not come here.
        if !self.has_quorum_at(member) {
            return (Vec::new(), watch);
        }
        if watch.next < self.keys.compacted {
            let header = header(member, self.term, None);
            let at = self.keys.compacted;
            let rest = format!(r#""canceled":true,"compact_revision":"{at}""#);
            let text = format!("{{\"result\":{{\"header\":{header},{rest}}}}}\n");
            return (vec![streamed(chunks(&text, context), Said::Compacted)], over);
        }
        let head = header(member, self.term, Some(self.keys.revision));
        let messages = self.keys.messages(context, watch.next, &head);
        let replies = messages.into_iter().map(|message| {
            let text = chunks(&(message.text + "\n"), context);
            streamed(text, Said::Changes(message.changes))
        });
        (replies.collect(), Watch { next: self.keys.revision + 1, is_over: false })
    }
}

fn refusal(status: u16, code: u32, message: &str) -> (u16, String, Said) {
    let text = format!(r#"{{"error":"{message}","message":"{message}","code":{code}}}"#);
    (status, text, Said::Refused)
}

fn streamed(text: String, said: Said) -> Reply {
    let bytes = text.into_bytes();
    Reply { bytes, said, ends: false, is_until_end: false, is_streamed: true }
}

/// The text in chunks of any size, without the last one.
fn chunks(text: &str, context: &mut Context) -> String {
    let text = chunked(text, &mut context.random);
    text.strip_suffix("0\r\n\r\n").expect("it ends so").to_owned()
}

/// What a request asks, once it is whole.
pub fn read_request(bytes: &[u8]) -> Option<Asked> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&bytes[..end]).expect("a head is text");
    let mut lines = head.lines();
    let first = lines.next().expect("a request has a first line");
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    let length: usize = length.map_or(0, |length| length.parse().expect("a number"));
    if bytes.len() < end + length {
        return None;
    }
    let body = &bytes[end..];
    assert_eq!(body.len(), length, "bytes behind the request");
    assert!(head.contains("\r\nHost: 192.0.2."), "{head}");
    let body: Value = serde_json::from_slice(body).expect("a question is JSON");
    Some(match first {
        "POST /v3/maintenance/status HTTP/1.1" => Asked::Status,
        "POST /v3/cluster/member/list HTTP/1.1" => Asked::List,
        "POST /v3/kv/range HTTP/1.1" => {
            assert!(
                head.contains("\r\nGrpc-Timeout: 2S\r\n"),
                "a range takes 7 s without a leader: {head}"
            );
            assert_eq!(keys_of(&body), ["svc/", "svc0"], "{body}");
            Asked::Range
        }
        "POST /v3/watch HTTP/1.1" => {
            let leader = "\r\nGrpc-Metadata-hasleader: true\r\n";
            assert!(head.contains(leader), "a watch is silent without a leader: {head}");
            let body = &body["create_request"];
            assert_eq!(keys_of(body), ["svc/", "svc0"], "{body}");
            let from = body["start_revision"].as_str().expect("a revision");
            Asked::Watch { from: from.parse().expect("a number") }
        }
        _ => panic!("{first}"),
    })
}

/// The first key that is asked for, and that behind the last one.
fn keys_of(body: &Value) -> [String; 2] {
    assert!(PREFIX.ends_with('/'), "the character behind it is 0");
    ["key", "range_end"].map(|field| {
        let key = body[field].as_str().expect("a key");
        let key = BASE64.decode(key.as_bytes()).expect("in base64");
        String::from_utf8(key).expect("a text")
    })
}
