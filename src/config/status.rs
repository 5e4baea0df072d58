//! The command `status`: the meaning of its flags. Pure.

use std::time::Duration;

use super::address::ListenAddress;
use super::admin::AdminAddress;
use super::flags::{
    ADMIN_ADDR, CONNECT_TIMEOUT, FLAGS, Flag, OUTPUT, Section, Typed, UsageError, WATCH,
};
use super::values::Value;

/// What is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusOutput {
    /// A table for readers.
    Table,
    /// The document of `/status`.
    Json,
}

/// What the command is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusCommand {
    /// The gateway to ask. A port is not 0.
    pub address: AdminAddress,
    /// What is printed.
    pub output: StatusOutput,
    /// Whether that is repeated.
    pub is_repeated: bool,
    /// Longest time from the first dial to the end of the answer; above 0.
    pub time_limit: Duration,
}

/// All flags of the command.
const KNOWN: [&Flag; 4] = [&ADMIN_ADDR, &OUTPUT, &WATCH, &CONNECT_TIMEOUT];

impl StatusCommand {
    /// Checks what was typed and fills in the defaults.
    ///
    /// # Errors
    /// [`UsageError`] for a flag of another command, for a value that a flag cannot take, and where
    /// there is not exactly one address to ask.
    pub fn from_typed(typed: &Typed) -> Result<StatusCommand, UsageError> {
        refuse(typed, |flag| KNOWN.iter().all(|known| known.name != flag.name), "start")?;
        let mut addresses: Vec<AdminAddress> = Value::read(&ADMIN_ADDR, typed)?;
        let Some(address) = addresses.pop() else {
            let message = "missing --admin-addr: that of the gateway to ask, as it was given to it";
            return Err(UsageError::new(message.to_owned()));
        };
        let text = typed.last(&ADMIN_ADDR).unwrap_or_default();
        if !addresses.is_empty() {
            return Err(UsageError::invalid(
                &ADMIN_ADDR,
                text,
                "one address is asked, not several",
            ));
        }
        if matches!(&address, AdminAddress::Listen(address) if address.port() == 0) {
            return Err(UsageError::invalid(&ADMIN_ADDR, text, "port 0 cannot be dialed"));
        }
        Ok(StatusCommand {
            address,
            output: Value::read(&OUTPUT, typed)?,
            is_repeated: Value::read(&WATCH, typed)?,
            time_limit: Value::read(&CONNECT_TIMEOUT, typed)?,
        })
    }

    /// The host to look up and its port; `None` for a socket of the file system, and where a port
    /// was typed alone, which is one of this host.
    pub fn host_and_port(&self) -> Option<(String, u16)> {
        match &self.address {
            AdminAddress::Listen(ListenAddress::Host { host, port }) => {
                // A literal of IPv6 is looked up without its brackets.
                let host = host.to_string();
                let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
                Some((bare.unwrap_or(&host).to_owned(), *port))
            }
            AdminAddress::Listen(ListenAddress::Any { .. }) | AdminAddress::Unix(_) => None,
        }
    }
}

/// Refuses the flags of this command, for every other one.
pub(super) fn refuse_flags(typed: &Typed) -> Result<(), UsageError> {
    refuse(typed, |flag| flag.section == Section::Status, "status")
}

/// Refuses a flag that `is_foreign` here, and belongs to the command `owner`.
fn refuse(
    typed: &Typed,
    is_foreign: impl Fn(&Flag) -> bool,
    owner: &str,
) -> Result<(), UsageError> {
    for (name, value) in typed.iter() {
        let flag = FLAGS.iter().find(|flag| flag.name == name);
        if let Some(flag) = flag.filter(|flag| is_foreign(flag)) {
            let reason = format!("only the command {owner} has this flag");
            return Err(UsageError::invalid(flag, value, reason));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::super::flags::LISTEN_ADDR;
    use super::*;

    fn status(items: &[(&'static Flag, &str)]) -> Result<StatusCommand, UsageError> {
        StatusCommand::from_typed(&items.iter().copied().collect())
    }

    #[track_caller]
    fn refused(items: &[(&'static Flag, &str)], want: &str) {
        assert_eq!(status(items).expect_err(want).to_string(), want);
    }

    #[test]
    fn an_address_is_all_that_is_needed() {
        let command = status(&[(&ADMIN_ADDR, "[::1]:9379")]).expect("valid");
        assert_eq!((command.output, command.is_repeated), (StatusOutput::Table, false));
        assert_eq!(command.time_limit, Duration::from_secs(1));
        assert_eq!(command.host_and_port(), Some(("::1".to_owned(), 9379)));
        for alone in [":9379", "unix:/a"] {
            assert_eq!(status(&[(&ADMIN_ADDR, alone)]).expect(alone).host_and_port(), None);
        }
        let all = [(&ADMIN_ADDR, "a:1"), (&OUTPUT, "json"), (&WATCH, "true")];
        let command = status(&[&all[..], &[(&CONNECT_TIMEOUT, "3s")]].concat()).expect("valid");
        assert_eq!((command.output, command.is_repeated), (StatusOutput::Json, true));
        assert_eq!(command.time_limit, Duration::from_secs(3));
        assert_eq!(command.host_and_port(), Some(("a".to_owned(), 1)));
    }

    #[test]
    fn one_address_is_asked() {
        refused(&[], "missing --admin-addr: that of the gateway to ask, as it was given to it");
        let several = "for --admin-addr: one address is asked, not several";
        refused(&[(&ADMIN_ADDR, "a:1,b:2")], &format!(r#"invalid value "a:1,b:2" {several}"#));
        refused(
            &[(&ADMIN_ADDR, "a:1"), (&ADMIN_ADDR, "b:2")],
            &format!(r#"invalid value "b:2" {several}"#),
        );
        refused(
            &[(&ADMIN_ADDR, ":0")],
            r#"invalid value ":0" for --admin-addr: port 0 cannot be dialed"#,
        );
        refused(
            &[(&ADMIN_ADDR, "a:1"), (&OUTPUT, "xml")],
            r#"invalid value "xml" for --output: must be table or json"#,
        );
    }

    #[test]
    fn each_command_has_its_flags() {
        refused(
            &[(&ADMIN_ADDR, "a:1"), (&LISTEN_ADDR, ":1")],
            r#"invalid value ":1" for --listen-addr: only the command start has this flag"#,
        );
        for (flag, value) in [(&OUTPUT, "table"), (&WATCH, "false")] {
            let error = Config::from_typed(&Typed::from_iter([(flag, value)])).expect_err(value);
            let reason = "only the command status has this flag";
            let want = format!("invalid value {value:?} for --{}: {reason}", flag.name);
            assert_eq!(error.to_string(), want);
        }
    }
}
