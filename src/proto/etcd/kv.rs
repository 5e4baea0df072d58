//! Keys and values: which ones are asked for, and the pages that come.
//!
//! Owns how a prefix becomes a range, and that its pages are of one revision and come to an end.
//! What the values mean is decided elsewhere.

use data_encoding::BASE64;
use serde_json::{Map, Value};

use super::json::{self, Header, Malformed};
use crate::config::{ETCD_ANSWER_BYTES_MAX, ETCD_PAGE_KEYS};

/// The path of a range, by POST.
pub const PATH: &str = "/v3/kv/range";

/// A key with its value, as of the last change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyValue {
    /// The key: any bytes, at least one.
    pub key: Vec<u8>,
    /// The value: any bytes.
    pub value: Vec<u8>,
    /// The revision at which the key came to be.
    pub create_revision: u64,
    /// The revision of the last change; never 0.
    pub mod_revision: u64,
    /// The lease that the key ends with; 0: none.
    pub lease: i64,
}

/// One page of the keys with a prefix, in the order of their bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// The member that answered, and the revision of its store: at that of the first page a watch
    /// goes on, from the next one.
    pub header: Header,
    /// The keys, each greater than the one before; at most as many as were asked for.
    pub kvs: Vec<KeyValue>,
    /// The question for the next page; `None`: this is the last one.
    pub next: Option<RangeQuery>,
}

/// A question for one page of the keys with a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeQuery {
    prefix: Vec<u8>,
    /// The first key of the page; it has the prefix, or is one zero byte where that is empty.
    start: Vec<u8>,
    /// The revision of all pages; 0 for the first one: the latest.
    revision: u64,
    keys_max: u32,
}

impl RangeQuery {
    /// The question for the first page of the keys with a prefix at the latest revision. With an
    /// empty prefix it is all keys.
    pub fn new(prefix: &[u8]) -> RangeQuery {
        let start = first_key(prefix);
        RangeQuery { prefix: prefix.to_vec(), start, revision: 0, keys_max: ETCD_PAGE_KEYS }
    }

    /// As [`RangeQuery::new`], with another number of keys in a page, at least 1: of values that
    /// are long, fewer fit into an answer.
    pub fn with_keys_max(prefix: &[u8], keys_max: u32) -> RangeQuery {
        RangeQuery { keys_max: keys_max.max(1), ..RangeQuery::new(prefix) }
    }

    /// The body of the request. The answer is that of a quorum: a member that is cut off answers
    /// after 7 s, or not at all.
    pub fn body(&self) -> String {
        let mut fields = Map::new();
        fields.insert("key".to_owned(), encoded(&self.start));
        fields.insert("range_end".to_owned(), encoded(&range_end(&self.prefix)));
        fields.insert("limit".to_owned(), Value::from(self.keys_max));
        if self.revision > 0 {
            fields.insert("revision".to_owned(), Value::from(self.revision.to_string()));
        }
        Value::Object(fields).to_string()
    }

    /// Reads the body of an answer with status 200 to this question.
    ///
    /// # Errors
    /// [`Malformed`]; [`Malformed::NotEtcd`] also for keys that were not asked for or are not in
    /// order, so that the pages of a hostile server come to an end, too.
    pub fn parse(&self, body: &[u8]) -> Result<Range, Malformed> {
        let answer = json::object(body, ETCD_ANSWER_BYTES_MAX)?;
        let header = json::header(&answer)?;
        let listed = json::array(&answer, "kvs")?;
        if listed.len() > self.keys_max as usize || header.revision < self.revision.max(1) {
            return Err(Malformed::NotEtcd);
        }
        let kvs: Vec<KeyValue> = listed.iter().map(key_value).collect::<Result<_, _>>()?;
        let are_in_order = kvs.windows(2).all(|pair| pair[0].key < pair[1].key);
        let are_ours = kvs.iter().all(|kv| kv.key.starts_with(&self.prefix));
        let is_from_start = kvs.first().is_none_or(|kv| kv.key >= self.start);
        if !are_in_order || !are_ours || !is_from_start {
            return Err(Malformed::NotEtcd);
        }
        let next = match (json::boolean(&answer, "more")?, kvs.last()) {
            (false, _) => None,
            (true, Some(last)) => Some(self.after(&last.key, header.revision)),
            (true, None) => return Err(Malformed::NotEtcd),
        };
        Ok(Range { header, kvs, next })
    }

    /// The page that begins behind a key.
    fn after(&self, key: &[u8], latest: u64) -> RangeQuery {
        let start = [key, &[0]].concat();
        debug_assert!(start > self.start, "the pages come to an end");
        let revision = if self.revision == 0 { latest } else { self.revision };
        RangeQuery { prefix: self.prefix.clone(), start, revision, keys_max: self.keys_max }
    }
}

/// The first key of a range of all keys with a prefix. A key has a byte at least.
pub(super) fn first_key(prefix: &[u8]) -> Vec<u8> {
    if prefix.is_empty() { vec![0] } else { prefix.to_vec() }
}

/// The end of a range of all keys with a prefix: the first key behind them. Where there is none,
/// one zero byte, which for etcd means the end of all keys.
pub(super) fn range_end(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return end;
        }
    }
    vec![0]
}

/// Bytes as JSON has them.
pub(super) fn encoded(bytes: &[u8]) -> Value {
    Value::from(BASE64.encode(bytes))
}

/// Reads a key with its value.
///
/// # Errors
/// [`Malformed::NotEtcd`] without a key or without the revision of its last change.
pub(super) fn key_value(value: &Value) -> Result<KeyValue, Malformed> {
    let kv = value.as_object().ok_or(Malformed::NotEtcd)?;
    let kv = KeyValue {
        key: bytes(kv, "key")?,
        value: bytes(kv, "value")?,
        create_revision: json::number(kv, "create_revision")?,
        mod_revision: json::number(kv, "mod_revision")?,
        lease: json::signed(kv, "lease")?,
    };
    match kv.key.is_empty() || kv.mod_revision == 0 {
        true => Err(Malformed::NotEtcd),
        false => Ok(kv),
    }
}

/// The bytes of a field in base64, with padding; absent, there are none.
fn bytes(object: &Map<String, Value>, field: &str) -> Result<Vec<u8>, Malformed> {
    BASE64.decode(json::text(object, field)?.as_bytes()).map_err(|_| Malformed::NotEtcd)
}

#[cfg(test)]
mod tests {
    use super::super::joined;
    use super::*;

    /// A range of etcd 3.4.23 with a limit of 2: a value, and none.
    const FIRST_PAGE: &str = r#"{"header":{"cluster_id":"9808987074649990531",
        "member_id":"18289044363499135440","revision":"4","raft_term":"2"},"kvs":[
        {"key":"c3ZjL2E=","create_revision":"2","mod_revision":"2","version":"1",
        "value":"eyJPcCI6MCwiQWRkciI6IjEuMi4zLjQ6NSJ9"},
        {"key":"c3ZjL2I=","create_revision":"3","mod_revision":"3","version":"1"}],
        "more":true,"count":"3"}"#;
    /// Its last key, with a lease.
    const LAST_PAGE: &str = r#"{"header":{"cluster_id":"9808987074649990531",
        "member_id":"18289044363499135440","revision":"7","raft_term":"2"},"kvs":[
        {"key":"c3ZjL2M=","create_revision":"4","mod_revision":"4","version":"1",
        "value":"MTAuMC4wLjE6ODA=","lease":"7048311682969391113"}],"count":"1"}"#;
    /// A range of etcd 3.4.23 without a key.
    const EMPTY: &str = r#"{"header":{"cluster_id":"9808987074649990531",
        "member_id":"18289044363499135440","revision":"4","raft_term":"2"}}"#;

    #[track_caller]
    fn page(query: &RangeQuery, text: &str) -> Range {
        query.parse(joined(text).as_bytes()).expect(text)
    }

    #[test]
    fn pages_of_a_real_member() {
        let query = RangeQuery::with_keys_max(b"svc/", 2);
        assert_eq!(query.body(), r#"{"key":"c3ZjLw==","limit":2,"range_end":"c3ZjMA=="}"#);
        let first = page(&query, FIRST_PAGE);
        assert_eq!(first.header.revision, 4);
        let want = KeyValue {
            key: b"svc/a".to_vec(),
            value: br#"{"Op":0,"Addr":"1.2.3.4:5"}"#.to_vec(),
            create_revision: 2,
            mod_revision: 2,
            lease: 0,
        };
        assert_eq!(first.kvs[0], want);
        assert_eq!((&first.kvs[1].key[..], &first.kvs[1].value[..]), (&b"svc/b"[..], &b""[..]));
        let next = first.next.expect("there is more");
        assert_eq!(
            next.body(),
            r#"{"key":"c3ZjL2IA","limit":2,"range_end":"c3ZjMA==","revision":"4"}"#
        );
        let last = page(&next, LAST_PAGE);
        assert_eq!(last.kvs[0].lease, 7048311682969391113);
        assert_eq!(last.next, None);
        let empty = page(&query, EMPTY);
        assert_eq!((empty.kvs, empty.next), (Vec::new(), None));
    }

    #[test]
    fn all_pages_are_of_the_first_revision() {
        let query = RangeQuery::with_keys_max(b"svc/", 2);
        let next = page(&query, FIRST_PAGE).next.expect("there is more");
        let later = LAST_PAGE.replace(r#""count""#, r#""more":true,"count""#);
        let third = page(&next, &later).next.expect("there is more");
        assert_eq!(third.revision, 4);
        assert_eq!(third.start, b"svc/c\0");
    }

    #[test]
    fn the_range_of_a_prefix_ends_behind_its_last_key() {
        for (prefix, first, end) in [
            (&b"svc/"[..], &b"svc/"[..], &b"svc0"[..]),
            (b"a", b"a", b"b"),
            (b"\0", b"\0", b"\x01"),
            (b"a\xff", b"a\xff", b"b"),
            (b"a\xfe\xff\xff", b"a\xfe\xff\xff", b"a\xff"),
            (b"\xff", b"\xff", b"\0"),
            (b"\xff\xff", b"\xff\xff", b"\0"),
            (b"", b"\0", b"\0"),
        ] {
            assert_eq!((&first_key(prefix)[..], &range_end(prefix)[..]), (first, end));
        }
        let all = RangeQuery::new(b"").body();
        assert_eq!(all, r#"{"key":"AA==","limit":512,"range_end":"AA=="}"#);
    }

    #[test]
    fn keys_that_were_not_asked_for_are_refused() {
        let query = RangeQuery::with_keys_max(b"svc/", 2);
        let next = page(&query, FIRST_PAGE).next.expect("there is more");
        assert_eq!(next.parse(joined(FIRST_PAGE).as_bytes()), Err(Malformed::NotEtcd), "again");
        let swapped = FIRST_PAGE.replace("c3ZjL2I=", "c3ZjL2E=");
        let other = FIRST_PAGE.replace("c3ZjL2I=", "c3ZjMA==");
        let endless = EMPTY.replace("}}", "},\"more\":true}");
        let old = LAST_PAGE.replace(r#""revision":"7""#, r#""revision":"3""#);
        for (query, text) in [
            (&query, &swapped),
            (&query, &other),
            (&query, &endless),
            (&next, &old),
            (&RangeQuery::with_keys_max(b"svc/", 1), &FIRST_PAGE.to_owned()),
        ] {
            assert_eq!(query.parse(joined(text).as_bytes()), Err(Malformed::NotEtcd), "{text}");
        }
    }

    #[test]
    fn broken_keys_and_values_are_refused() {
        let query = RangeQuery::new(b"");
        for (from, to) in [
            (r#""revision":"4","#, ""),
            (r#""key":"c3ZjL2E=","#, ""),
            (r#""key":"c3ZjL2E=""#, r#""key":"""#),
            (r#""key":"c3ZjL2E=""#, r#""key":"c3ZjL2E""#),
            (r#""key":"c3ZjL2E=""#, r#""key":"c3ZjL2F=""#),
            (r#""key":"c3ZjL2E=""#, r#""key":"c3Zj-_E=""#),
            (r#""key":"c3ZjL2E=""#, r#""key":"c3Zj\nL2E=""#),
            (r#""key":"c3ZjL2E=""#, r#""key":7"#),
            (r#""mod_revision":"2","#, ""),
            (r#""mod_revision":"2""#, r#""mod_revision":"-2""#),
            (r#""version":"1""#, r#""lease":"x""#),
            (r#""more":true"#, r#""more":1"#),
            (r#""kvs":["#, r#""kvs":[1,"#),
        ] {
            let text = joined(FIRST_PAGE).replacen(from, to, 1);
            assert_ne!(text, joined(FIRST_PAGE), "{from}");
            assert_eq!(query.parse(text.as_bytes()), Err(Malformed::NotEtcd), "{text}");
        }
        let negative = joined(FIRST_PAGE).replacen(r#""version":"1""#, r#""lease":"-7""#, 1);
        assert_eq!(query.parse(negative.as_bytes()).expect("a page").kvs[0].lease, -7);
    }
}
