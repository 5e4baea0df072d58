//! Failures as etcd's gateway words them: an answer whose status is not 200, the last message of a
//! stream, the reason of a watch that is canceled.
//!
//! Owns what a failure means for a client of etcd. What is done about it is decided elsewhere.

use std::fmt;

use serde_json::Value;

use super::json::{self, Malformed};
use crate::config::ETCD_STATUS_BYTES_MAX;

/// The codes of gRPC that mean something to us (google.golang.org/grpc/codes).
const INVALID_ARGUMENT: u64 = 3;
const NOT_FOUND: u64 = 5;
const PERMISSION_DENIED: u64 = 7;
const UNAVAILABLE: u64 = 14;
const UNAUTHENTICATED: u64 = 16;

/// Why etcd refused a request, or ended a watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What it means.
    pub kind: FailureKind,
    /// What etcd says, for the log: printable.
    pub message: String,
}

/// What a failure means for a client. Shown as one word of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The name or the password is wrong.
    PasswordWrong,
    /// Authentication is off: to be asked without a token.
    AuthDisabled,
    /// Authentication is on, and the request has no token.
    TokenMissing,
    /// The token is not known to this member, has expired, or was given before a change of users:
    /// to be asked with a new one. A token while authentication is off fails like this as well.
    TokenInvalid,
    /// The user may not read this. Watches of etcd 3.5 fail like this without a valid token, too.
    PermissionDenied,
    /// The revision is gone: to be asked for a later one.
    Compacted,
    /// Authentication is on, and our certificate has a common name, by which etcd would not know a
    /// user here: each request with its JSON interface is refused.
    ClientCertificateHasName,
    /// The member has no vote, and refuses nearly every request.
    Learner,
    /// The member knows no leader.
    NoLeader,
    /// The member cannot answer now: it ends, or waited for the others until it gave up.
    Unavailable,
    /// Any other code of gRPC.
    Other(u64),
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FailureKind::PasswordWrong => "password_wrong",
            FailureKind::AuthDisabled => "auth_disabled",
            FailureKind::TokenMissing => "token_missing",
            FailureKind::TokenInvalid => "token_invalid",
            FailureKind::PermissionDenied => "permission_denied",
            FailureKind::Compacted => "compacted",
            FailureKind::ClientCertificateHasName => "client_certificate_has_name",
            FailureKind::Learner => "learner",
            FailureKind::NoLeader => "no_leader",
            FailureKind::Unavailable => "unavailable",
            FailureKind::Other(code) => return write!(f, "grpc_code_{code}"),
        })
    }
}

/// Messages of etcd (rpctypes/error.go) that say more than their code.
const MESSAGES: &[(&str, FailureKind)] = &[
    ("etcdserver: authentication failed, invalid user ID or password", FailureKind::PasswordWrong),
    ("etcdserver: authentication is not enabled", FailureKind::AuthDisabled),
    ("etcdserver: user name is empty", FailureKind::TokenMissing),
    ("etcdserver: invalid auth token", FailureKind::TokenInvalid),
    ("etcdserver: revision of auth store is old", FailureKind::TokenInvalid),
    ("etcdserver: permission denied", FailureKind::PermissionDenied),
    ("etcdserver: mvcc: required revision has been compacted", FailureKind::Compacted),
    ("etcdserver: rpc not supported for learner", FailureKind::Learner),
    ("etcdserver: no leader", FailureKind::NoLeader),
];

/// The whole answer to a client whose certificate has a common name, as plain text with status 400
/// (server/embed/serve.go).
const CLIENT_HAS_NAME: &str = "CommonName of client sending a request against gateway will be \
                               ignored and not used as expected";

impl Failure {
    /// The failure that a code and a message mean. The message decides where it is known: the same
    /// failure has other codes in other versions, and the same code has several meanings.
    fn new(code: u64, message: &str) -> Failure {
        let known = MESSAGES.iter().find(|(known, _)| *known == message).map(|(_, kind)| *kind);
        let kind = known.unwrap_or(match code {
            PERMISSION_DENIED => FailureKind::PermissionDenied,
            UNAUTHENTICATED => FailureKind::TokenInvalid,
            UNAVAILABLE => FailureKind::Unavailable,
            code => FailureKind::Other(code),
        });
        Failure { kind, message: json::printable(message) }
    }

    /// The failure that the reason of a canceled watch says: as a rule
    /// `rpc error: code = NAME desc = MESSAGE`.
    pub(super) fn of_cancel_reason(reason: &str) -> Failure {
        let error = reason.strip_prefix("rpc error: code = ");
        let Some((name, message)) = error.and_then(|rest| rest.split_once(" desc = ")) else {
            return Failure::new(0, reason);
        };
        let code = match name {
            "InvalidArgument" => INVALID_ARGUMENT,
            "NotFound" => NOT_FOUND,
            "PermissionDenied" => PERMISSION_DENIED,
            "Unavailable" => UNAVAILABLE,
            "Unauthenticated" => UNAUTHENTICATED,
            _ => 0,
        };
        Failure::new(code, message)
    }
}

/// Reads the body of an answer whose status is not 200: an object with its fields in any order, or
/// the one text that etcd writes before its gateway is asked.
///
/// # Errors
/// [`Malformed`] where it is not one of etcd's gateway, as that of a path that is not known, which
/// is plain text.
pub fn parse(body: &[u8]) -> Result<Failure, Malformed> {
    if body.trim_ascii_end() == CLIENT_HAS_NAME.as_bytes() {
        let kind = FailureKind::ClientCertificateHasName;
        return Ok(Failure { kind, message: CLIENT_HAS_NAME.to_owned() });
    }
    let answer = json::object(body, ETCD_STATUS_BYTES_MAX)?;
    let error = answer.get("error").ok_or(Malformed::NotEtcd)?;
    of_error(error, json::number(&answer, "code")?)
}

/// The failure in a field `error`: a text, with the code in a field next to it, or the object that
/// a stream has there, with both.
pub(super) fn of_error(error: &Value, code: u64) -> Result<Failure, Malformed> {
    match error {
        Value::String(message) => Ok(Failure::new(code, message)),
        Value::Object(error) => {
            let code = json::number(error, "grpc_code")?;
            Ok(Failure::new(code, json::text(error, "message")?))
        }
        _ => Err(Malformed::NotEtcd),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The body as etcd 3.4.23 has it, and as 3.5.1 has it.
    fn bodies(message: &str, code: u64) -> [String; 2] {
        [
            format!(r#"{{"error":"{message}","message":"{message}","code":{code}}}"#),
            format!(r#"{{"error":"{message}","code":{code},"message":"{message}"}}"#),
        ]
    }

    #[test]
    fn failures_of_real_members() {
        for (message, code, want) in [
            ("etcdserver: rpc not supported for learner", 14, FailureKind::Learner),
            ("etcdserver: no leader", 14, FailureKind::NoLeader),
            ("etcdserver: request timed out", 14, FailureKind::Unavailable),
            ("transport is closing", 14, FailureKind::Unavailable),
            ("context deadline exceeded", 4, FailureKind::Other(4)),
            ("etcdserver: corrupt cluster", 15, FailureKind::Other(15)),
            ("etcdserver: mvcc: database space exceeded", 8, FailureKind::Other(8)),
            ("etcdserver: key is not provided", 3, FailureKind::Other(3)),
            ("illegal base64 data at input byte 0", 3, FailureKind::Other(3)),
            (
                "etcdserver: mvcc: required revision is a future revision",
                11,
                FailureKind::Other(11),
            ),
            ("etcdserver: mvcc: required revision has been compacted", 11, FailureKind::Compacted),
            (
                "etcdserver: authentication failed, invalid user ID or password",
                3,
                FailureKind::PasswordWrong,
            ),
            ("etcdserver: authentication is not enabled", 9, FailureKind::AuthDisabled),
            ("etcdserver: user name is empty", 3, FailureKind::TokenMissing),
            ("etcdserver: invalid auth token", 16, FailureKind::TokenInvalid),
            ("etcdserver: revision of auth store is old", 3, FailureKind::TokenInvalid),
            ("etcdserver: permission denied", 7, FailureKind::PermissionDenied),
        ] {
            let want = Failure { kind: want, message: message.to_owned() };
            for body in bodies(message, code) {
                assert_eq!(parse(body.as_bytes()), Ok(want.clone()), "{body}");
            }
        }
    }

    #[test]
    fn failures_of_streams() {
        let body = r#"{"error":{"grpc_code":14,"http_code":503,"message":"etcdserver: no leader",
            "http_status":"Service Unavailable"}}"#;
        assert_eq!(parse(body.as_bytes()).map(|failure| failure.kind), Ok(FailureKind::NoLeader));
        for (reason, want) in [
            (
                "rpc error: code = InvalidArgument desc = etcdserver: user name is empty",
                FailureKind::TokenMissing,
            ),
            (
                "rpc error: code = Unauthenticated desc = etcdserver: invalid auth token",
                FailureKind::TokenInvalid,
            ),
            (
                "rpc error: code = PermissionDenied desc = etcdserver: permission denied",
                FailureKind::PermissionDenied,
            ),
            ("rpc error: code = Unauthenticated desc = new words", FailureKind::TokenInvalid),
            ("rpc error: code = Unavailable desc = new words", FailureKind::Unavailable),
            ("rpc error: code = NotFound desc = new words", FailureKind::Other(5)),
            ("rpc error: code = Strange desc = new words", FailureKind::Other(0)),
            ("etcdserver: permission denied", FailureKind::PermissionDenied),
            ("", FailureKind::Other(0)),
        ] {
            assert_eq!(Failure::of_cancel_reason(reason).kind, want, "{reason}");
        }
    }

    #[test]
    fn codes_count_where_the_message_is_not_known() {
        for (code, want) in [
            (7, FailureKind::PermissionDenied),
            (16, FailureKind::TokenInvalid),
            (14, FailureKind::Unavailable),
            (13, FailureKind::Other(13)),
            (0, FailureKind::Other(0)),
        ] {
            for body in bodies("new words", code) {
                assert_eq!(parse(body.as_bytes()).map(|failure| failure.kind), Ok(want));
            }
        }
        let hostile = Failure::new(1, "a\n\u{1b}[1mb");
        assert_eq!(hostile.message, "a[1mb");
    }

    #[test]
    fn a_name_in_our_certificate_has_a_reason_of_its_own() {
        let text = "CommonName of client sending a request against gateway will be ignored and not \
                    used as expected";
        for body in [text.to_owned(), format!("{text}\n")] {
            let kind = parse(body.as_bytes()).map(|failure| failure.kind);
            assert_eq!(kind, Ok(FailureKind::ClientCertificateHasName));
        }
        assert_eq!(parse(format!("{text}.").as_bytes()), Err(Malformed::NotJson));
    }

    #[test]
    fn what_is_not_of_the_gateway_is_refused() {
        for (body, want) in [
            ("404 page not found\n", Malformed::NotJson),
            ("Not Found\n", Malformed::NotJson),
            ("{}", Malformed::NotEtcd),
            (r#"{"error":null}"#, Malformed::NotEtcd),
            (r#"{"error":[]}"#, Malformed::NotEtcd),
            (r#"{"error":"x","code":"y"}"#, Malformed::NotEtcd),
            (r#"{"error":{"grpc_code":-1}}"#, Malformed::NotEtcd),
            (r#"{"error":{"message":1}}"#, Malformed::NotEtcd),
        ] {
            assert_eq!(parse(body.as_bytes()), Err(want), "{body}");
        }
    }

    #[test]
    fn kinds_are_words() {
        for (kind, want) in [
            (FailureKind::PasswordWrong, "password_wrong"),
            (FailureKind::AuthDisabled, "auth_disabled"),
            (FailureKind::TokenMissing, "token_missing"),
            (FailureKind::TokenInvalid, "token_invalid"),
            (FailureKind::PermissionDenied, "permission_denied"),
            (FailureKind::Compacted, "compacted"),
            (FailureKind::ClientCertificateHasName, "client_certificate_has_name"),
            (FailureKind::Learner, "learner"),
            (FailureKind::NoLeader, "no_leader"),
            (FailureKind::Unavailable, "unavailable"),
            (FailureKind::Other(13), "grpc_code_13"),
        ] {
            assert_eq!(kind.to_string(), want);
        }
    }
}
