//! Which endpoints have health checks, and of what kind. Pure.

use std::sync::Arc;

use super::source::Server;
use crate::config::health::HealthCheckMode;
use crate::scheme::Scheme;
use crate::upstream::{HealthCheck, Question};

/// The flags about health checks, as far as they decide who is asked what.
#[derive(Clone, Debug)]
pub struct HealthPolicy {
    question: Option<Question>,
    /// Whether only those are asked that may be members of etcd, and only as long as they may be.
    is_tentative: bool,
    port: Option<u16>,
    can_use_tls: bool,
}

impl HealthPolicy {
    /// The policy of `--health-check` and `--health-port`. `can_use_tls`: this build has TLS; an
    /// endpoint that would have to be asked by it has no checks otherwise.
    pub fn new(mode: &HealthCheckMode, port: Option<u16>, can_use_tls: bool) -> HealthPolicy {
        let question = match mode {
            HealthCheckMode::Off => None,
            HealthCheckMode::Auto | HealthCheckMode::Etcd => Some(Question::Etcd),
            HealthCheckMode::Path(path) => Some(Question::Path(Arc::from(path.as_str()))),
        };
        let is_tentative = *mode == HealthCheckMode::Auto;
        HealthPolicy { question, is_tentative, port, can_use_tls }
    }

    /// The checks of a server; `None` for none.
    pub(super) fn check_of(&self, server: &Server) -> Option<HealthCheck> {
        let question = self.question.clone()?;
        let scheme = server.scheme.unwrap_or(Scheme::Http);
        let is_excluded =
            self.is_tentative && !server.is_etcd || scheme == Scheme::Https && !self.can_use_tls;
        let HealthPolicy { is_tentative, port, .. } = *self;
        let host = server.name.clone();
        (!is_excluded).then_some(HealthCheck { question, is_tentative, scheme, host, port })
    }
}

/// No checks.
impl Default for HealthPolicy {
    fn default() -> HealthPolicy {
        HealthPolicy::new(&HealthCheckMode::Off, None, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(scheme: Option<Scheme>, is_etcd: bool) -> Server {
        Server { name: "m1.test".into(), scheme, is_etcd }
    }

    /// Question, tentative, scheme; or nothing.
    fn asked(policy: &HealthPolicy, server: &Server) -> String {
        let Some(check) = policy.check_of(server) else { return "-".to_owned() };
        assert_eq!((&*check.host, check.port), ("m1.test", policy.port));
        let question = match check.question {
            Question::Etcd => "etcd".to_owned(),
            Question::Path(path) => path.to_string(),
        };
        let tentative = if check.is_tentative { " perhaps" } else { "" };
        format!("{question}{tentative} by {}", check.scheme)
    }

    #[test]
    fn nothing_is_sent_to_a_server_that_cannot_be_etcd_unless_that_is_asked_for() {
        let path = HealthCheckMode::Path("/readyz".to_owned());
        let (http, https) = (Some(Scheme::Http), Some(Scheme::Https));
        for (mode, can_use_tls, scheme, is_etcd, want) in [
            (HealthCheckMode::Off, true, http, true, "-"),
            (HealthCheckMode::Auto, true, None, false, "-"),
            (HealthCheckMode::Auto, true, None, true, "etcd perhaps by http"),
            (HealthCheckMode::Auto, true, https, true, "etcd perhaps by https"),
            (HealthCheckMode::Auto, false, https, true, "-"),
            (HealthCheckMode::Etcd, true, None, false, "etcd by http"),
            (HealthCheckMode::Etcd, true, https, true, "etcd by https"),
            (HealthCheckMode::Etcd, false, https, true, "-"),
            (path.clone(), true, None, false, "/readyz by http"),
            (path, true, https, true, "/readyz by https"),
        ] {
            let policy = HealthPolicy::new(&mode, Some(7), can_use_tls);
            let server = server(scheme, is_etcd);
            assert_eq!(asked(&policy, &server), want, "{mode:?} {server:?}");
        }
    }
}
