//! Requests: whole in bytes before the first one is sent. Nothing in them can begin another line.

use std::fmt::{self, Write as _};

/// The `User-Agent` of every request.
const USER_AGENT: &str = concat!("etcd-gateway/", env!("CARGO_PKG_VERSION"));
/// Fields that a request gets here, and that no caller sets.
const OWN_FIELDS: [&str; 8] = [
    "host",
    "user-agent",
    "accept",
    "connection",
    "content-type",
    "content-length",
    "transfer-encoding",
    "expect",
];

/// A whole request in bytes. Its debug output has none of them: there may be a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    bytes: Vec<u8>,
}

/// The part of a request that cannot be sent as it is. Nothing is escaped: what was written is
/// either what the server reads, or refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsendable {
    /// The host is empty, or has other characters than those of a name, an address and a port.
    Host,
    /// The path does not begin with `/`, or has a blank, a control character, a character outside
    /// ASCII or a `#`.
    Path,
    /// The name of a header field is not a token or not the caller's to set, or its value has a
    /// control character or one outside ASCII.
    Header,
}

impl Request {
    /// A GET of `path`, which may have a query, for the `Host` field `host`: a name or an address,
    /// with its port.
    ///
    /// # Errors
    /// [`Unsendable`] when a part has characters that it must not have.
    pub fn get(host: &str, path: &str) -> Result<Request, Unsendable> {
        let mut text = head("GET", host, path)?;
        text.push_str("\r\n");
        Ok(Request { bytes: text.into_bytes() })
    }

    /// A POST of a JSON document to `path`, with these header fields more.
    ///
    /// # Errors
    /// [`Unsendable`] when a part has characters that it must not have.
    pub fn post(
        host: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Request, Unsendable> {
        let mut text = head("POST", host, path)?;
        let length = body.len();
        let _ = write!(text, "Content-Type: application/json\r\nContent-Length: {length}\r\n");
        for (name, value) in headers {
            if !is_field_name(name) || !is_field_value(value) {
                return Err(Unsendable::Header);
            }
            let _ = write!(text, "{name}: {value}\r\n");
        }
        text.push_str("\r\n");
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(body);
        Ok(Request { bytes })
    }

    /// All bytes of the request.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

fn head(method: &str, host: &str, path: &str) -> Result<String, Unsendable> {
    if !is_host(host) {
        return Err(Unsendable::Host);
    }
    if !is_path(path) {
        return Err(Unsendable::Path);
    }
    Ok(format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {USER_AGENT}\r\nAccept: */*\r\n"
    ))
}

/// Whether it has characters of names, addresses, zones and ports alone (RFC 3986, 3.2.2, without
/// the signs that no host has).
fn is_host(host: &str) -> bool {
    !host.is_empty() && is_made_of(host, b"-._~%[]:")
}

/// Whether it has letters and digits of ASCII and these signs alone.
fn is_made_of(text: &str, signs: &[u8]) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || signs.contains(&byte))
}

fn is_path(path: &str) -> bool {
    path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
}

/// Whether it is a token (RFC 9110, 5.6.2) and the caller's to set.
fn is_field_name(name: &str) -> bool {
    let is_own = OWN_FIELDS.iter().any(|own| own.eq_ignore_ascii_case(name));
    !name.is_empty() && is_made_of(name, b"!#$%&'*+-.^_`|~") && !is_own
}

fn is_field_value(value: &str) -> bool {
    value.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({} bytes)", self.bytes.len())
    }
}

impl fmt::Display for Unsendable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unsendable::Host => "host_not_sendable",
            Unsendable::Path => "path_not_sendable",
            Unsendable::Header => "header_not_sendable",
        })
    }
}

impl std::error::Error for Unsendable {}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(request: &Request) -> &str {
        str::from_utf8(request.bytes()).expect("text")
    }

    #[test]
    fn a_request_is_its_head_and_its_body() {
        let get = Request::get("[::1]:2379", "/readyz?verbose=1").expect("sendable");
        let agent = env!("CARGO_PKG_VERSION");
        assert_eq!(
            text(&get),
            format!(
                "GET /readyz?verbose=1 HTTP/1.1\r\nHost: [::1]:2379\r\n\
                 User-Agent: etcd-gateway/{agent}\r\nAccept: */*\r\n\r\n"
            )
        );
        let headers = [("Authorization", "a token"), ("Grpc-Metadata-hasleader", "true")];
        let post = Request::post("m1:2379", "/v3/watch", &headers, b"{}").expect("sendable");
        assert_eq!(
            text(&post),
            format!(
                "POST /v3/watch HTTP/1.1\r\nHost: m1:2379\r\n\
                 User-Agent: etcd-gateway/{agent}\r\nAccept: */*\r\n\
                 Content-Type: application/json\r\nContent-Length: 2\r\n\
                 Authorization: a token\r\nGrpc-Metadata-hasleader: true\r\n\r\n{{}}"
            )
        );
        assert!(!format!("{post:?}").contains("token"), "no secret in a message");
    }

    #[test]
    fn nothing_begins_another_line() {
        for host in ["", "a b", "a\r\nX: y", "a\n", "a/b", "a@b", "a?b", "ä", "a\0", "a\u{85}"] {
            assert_eq!(Request::get(host, "/"), Err(Unsendable::Host), "{host:?}");
        }
        for path in ["", "a", "*", "/ ", "/a b", "/\r\nX: y", "/\n", "/\t", "/ä", "/#a", "/\x7f"] {
            assert_eq!(Request::get("a", path), Err(Unsendable::Path), "{path:?}");
        }
        for (name, value) in [
            ("", "a"),
            ("a b", "c"),
            ("a:", "b"),
            ("a\r\nb", "c"),
            ("a", "b\r\nc: d"),
            ("a", "b\n"),
            ("a", "b\0"),
            ("a", "ä"),
            ("a", "\t"),
            ("content-length", "3"),
            ("Transfer-Encoding", "chunked"),
            ("HOST", "b"),
        ] {
            let post = Request::post("a", "/", &[(name, value)], b"");
            assert_eq!(post, Err(Unsendable::Header), "{name:?}: {value:?}");
        }
        for (host, path) in [("fe80::1%eth0", "/"), ("a_b.c~", "/%20;a=b&c=[d]|\"{}")] {
            assert!(Request::get(host, path).is_ok(), "{host} {path}");
        }
    }
}
