//! The configuration of the resolver now, by resolv.conf(5) and the environment, and what is wrong
//! with the file.
//!
//! Owns the text that counts. Pure: the caller reads the file.

use crate::proto::dns::resolv_conf::{self, Environment, Problem, ResolvConf};

/// The configuration, and why it is not as the file says.
#[derive(Debug)]
pub(super) struct Configuration {
    environment: Environment,
    /// The text that counts; none before the first.
    text: Option<Vec<u8>>,
    current: ResolvConf,
    problem: Option<Problem>,
}

impl Configuration {
    /// The configuration without a file.
    pub(super) fn new(environment: Environment) -> Configuration {
        let mut current = resolv_conf::parse(b"", "", |_| None);
        current.amend(&environment);
        debug_assert!(!current.servers.is_empty(), "resolv.conf(5) has a default");
        Configuration { environment, text: None, current, problem: None }
    }

    pub(super) fn current(&self) -> &ResolvConf {
        &self.current
    }

    /// What is wrong with the file.
    pub(super) fn problem(&self) -> Option<&Problem> {
        self.problem.as_ref()
    }

    /// Whether the file is to be read: with `no-reload` once is enough.
    pub(super) fn is_reloadable(&self) -> bool {
        self.text.is_none() || !self.current.no_reload
    }

    /// Takes over the text of the file, or why it cannot be read. Whether the configuration is
    /// another now.
    pub(super) fn update(
        &mut self,
        text: Result<Vec<u8>, Problem>,
        host_name: &str,
        zone: impl FnMut(&str) -> Option<u32>,
    ) -> bool {
        debug_assert!(self.is_reloadable(), "read although the file says that once is enough");
        let known = self.text.take();
        // One that is empty is most likely being written at this moment, and one that cannot be
        // read says nothing: what it said before is the better guess.
        let (text, problem) = match (text, known) {
            (Ok(text), Some(known)) if text.is_empty() => (known, Some(Problem::Empty)),
            (Ok(text), _) => (text, None),
            (Err(problem), known) => (known.unwrap_or_default(), Some(problem)),
        };
        let mut found = resolv_conf::parse(&text, host_name, zone);
        found.amend(&self.environment);
        self.problem = problem.or_else(|| found.problem.clone());
        self.text = Some(text);
        let is_new = found != self.current;
        assert!(!found.servers.is_empty(), "resolv.conf(5) has a default");
        self.current = found;
        debug_assert!(self.text.is_some(), "without a text it would be read as the first one");
        debug_assert!(self.problem.is_some() || self.current.problem.is_none(), "not reported");
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the text is news, what is wrong with it, and the servers that it leads to.
    fn update(
        configuration: &mut Configuration,
        text: Result<&str, Problem>,
    ) -> (bool, Option<Problem>, String) {
        let text = text.map(|text| text.as_bytes().to_vec());
        let is_new = configuration.update(text, "host", |_| None);
        let servers = &configuration.current().servers;
        let servers = servers.iter().map(|server| server.ip().to_string()).collect::<Vec<_>>();
        (is_new, configuration.problem().cloned(), servers.join(","))
    }

    fn want(
        is_new: bool,
        problem: Option<Problem>,
        servers: &str,
    ) -> (bool, Option<Problem>, String) {
        (is_new, problem, servers.to_owned())
    }

    #[test]
    fn without_a_server_the_own_host_is_asked() {
        let unread = Problem::Unread("missing".to_owned());
        for (text, problem) in [
            (Err(unread.clone()), unread),
            (Ok(""), Problem::Empty),
            (Ok("# nothing\n"), Problem::NoServer),
        ] {
            let mut configuration = Configuration::new(Environment::default());
            let (_, found, servers) = update(&mut configuration, text);
            assert_eq!((found, servers.as_str()), (Some(problem), "127.0.0.1"));
            let usual = "nameserver 10.0.0.1";
            assert_eq!(update(&mut configuration, Ok(usual)), want(true, None, "10.0.0.1"));
        }
    }

    #[test]
    fn what_was_said_stays_while_nothing_is_said() {
        let mut configuration = Configuration::new(Environment::default());
        let usual = "nameserver 10.0.0.1";
        update(&mut configuration, Ok(usual));
        assert_eq!(update(&mut configuration, Ok(usual)), want(false, None, "10.0.0.1"));
        let unread = Problem::Unread("permission_denied".to_owned());
        for (text, problem) in [(Ok(""), Problem::Empty), (Err(unread.clone()), unread)] {
            let found = update(&mut configuration, text);
            assert_eq!(found, want(false, Some(problem), "10.0.0.1"));
        }
        assert_eq!(update(&mut configuration, Ok(usual)), want(false, None, "10.0.0.1"));
        let none = update(&mut configuration, Ok("options rotate"));
        assert_eq!(none, want(true, Some(Problem::NoServer), "127.0.0.1"), "that is said");
    }

    #[test]
    fn the_environment_outlasts_the_file() {
        let options = Some(b"no-aaaa".to_vec());
        let mut configuration =
            Configuration::new(Environment { options, ..Environment::default() });
        assert!(configuration.current().no_aaaa);
        update(&mut configuration, Ok("nameserver 10.0.0.1\noptions ndots:2"));
        assert!(configuration.current().no_aaaa && configuration.current().dots_min == 2);
    }

    #[test]
    fn a_file_may_say_that_it_is_read_once() {
        let mut configuration = Configuration::new(Environment::default());
        assert!(configuration.is_reloadable());
        update(&mut configuration, Err(Problem::Unread("missing".to_owned())));
        assert!(configuration.is_reloadable());
        update(&mut configuration, Ok("nameserver 10.0.0.1\noptions no-reload"));
        assert!(!configuration.is_reloadable());
        let options = Some(b"no-reload".to_vec());
        let once = Configuration::new(Environment { options, ..Environment::default() });
        assert!(once.is_reloadable(), "it is read once");
    }
}
