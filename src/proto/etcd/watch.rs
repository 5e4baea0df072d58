//! A watch: the changes of all keys with a prefix, as a stream of messages.
//!
//! Owns what one message means. The stream is cut by [`super::splitter`]; when to ask again, and
//! from which revision, is decided elsewhere.
//!
//! A stream says `created` at once, also without a quorum, and also where it is refused in the same
//! message; then each revision once, in order; then nothing for as long as nothing changes. A watch
//! that is canceled ends, but its stream does not.

use serde_json::{Map, Value};

use super::failure::{self, Failure};
use super::json::{self, Header, Malformed};
use super::kv::{self, KeyValue};
use crate::config::ETCD_ANSWER_BYTES_MAX;

/// The path, by POST.
pub const PATH: &str = "/v3/watch";
/// A field of the head that makes the member end a watch, or refuse it, while it knows no leader.
/// Without it such a watch is silent.
pub const LEADER_FIELD: (&str, &str) = ("Grpc-Metadata-hasleader", "true");

/// The body of a request for the changes of all keys with a prefix from a revision on, at least 1:
/// as a rule the one after that of a range.
///
/// It asks for *fragments*: a message of more than 2 MiB comes in several, so that each can be
/// bounded. It also asks for progress, which comes every ten minutes at most.
pub fn body(prefix: &[u8], start_revision: u64) -> String {
    let mut fields = Map::new();
    fields.insert("key".to_owned(), kv::encoded(&kv::first_key(prefix)));
    fields.insert("range_end".to_owned(), kv::encoded(&kv::range_end(prefix)));
    fields.insert("start_revision".to_owned(), Value::from(start_revision.to_string()));
    fields.insert("progress_notify".to_owned(), Value::from(true));
    fields.insert("fragment".to_owned(), Value::from(true));
    let mut body = Map::new();
    body.insert("create_request".to_owned(), Value::Object(fields));
    Value::Object(body).to_string()
}

/// The meaning of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// The watch is there; nothing is known yet of what it watches.
    Created(Header),
    /// Changes, in the order of their revisions; one at least.
    Events {
        /// Its revision is that of the member, which may be later than that of the changes.
        header: Header,
        /// The changes.
        events: Vec<Event>,
        /// Whether further changes of the last revision may come, in the next message.
        is_fragment: bool,
    },
    /// Everything up to the header's revision has been said.
    Progress(Header),
    /// The watch begins before what is left: to be asked for again behind a new range.
    Compacted {
        /// The first revision that can be watched.
        compact_revision: u64,
    },
    /// The watch is refused or canceled.
    Canceled(Failure),
    /// The stream ends.
    Failed(Failure),
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A key is there, or has another value.
    Put(KeyValue),
    /// A key is gone, deleted or with its lease.
    Delete {
        /// The key.
        key: Vec<u8>,
        /// The revision of the change; never 0.
        mod_revision: u64,
    },
}

impl Event {
    /// The key that has changed.
    pub fn key(&self) -> &[u8] {
        match self {
            Event::Put(kv) => &kv.key,
            Event::Delete { key, .. } => key,
        }
    }

    /// The revision of the change; never 0.
    pub fn mod_revision(&self) -> u64 {
        match self {
            Event::Put(kv) => kv.mod_revision,
            Event::Delete { mod_revision, .. } => *mod_revision,
        }
    }
}

/// Reads one message of a watch of the keys with a prefix.
///
/// # Errors
/// [`Malformed`]; [`Malformed::NotEtcd`] also for changes of other keys, or out of order.
pub fn parse(message: &[u8], prefix: &[u8]) -> Result<Message, Malformed> {
    let message = json::object(message, ETCD_ANSWER_BYTES_MAX)?;
    if let Some(error) = message.get("error") {
        return failure::of_error(error, json::number(&message, "code")?).map(Message::Failed);
    }
    let Some(Value::Object(result)) = message.get("result") else { return Err(Malformed::NotEtcd) };
    let header = json::header(result)?;
    // Before `created`, which a watch that is refused has as well.
    if json::boolean(result, "canceled")? {
        return canceled(result);
    }
    if json::boolean(result, "created")? {
        return Ok(Message::Created(header));
    }
    let events = json::array(result, "events")?;
    if events.is_empty() {
        return Ok(Message::Progress(header));
    }
    let events: Vec<Event> = events.iter().map(event).collect::<Result<_, _>>()?;
    let are_ours = events.iter().all(|event| event.key().starts_with(prefix));
    let are_in_order = events.is_sorted_by_key(Event::mod_revision);
    match are_ours && are_in_order {
        true => {
            let is_fragment = json::boolean(result, "fragment")?;
            Ok(Message::Events { header, events, is_fragment })
        }
        false => Err(Malformed::NotEtcd),
    }
}

fn canceled(result: &Map<String, Value>) -> Result<Message, Malformed> {
    Ok(match json::number(result, "compact_revision")? {
        0 => Message::Canceled(Failure::of_cancel_reason(json::text(result, "cancel_reason")?)),
        compact_revision => Message::Compacted { compact_revision },
    })
}

/// Etcd has no `type` in a put, since that is the zero of its enumeration.
fn event(value: &Value) -> Result<Event, Malformed> {
    let event = value.as_object().ok_or(Malformed::NotEtcd)?;
    let kv = kv::key_value(event.get("kv").ok_or(Malformed::NotEtcd)?)?;
    match json::text(event, "type")? {
        "" | "PUT" => Ok(Event::Put(kv)),
        "DELETE" => Ok(Event::Delete { key: kv.key, mod_revision: kv.mod_revision }),
        _ => Err(Malformed::NotEtcd),
    }
}

#[cfg(test)]
mod tests {
    use super::super::failure::FailureKind;
    use super::super::joined;
    use super::*;

    /// The header of a message of etcd 3.4.23 at a revision.
    fn with_header(revision: u64, rest: &str) -> String {
        let text = format!(
            r#"{{"result":{{"header":{{"cluster_id":"9808987074649990531",
            "member_id":"18289044363499135440","revision":"{revision}","raft_term":"2"}}{rest}}}}}"#
        );
        joined(&text)
    }

    fn header(revision: u64) -> Header {
        Header {
            cluster_id: 9808987074649990531,
            member_id: 18289044363499135440,
            revision,
            raft_term: 2,
        }
    }

    #[track_caller]
    fn message(text: &str) -> Message {
        parse(text.as_bytes(), b"svc/").expect(text)
    }

    fn put(key: &str, value: &str, revision: u64) -> Event {
        Event::Put(KeyValue {
            key: key.as_bytes().to_vec(),
            value: value.as_bytes().to_vec(),
            create_revision: revision,
            mod_revision: revision,
            lease: 0,
        })
    }

    fn delete(key: &str, mod_revision: u64) -> Event {
        Event::Delete { key: key.as_bytes().to_vec(), mod_revision }
    }

    #[test]
    fn a_watch_is_asked_for_by_prefix() {
        let want = r#"{"create_request":{"fragment":true,"key":"c3ZjLw==","progress_notify":true,
            "range_end":"c3ZjMA==","start_revision":"3"}}"#;
        assert_eq!(body(b"svc/", 3), joined(want));
    }

    #[test]
    fn changes_of_a_real_member() {
        let one = with_header(
            4,
            r#","events":[{"kv":{"key":"c3ZjL2I=","create_revision":"3",
            "mod_revision":"3","version":"1"}},{"kv":{"key":"c3ZjL2M=","create_revision":"4",
            "mod_revision":"4","version":"1","value":"MTAuMC4wLjE6ODA="}}]"#,
        );
        let events = vec![put("svc/b", "", 3), put("svc/c", "10.0.0.1:80", 4)];
        let want = Message::Events { header: header(4), events, is_fragment: false };
        assert_eq!(message(&one), want);

        let transaction = with_header(
            6,
            r#","events":[{"kv":{"key":"c3ZjL3g=",
            "create_revision":"6","mod_revision":"6","version":"1","value":"MTox"}},
            {"type":"DELETE","kv":{"key":"c3ZjL2E=","mod_revision":"6"}}]"#,
        );
        let events = vec![put("svc/x", "1:1", 6), delete("svc/a", 6)];
        assert_eq!(events.iter().map(Event::mod_revision).collect::<Vec<_>>(), [6, 6]);
        let want = Message::Events { header: header(6), events, is_fragment: false };
        assert_eq!(message(&transaction), want);

        let fragment = with_header(
            10,
            r#","fragment":true,
            "events":[{"type":"DELETE","kv":{"key":"c3ZjL2I=","mod_revision":"7"}}]"#,
        );
        let events = vec![delete("svc/b", 7)];
        let want = Message::Events { header: header(10), events, is_fragment: true };
        assert_eq!(message(&fragment), want);

        let value = data_encoding::BASE64.encode(&[b'x'; 1 << 20]);
        let large = with_header(
            5,
            &format!(
                r#","events":[{{"kv":{{"key":"c3ZjL2I=",
            "create_revision":"5","mod_revision":"5","value":"{value}"}}}}]"#
            ),
        );
        let Message::Events { events, .. } = message(&large) else { panic!("{large:.99}") };
        assert_eq!(events, [put("svc/b", &"x".repeat(1 << 20), 5)]);
    }

    #[test]
    fn what_a_real_member_says_without_changes() {
        assert_eq!(message(&with_header(4, r#","created":true"#)), Message::Created(header(4)));
        assert_eq!(message(&with_header(4, "")), Message::Progress(header(4)));
        let asked_for = with_header(7, r#","watch_id":"-1""#);
        assert_eq!(message(&asked_for), Message::Progress(header(7)));
        let compacted = with_header(0, r#","canceled":true,"compact_revision":"6""#)
            .replace(r#""revision":"0","#, "");
        assert_eq!(message(&compacted), Message::Compacted { compact_revision: 6 });
        for (rest, want) in [
            (
                r#","watch_id":"-1","created":true,"canceled":true,"cancel_reason":
                "rpc error: code = Unauthenticated desc = etcdserver: invalid auth token""#,
                FailureKind::TokenInvalid,
            ),
            (
                r#","watch_id":"-1","created":true,"canceled":true,"cancel_reason":
                "rpc error: code = InvalidArgument desc = etcdserver: user name is empty""#,
                FailureKind::TokenMissing,
            ),
            // Of etcd 3.5.1, whatever is wrong with the token.
            (
                r#","created":true,"canceled":true,"cancel_reason":
                "rpc error: code = PermissionDenied desc = etcdserver: permission denied""#,
                FailureKind::PermissionDenied,
            ),
            (r#","canceled":true"#, FailureKind::Other(0)),
        ] {
            let Message::Canceled(failure) = message(&with_header(10, rest)) else {
                panic!("{rest}")
            };
            assert_eq!(failure.kind, want, "{rest}");
        }
    }

    #[test]
    fn the_last_message_of_a_stream() {
        let ended = r#"{"error":{"grpc_code":14,"http_code":503,
            "message":"etcdserver: no leader","http_status":"Service Unavailable"}}"#;
        let Message::Failed(failure) = message(&joined(ended)) else { panic!("{ended}") };
        assert_eq!(failure.kind, FailureKind::NoLeader);
    }

    #[test]
    fn what_is_not_of_a_watch_is_refused() {
        let put = r#"{"kv":{"key":"c3ZjL3g=","mod_revision":"6"}}"#;
        message(&with_header(6, &format!(r#","events":[{put}]"#)));
        for text in [
            "{}".to_owned(),
            r#"{"result":{}}"#.to_owned(),
            r#"{"result":[]}"#.to_owned(),
            r#"{"error":7}"#.to_owned(),
            with_header(6, r#","created":1"#),
            with_header(6, r#","canceled":"true""#),
            with_header(6, r#","canceled":true,"compact_revision":"x""#),
            with_header(6, r#","canceled":true,"cancel_reason":7"#),
            with_header(6, r#","events":7"#),
            with_header(6, r#","events":[7]"#),
            with_header(6, r#","events":[{}]"#),
            with_header(6, r#","events":[{"type":"DELETE"}]"#),
            with_header(6, &format!(r#","fragment":7,"events":[{put}]"#)),
            with_header(
                6,
                &format!(r#","events":[{}]"#, put.replace("\"kv\"", "\"type\":1,\"kv\"")),
            ),
            with_header(6, &format!(r#","events":[{}]"#, put.replace(r#""6""#, r#""0""#))),
            with_header(6, &format!(r#","events":[{}]"#, put.replace("c3ZjL3g=", "c3ZjMA=="))),
            with_header(6, &format!(r#","events":[{put},{}]"#, put.replace(r#""6""#, r#""5""#))),
        ] {
            assert_eq!(parse(text.as_bytes(), b"svc/"), Err(Malformed::NotEtcd), "{text}");
        }
        assert_eq!(parse(b"{", b""), Err(Malformed::NotJson));
    }
}
