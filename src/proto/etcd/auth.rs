//! Authentication: a name and a password for a token.
//!
//! Owns which texts can be a token, which goes into the head of a request. Why etcd gives none is a
//! [`super::failure::Failure`]; when to ask for a new one is decided elsewhere.

use std::fmt;

use serde_json::{Map, Value};

use super::json::{self, Malformed};
use crate::config::{ETCD_STATUS_BYTES_MAX, ETCD_TOKEN_BYTES_MAX};

/// The path, by POST.
pub const PATH: &str = "/v3/auth/authenticate";
/// The field of the head that has the token, and nothing else: with `Bearer ` before it, a token is
/// refused, and any token is refused while authentication is off.
pub const TOKEN_FIELD: &str = "Authorization";

/// A token: 1 to [`ETCD_TOKEN_BYTES_MAX`] visible characters of ASCII, so that it cannot end a
/// field of a head. Not shown by `Debug`, as it is as good as a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// The value of [`TOKEN_FIELD`].
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// The body of a request for a token.
pub fn body(name: &str, password: &str) -> String {
    let mut fields = Map::new();
    fields.insert("name".to_owned(), Value::from(name));
    fields.insert("password".to_owned(), Value::from(password));
    Value::Object(fields).to_string()
}

/// Reads the body of an answer with status 200.
///
/// # Errors
/// [`Malformed`], for instance if what it has for a token cannot be in a head.
pub fn parse(body: &[u8]) -> Result<Token, Malformed> {
    let answer = json::object(body, ETCD_STATUS_BYTES_MAX)?;
    json::header(&answer)?;
    let token = json::text(&answer, "token")?;
    if token.len() > ETCD_TOKEN_BYTES_MAX {
        return Err(Malformed::TooLarge);
    }
    match !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(Token(token.to_owned())),
        false => Err(Malformed::NotEtcd),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(token: &str) -> String {
        format!(r#"{{"header":{{"cluster_id":"1","member_id":"2"}},"token":{token}}}"#)
    }

    #[test]
    fn names_and_passwords_are_escaped() {
        assert_eq!(body("u", "pw"), r#"{"name":"u","password":"pw"}"#);
        let hostile = body("a\"b\\", "p\"\\\u{e9}\u{1}\n");
        assert_eq!(hostile, "{\"name\":\"a\\\"b\\\\\",\"password\":\"p\\\"\\\\\u{e9}\\u0001\\n\"}");
    }

    #[test]
    fn tokens_of_a_real_member() {
        let text = r#"{"header":{"cluster_id":"9808987074649990531",
            "member_id":"18289044363499135440","revision":"10","raft_term":"2"},
            "token":"jcmYfiZPagcMJqEC.44"}"#;
        let token = parse(text.as_bytes()).expect(text);
        assert_eq!(token.as_str(), "jcmYfiZPagcMJqEC.44");
        assert_eq!(format!("{token:?}"), "Token(..)");
    }

    #[test]
    fn tokens_that_may_not_be_in_a_head_are_refused() {
        let longest = format!("\"{}\"", "a".repeat(ETCD_TOKEN_BYTES_MAX));
        assert!(parse(answer(&longest).as_bytes()).is_ok());
        let longer = format!("\"{}\"", "a".repeat(ETCD_TOKEN_BYTES_MAX + 1));
        for (token, want) in [
            ("\"\"", Malformed::NotEtcd),
            ("null", Malformed::NotEtcd),
            ("7", Malformed::NotEtcd),
            (r#""a b""#, Malformed::NotEtcd),
            (r#""a\r\nX: y""#, Malformed::NotEtcd),
            (r#""a\u0000""#, Malformed::NotEtcd),
            (r#""a\u007f""#, Malformed::NotEtcd),
            ("\"\u{e9}\"", Malformed::NotEtcd),
            (longer.as_str(), Malformed::TooLarge),
        ] {
            assert_eq!(parse(answer(token).as_bytes()), Err(want), "{token}");
        }
        assert_eq!(parse(br#"{"token":"a"}"#), Err(Malformed::NotEtcd));
    }
}
