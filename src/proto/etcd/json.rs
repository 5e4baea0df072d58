//! Values of JSON as etcd writes them: 64-bit numbers as decimal strings, absent for zero.
//!
//! Owns the bounds of what is parsed. The parser is a crate's: strict, at most 128 levels deep;
//! where a key comes twice, the last value counts, as in Go. What a field means is decided by the
//! callers.

use std::fmt;

use serde_json::{Map, Value};

use crate::config::{ETCD_JSON_VALUES_MAX, ETCD_TEXT_CHARACTERS_MAX};

/// Why an answer cannot be read. Shown as one word of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Longer, or with more values in it, than any that etcd would send.
    TooLarge,
    /// Not a JSON object.
    NotJson,
    /// A JSON object without what etcd's answer to this question has.
    NotEtcd,
}

impl Malformed {
    /// The reason as one word.
    pub fn word(self) -> &'static str {
        match self {
            Malformed::TooLarge => "too_large",
            Malformed::NotJson => "not_json",
            Malformed::NotEtcd => "not_etcd",
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Reads one object of at most `bytes_max` bytes; blanks around it are skipped.
///
/// # Errors
/// [`Malformed`], with [`Malformed::TooLarge`] before anything is allocated.
pub(super) fn object(body: &[u8], bytes_max: usize) -> Result<Map<String, Value>, Malformed> {
    if body.len() > bytes_max || values_at_most(body) > ETCD_JSON_VALUES_MAX {
        return Err(Malformed::TooLarge);
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) | Err(_) => Err(Malformed::NotJson),
    }
}

/// No fewer than the values in a text: each but the first has one of these signs before it. Signs
/// inside strings count as well, of which an answer that is meant has few.
fn values_at_most(text: &[u8]) -> usize {
    text.iter().filter(|byte| matches!(byte, b',' | b':' | b'[' | b'{')).count()
}

/// The number of a field, 0 where it is absent: etcd omits what is zero.
///
/// # Errors
/// [`Malformed::NotEtcd`] for anything but a whole number from 0 to 2^64 - 1, as a decimal string
/// or a number of JSON.
pub(super) fn number(object: &Map<String, Value>, field: &str) -> Result<u64, Malformed> {
    match object.get(field) {
        None | Some(Value::Null) => Ok(0),
        Some(Value::Number(number)) => number.as_u64().ok_or(Malformed::NotEtcd),
        Some(Value::String(text)) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            text.parse().map_err(|_| Malformed::NotEtcd)
        }
        Some(_) => Err(Malformed::NotEtcd),
    }
}

/// As [`number`], from -2^63 to 2^63 - 1.
///
/// # Errors
/// [`Malformed::NotEtcd`] for anything but such a number.
pub(super) fn signed(object: &Map<String, Value>, field: &str) -> Result<i64, Malformed> {
    match object.get(field) {
        // The standard library takes a plus sign, too, but none behind the minus sign.
        Some(Value::String(text)) if text.starts_with('-') => {
            text.parse().map_err(|_| Malformed::NotEtcd)
        }
        _ => i64::try_from(number(object, field)?).map_err(|_| Malformed::NotEtcd),
    }
}

/// Whether a field is `true`; absent, it is false.
///
/// # Errors
/// [`Malformed::NotEtcd`] for anything but a boolean.
pub(super) fn boolean(object: &Map<String, Value>, field: &str) -> Result<bool, Malformed> {
    match object.get(field) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(value)) => Ok(*value),
        Some(_) => Err(Malformed::NotEtcd),
    }
}

/// The text of a field; absent, it is empty.
///
/// # Errors
/// [`Malformed::NotEtcd`] for anything but a string.
pub(super) fn text<'a>(object: &'a Map<String, Value>, field: &str) -> Result<&'a str, Malformed> {
    match object.get(field) {
        None | Some(Value::Null) => Ok(""),
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(Malformed::NotEtcd),
    }
}

/// The values of a field; absent, there are none.
///
/// # Errors
/// [`Malformed::NotEtcd`] for anything but an array.
pub(super) fn array<'a>(
    object: &'a Map<String, Value>,
    field: &str,
) -> Result<&'a [Value], Malformed> {
    match object.get(field) {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(values)) => Ok(values),
        Some(_) => Err(Malformed::NotEtcd),
    }
}

/// The text without its control characters and without what is not ASCII, at most
/// [`ETCD_TEXT_CHARACTERS_MAX`] of it: one plain line, also of an attacker.
pub(super) fn printable(text: &str) -> String {
    let plain = text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ');
    plain.take(ETCD_TEXT_CHARACTERS_MAX).collect()
}

/// The header of an answer: the member and the cluster that it is from, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The cluster; never 0.
    pub cluster_id: u64,
    /// The member that answered; never 0.
    pub member_id: u64,
    /// The revision of its store; 0 where the answer has none, as that of a member list.
    pub revision: u64,
    /// Its term of Raft; 0 where the answer has none.
    pub raft_term: u64,
}

/// The header of an answer.
///
/// # Errors
/// [`Malformed::NotEtcd`] where there is none that names a member and a cluster.
pub(super) fn header(answer: &Map<String, Value>) -> Result<Header, Malformed> {
    let Some(Value::Object(header)) = answer.get("header") else { return Err(Malformed::NotEtcd) };
    let header = Header {
        cluster_id: number(header, "cluster_id")?,
        member_id: number(header, "member_id")?,
        revision: number(header, "revision")?,
        raft_term: number(header, "raft_term")?,
    };
    match header.cluster_id == 0 || header.member_id == 0 {
        true => Err(Malformed::NotEtcd),
        false => Ok(header),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES_MAX: usize = 1 << 20;

    #[track_caller]
    fn read(text: &str) -> Map<String, Value> {
        object(text.as_bytes(), BYTES_MAX).expect(text)
    }

    #[test]
    fn objects_alone_are_answers() {
        for text in ["{}", " {} \n", r#"{"a":{"b":[1,-2,3.5,null,true,"\u00e9"]}}"#] {
            read(text);
        }
        for text in [
            "",
            "{",
            "}",
            "[]",
            "null",
            "1",
            "\"{}\"",
            "{}{}",
            "{} x",
            "{'a':1}",
            "{a:1}",
            "{\"a\"}",
            "{\"a\":01}",
            "{\"a\":+1}",
            "{\"a\":1,}",
            "{\"a\":NaN}",
            "{\"a\":\"\n\"}",
            "\u{feff}{}",
            r#"{"a":"\q"}"#,
            r#"{"a":"\ud800"}"#,
            "404 page not found\n",
        ] {
            assert_eq!(object(text.as_bytes(), BYTES_MAX), Err(Malformed::NotJson), "{text}");
        }
        assert_eq!(object(b"{\"a\":\"\xff\"}", BYTES_MAX), Err(Malformed::NotJson));
    }

    fn nested(depth: usize) -> String {
        format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth))
    }

    fn wide(values: usize) -> String {
        format!("{{\"a\":[0{}]}}", ",0".repeat(values - 1))
    }

    #[test]
    fn nesting_and_number_of_values_are_bounded() {
        read(&nested(126));
        assert_eq!(object(nested(127).as_bytes(), BYTES_MAX), Err(Malformed::NotJson));
        let open = format!("{{\"a\":{}", "[".repeat(ETCD_JSON_VALUES_MAX - 2));
        assert_eq!(object(open.as_bytes(), BYTES_MAX), Err(Malformed::NotJson));
        read(&wide(ETCD_JSON_VALUES_MAX - 2));
        let beyond = wide(ETCD_JSON_VALUES_MAX - 1);
        assert_eq!(object(beyond.as_bytes(), BYTES_MAX), Err(Malformed::TooLarge));
        assert_eq!(object(b"{ }", 3), Ok(Map::new()));
        assert_eq!(object(b"{ } ", 3), Err(Malformed::TooLarge));
    }

    #[test]
    fn numbers_are_decimal_strings_or_numbers() {
        for (value, want) in [
            ("0", Some(0)),
            ("\"0\"", Some(0)),
            ("null", Some(0)),
            ("18446744073709551615", Some(u64::MAX)),
            ("\"18446744073709551615\"", Some(u64::MAX)),
            ("\"007\"", Some(7)),
            ("18446744073709551616", None),
            ("\"18446744073709551616\"", None),
            ("\"\"", None),
            ("-1", None),
            ("\"-1\"", None),
            ("\"+1\"", None),
            ("\" 1\"", None),
            ("\"0x1\"", None),
            ("1.0", None),
            ("1e3", None),
            ("true", None),
            ("[1]", None),
            ("{}", None),
        ] {
            let answer = read(&format!("{{\"n\":{value}}}"));
            assert_eq!(number(&answer, "n").ok(), want, "{value}");
        }
        assert_eq!(number(&read("{}"), "n"), Ok(0));
        assert_eq!(number(&read(r#"{"n":"1","n":"2"}"#), "n"), Ok(2), "the last one counts");
        assert_eq!(number(&read(r#"{"N":"1"}"#), "n"), Ok(0));
    }

    #[test]
    fn signed_numbers_are_decimal_strings_or_numbers() {
        for (value, want) in [
            ("\"-9223372036854775808\"", Some(i64::MIN)),
            ("\"9223372036854775807\"", Some(i64::MAX)),
            ("7", Some(7)),
            ("null", Some(0)),
            ("\"-9223372036854775809\"", None),
            ("\"9223372036854775808\"", None),
            ("\"-\"", None),
            ("\"-+1\"", None),
            ("-1", None),
            ("true", None),
        ] {
            let answer = read(&format!("{{\"n\":{value}}}"));
            assert_eq!(signed(&answer, "n").ok(), want, "{value}");
        }
    }

    #[test]
    fn fields_of_another_type_are_refused() {
        let answer = read(r#"{"b":true,"t":"x","a":[1],"o":{},"z":null}"#);
        assert_eq!(boolean(&answer, "b"), Ok(true));
        assert_eq!(boolean(&answer, "none"), Ok(false));
        assert_eq!(boolean(&answer, "z"), Ok(false));
        assert_eq!(boolean(&answer, "t"), Err(Malformed::NotEtcd));
        assert_eq!(text(&answer, "t"), Ok("x"));
        assert_eq!(text(&answer, "none"), Ok(""));
        assert_eq!(text(&answer, "b"), Err(Malformed::NotEtcd));
        assert_eq!(array(&answer, "a").map(<[Value]>::len), Ok(1));
        assert_eq!(array(&answer, "none").map(<[Value]>::len), Ok(0));
        assert_eq!(array(&answer, "o"), Err(Malformed::NotEtcd));
    }

    #[test]
    fn headers_name_a_member_and_a_cluster() {
        let own = Header { cluster_id: 1, member_id: 2, revision: 3, raft_term: 4 };
        let all = r#"{"cluster_id":"1","member_id":"2","revision":"3","raft_term":"4"}"#;
        assert_eq!(header(&read(&format!("{{\"header\":{all}}}"))), Ok(own));
        let without = Header { revision: 0, raft_term: 0, ..own };
        let least = r#"{"header":{"cluster_id":1,"member_id":2}}"#;
        assert_eq!(header(&read(least)), Ok(without));
        for text in [
            "{}",
            r#"{"header":null}"#,
            r#"{"header":[]}"#,
            r#"{"header":{}}"#,
            r#"{"header":{"cluster_id":"1"}}"#,
            r#"{"header":{"member_id":"2"}}"#,
            r#"{"header":{"cluster_id":"1","member_id":"0"}}"#,
            r#"{"header":{"cluster_id":"1","member_id":"2","raft_term":"x"}}"#,
        ] {
            assert_eq!(header(&read(text)), Err(Malformed::NotEtcd), "{text}");
        }
    }

    #[test]
    fn text_for_the_log_is_one_plain_line() {
        assert_eq!(printable("a b\n\u{1b}[1m\u{202e}\u{e9}~"), "a b[1m~");
        assert_eq!(printable(&"x".repeat(1 << 16)).len(), ETCD_TEXT_CHARACTERS_MAX);
    }

    #[test]
    fn reasons_are_words() {
        let words = [Malformed::TooLarge, Malformed::NotJson, Malformed::NotEtcd];
        let words = words.map(|reason| reason.to_string());
        assert_eq!(words, ["too_large", "not_json", "not_etcd"]);
    }
}
