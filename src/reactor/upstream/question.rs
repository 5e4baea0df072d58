//! The questions of health checks as HTTP requests, and the meaning of the answers. Pure.
//!
//! ```text
//!   Etcd:  POST /v3/maintenance/status ─404─► POST /v3beta/… ─404─► GET /health ─404─► no etcd
//!   Path:  GET PATH
//! ```
//!
//! `/health` is the last resort: it calls a learner healthy, and on etcd 3.4 each answer costs
//! every member a write to its disk.

use crate::net::NetError;
use crate::proto::etcd::failure::{self, FailureKind};
use crate::proto::etcd::status::{self, NotServing, Remarks, Status};
use crate::proto::http1::{HttpError, Request, Response, Unsendable};
use crate::proto::tls::HandshakeError;
use crate::reactor::faults::dial_failure;
use crate::upstream::{CheckFailure, CheckResult, DialFailure, HealthCheck, Question};

/// The form of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// The status of a member, where etcd 3.4 and later have it.
    Status,
    /// The status of a member, where etcd 3.3 has it.
    StatusBeta,
    /// `/health` of a member that does not offer its interface in JSON.
    Health,
    /// The path of `--health-check`.
    Path,
}

/// What follows from an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The result of the check, and what else the member says.
    Result(CheckResult, Facts),
    /// The question is to be asked in another form, over the same connection if that is kept.
    AskAs(Form),
}

/// What a member says of itself besides whether it serves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// What is worth a line of the log.
    pub(super) remarks: Remarks,
    /// Who leads; `None` where that is not said.
    pub(super) role: Option<Role>,
}

/// Who leads, as far as a member knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Role {
    /// The term of Raft.
    pub(super) raft_term: u64,
    /// The member that leads; `None` if it knows of none.
    pub(super) leader: Option<u64>,
    /// Whether it is this one.
    pub(super) is_leader: bool,
}

impl Role {
    fn of(status: &Status) -> Role {
        let Status { raft_term, leader, .. } = *status;
        Role { raft_term, leader, is_leader: status.is_leader() }
    }
}

impl Form {
    /// The form in which a question is asked first.
    pub(super) fn first(question: &Question) -> Form {
        match question {
            Question::Etcd => Form::Status,
            Question::Path(_) => Form::Path,
        }
    }

    /// The form in which a server is asked that does not know this one.
    fn next(self) -> Option<Form> {
        match self {
            Form::Status => Some(Form::StatusBeta),
            Form::StatusBeta => Some(Form::Health),
            Form::Health | Form::Path => None,
        }
    }

    /// Whether an answer may cost the server a write to its disk.
    pub(super) fn is_costly(self) -> bool {
        self == Form::Health
    }
}

/// The request of a check, to a server that is asked at this port.
///
/// # Errors
/// [`Unsendable`] for a host that cannot be in a request.
pub(super) fn request(check: &HealthCheck, form: Form, port: u16) -> Result<Request, Unsendable> {
    let host = match check.host.contains(':') {
        true => format!("[{}]:{port}", check.host),
        false => format!("{}:{port}", check.host),
    };
    match (form, &check.question) {
        (Form::Status, _) => Request::post(&host, status::PATH, &[], status::BODY.as_bytes()),
        (Form::StatusBeta, _) => {
            Request::post(&host, status::PATH_BETA, &[], status::BODY.as_bytes())
        }
        (Form::Path, Question::Path(path)) => Request::get(&host, path),
        (Form::Health | Form::Path, _) => Request::get(&host, status::HEALTH_TARGET),
    }
}

/// The meaning of an answer to a question in this form.
pub(super) fn meaning(form: Form, response: &Response) -> Meaning {
    let Response { status, body } = response;
    let nothing = Facts::default();
    if form == Form::Path {
        let is_good = (200..300).contains(status);
        let failed = CheckResult::Failed(CheckFailure::Status(*status));
        return Meaning::Result(if is_good { CheckResult::Passed } else { failed }, nothing);
    }
    let answer = match (form, status) {
        (Form::Health, 200 | 503) => status::parse_health(*status, body),
        (_, 200) => match status::parse(body) {
            Ok(status) => return of_status(&status),
            Err(malformed) => Err(malformed),
        },
        // What etcd answers to a path or a method that it does not have.
        (_, 404 | 405 | 501) => match form.next() {
            Some(form) => return Meaning::AskAs(form),
            None => return unexpected(CheckFailure::Status(*status), true),
        },
        (_, 400) if has_client_name(body) => {
            return unexpected(CheckFailure::ClientCertificateHasName, true);
        }
        // A proxy in front of a member says so, too, and may stop to.
        (_, 500..) => return unexpected(CheckFailure::Status(*status), false),
        _ => return unexpected(CheckFailure::Status(*status), true),
    };
    match answer {
        Ok(serving) => of_serving(serving, None),
        Err(malformed) => unexpected(CheckFailure::Answer(malformed.word()), true),
    }
}

/// Whether etcd refuses because of the common name in our certificate.
fn has_client_name(body: &[u8]) -> bool {
    let kind = failure::parse(body).map(|failure| failure.kind);
    kind == Ok(FailureKind::ClientCertificateHasName)
}

fn of_status(status: &Status) -> Meaning {
    of_serving(status.serving(), Some(Role::of(status)))
}

fn of_serving(serving: Result<Remarks, NotServing>, role: Option<Role>) -> Meaning {
    match serving {
        Ok(remarks) => Meaning::Result(CheckResult::Passed, Facts { remarks, role }),
        Err(reason) => {
            let failed = CheckResult::Failed(CheckFailure::Answer(reason.word()));
            Meaning::Result(failed, Facts { remarks: Remarks::default(), role })
        }
    }
}

fn unexpected(failure: CheckFailure, is_certain: bool) -> Meaning {
    Meaning::Result(CheckResult::Unexpected { failure, is_certain }, Facts::default())
}

/// The result of a check for which there was no connection, or that lost it.
pub(super) fn of_network(error: NetError) -> CheckResult {
    let failure = CheckFailure::Dial(dial_failure(error));
    match error {
        NetError::Reset => CheckResult::Unexpected { failure, is_certain: false },
        _ => CheckResult::Failed(failure),
    }
}

/// The result of a check whose answer is none.
pub(super) fn of_http(error: HttpError) -> CheckResult {
    // A member that ends closes its connections, and so does a server that speaks something else.
    let is_certain = !matches!(error, HttpError::Unanswered | HttpError::ClosedEarly);
    CheckResult::Unexpected { failure: CheckFailure::Answer(error.word()), is_certain }
}

/// The result of a check of a server that could not be verified.
pub(super) fn of_handshake(error: HandshakeError) -> CheckResult {
    match error {
        HandshakeError::Local => CheckResult::Failed(CheckFailure::Dial(DialFailure::Local)),
        // Perhaps it is our own clock that is wrong, until it hears of the time.
        HandshakeError::NotYetValid => CheckResult::Unexpected {
            failure: CheckFailure::Answer(error.word()),
            is_certain: false,
        },
        _ => CheckResult::Unexpected {
            failure: CheckFailure::Answer(error.word()),
            is_certain: true,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::scheme::Scheme;

    fn check(question: Question, host: &str) -> HealthCheck {
        let host = Arc::from(host);
        HealthCheck { question, is_tentative: false, scheme: Scheme::Http, host, port: None }
    }

    fn first_lines(check: &HealthCheck, form: Form) -> String {
        let request = request(check, form, 2379).expect("sendable");
        let text = String::from_utf8_lossy(request.bytes()).into_owned();
        text.lines().take(2).collect::<Vec<_>>().join(" / ")
    }

    #[test]
    fn questions_are_requests() {
        let etcd = check(Question::Etcd, "m1.test");
        let path = check(Question::Path("/readyz?a=1".into()), "::1");
        for (check, form, want) in [
            (&etcd, Form::Status, "POST /v3/maintenance/status HTTP/1.1 / Host: m1.test:2379"),
            (
                &etcd,
                Form::StatusBeta,
                "POST /v3beta/maintenance/status HTTP/1.1 / Host: m1.test:2379",
            ),
            (&etcd, Form::Health, "GET /health?exclude=NOSPACE HTTP/1.1 / Host: m1.test:2379"),
            (&path, Form::Path, "GET /readyz?a=1 HTTP/1.1 / Host: [::1]:2379"),
        ] {
            assert_eq!(first_lines(check, form), want);
        }
        assert_eq!(Form::first(&etcd.question), Form::Status);
        assert_eq!(Form::first(&path.question), Form::Path);
        assert!(Form::Health.is_costly() && !Form::Status.is_costly());
    }

    /// `passed`, `failed REASON`, `unexpected REASON`, `certainly REASON`, or the next form.
    fn words(form: Form, status: u16, body: &str) -> String {
        match meaning(form, &Response { status, body: body.into() }) {
            Meaning::AskAs(form) => format!("{form:?}"),
            Meaning::Result(result, Facts { remarks, role }) => {
                let full = if remarks.has_no_space { " full" } else { "" };
                let role = role.map_or(String::new(), |role| match role {
                    Role { raft_term, is_leader: true, .. } => format!(" leads in {raft_term}"),
                    Role { raft_term, leader: Some(leader), .. } => {
                        format!(" follows {leader} in {raft_term}")
                    }
                    Role { raft_term, .. } => format!(" alone in {raft_term}"),
                });
                format!("{}{full}{role}", of_result(result))
            }
        }
    }

    fn of_result(result: CheckResult) -> String {
        match result {
            CheckResult::Passed => "passed".to_owned(),
            CheckResult::Failed(failure) => format!("failed {failure}"),
            CheckResult::Unexpected { failure, is_certain: false } => {
                format!("unexpected {failure}")
            }
            CheckResult::Unexpected { failure, is_certain: true } => format!("certainly {failure}"),
        }
    }

    #[test]
    fn answers_have_a_meaning() {
        let header = r#""header":{"cluster_id":"1","member_id":"2","raft_term":"3"}"#;
        let good = format!(r#"{{{header},"leader":"2"}}"#);
        let alone = format!(r#"{{{header},"errors":["etcdserver: no leader"]}}"#);
        let learner = format!(r#"{{{header},"leader":"5","isLearner":true}}"#);
        let full = format!(r#"{{{header},"leader":"2","errors":["memberID:2 alarm:NOSPACE "]}}"#);
        for (form, status, body, want) in [
            (Form::Status, 200, &*good, "passed leads in 3"),
            (Form::StatusBeta, 200, &good, "passed leads in 3"),
            (Form::Status, 200, &full, "passed full leads in 3"),
            (Form::Status, 200, &alone, "failed no_leader alone in 3"),
            (Form::Status, 200, &learner, "failed learner follows 5 in 3"),
            (Form::Status, 200, "<html>", "certainly not_json"),
            (Form::Status, 200, "{}", "certainly not_etcd"),
            (Form::Status, 404, "404 page not found", "StatusBeta"),
            (Form::StatusBeta, 404, "", "Health"),
            (Form::Health, 404, "", "certainly status_404"),
            (Form::Status, 503, "", "unexpected status_503"),
            (Form::Status, 403, "", "certainly status_403"),
            (Form::Status, 400, "", "certainly status_400"),
            (
                Form::Status,
                400,
                "CommonName of client sending a request against gateway will be ignored and not \
                 used as expected\n",
                "certainly client_certificate_has_name",
            ),
            (Form::Health, 200, r#"{"health":"true"}"#, "passed"),
            (Form::Health, 200, "ok", "certainly not_json"),
            (Form::Path, 204, "", "passed"),
            (Form::Path, 302, "", "failed status_302"),
            (Form::Path, 404, "", "failed status_404"),
        ] {
            assert_eq!(words(form, status, body), want, "{form:?} {status} {body}");
        }
    }

    #[test]
    fn failures_have_a_meaning() {
        for (result, want) in [
            (of_network(NetError::TimedOut), "failed timed_out"),
            (of_network(NetError::Refused), "failed refused"),
            (of_network(NetError::Reset), "unexpected reset"),
            (of_network(NetError::Descriptors), "failed local"),
            (of_http(HttpError::Unanswered), "unexpected closed_unanswered"),
            (of_http(HttpError::TooLong), "certainly answer_too_long"),
            (of_handshake(HandshakeError::Local), "failed local"),
            (of_handshake(HandshakeError::NotYetValid), "unexpected certificate_not_yet_valid"),
            (of_handshake(HandshakeError::WrongName), "certainly certificate_wrong_name"),
        ] {
            assert_eq!(of_result(result), want);
        }
    }
}
