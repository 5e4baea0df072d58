//! A row of the table of flags: its columns, and the texts that are made from them. Pure.

use std::borrow::Cow;
use std::time::Duration;

use log::LevelFilter;

use crate::config::duration::format_duration;

/// A row of the table.
#[derive(Debug)]
pub struct Flag {
    /// The name, without the dashes.
    pub name: &'static str,
    /// The part of the help text that lists the flag.
    pub section: Section,
    /// The type of the value, with its default and its range.
    pub kind: Kind,
    /// The explanation in lines of at most 69 characters, whose indentation does not count.
    /// `{default}` and `{max}` stand for those of the kind.
    pub help: &'static str,
}

/// A part of the help text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// Where clients connect.
    Listening,
    /// The servers behind the gateway.
    Endpoints,
    /// Whether endpoints serve.
    Health,
    /// Members of etcd: who belongs, and who leads.
    Members,
    /// How long things may take.
    TimeLimits,
    /// Endpoints from SRV records.
    Discovery,
    /// Endpoints from a registry in etcd.
    Registry,
    /// Connections of our own over TLS.
    Tls,
    /// How much there may be, and what is logged.
    LimitsAndLog,
    /// What others see of the gateway.
    Admin,
    /// The command `status`, whose flags no other command has.
    Status,
    /// Texts to print.
    Requests,
}

impl Section {
    /// The heading; `None` for requests, which have none.
    pub fn heading(self) -> Option<&'static str> {
        match self {
            Section::Listening => Some("Listening"),
            Section::Endpoints => Some("Endpoints"),
            Section::Health => Some("Health checks"),
            Section::Members => Some("Members of etcd"),
            Section::TimeLimits => Some("Time limits"),
            Section::Discovery => Some("Discovery by DNS"),
            Section::Registry => Some("Endpoints from a registry"),
            Section::Tls => Some("TLS of the gateway's own connections"),
            Section::LimitsAndLog => Some("Limits and log"),
            Section::Admin => Some("Observation"),
            Section::Status => {
                Some("Of the command status, which has --admin-addr and --connect-timeout, too")
            }
            Section::Requests => None,
        }
    }
}

/// The type of a value, with its default and its range.
#[derive(Debug)]
pub enum Kind {
    /// Items separated by commas. The flag may be repeated: the lists are joined.
    List {
        /// The value's name in the help text.
        value: &'static str,
        /// The list where the flag is absent; empty for none.
        default: &'static str,
        /// Most items.
        max: usize,
    },
    /// A duration as Go writes it.
    Duration(DurationRange),
    /// A boolean, false where the flag is absent. As with pflag, true where the flag has no value;
    /// a value follows an equals sign and is never the next argument.
    Boolean,
    /// A number from 1 to `max`.
    Count {
        /// The number where the flag is absent, if there is one.
        default: Option<usize>,
        /// The largest number.
        max: usize,
    },
    /// What endpoints are asked in health checks: a word, or a path.
    HealthCheck {
        /// The word where the flag is absent.
        default: &'static str,
    },
    /// A duration of up to `max`, or the word never. Another flag has the default.
    DurationOrNever {
        /// The longest duration.
        max: Duration,
    },
    /// One of a few words.
    Word {
        /// The words.
        words: &'static [&'static str],
        /// The word where the flag is absent, if there is one.
        default: Option<&'static str>,
    },
    /// A log level.
    Level {
        /// The level where the flag is absent.
        default: LevelFilter,
    },
    /// Any text; no default. An empty text counts as absent.
    Text {
        /// The value's name in the help text.
        value: &'static str,
    },
    /// No value: the program prints a text instead of running.
    Request {
        /// The one letter that may follow a single dash instead of the name; empty for none.
        letter: &'static str,
    },
}

/// The durations that a flag takes.
#[derive(Debug)]
pub struct DurationRange {
    /// The duration where the flag is absent.
    pub default: Duration,
    /// Whether 0 is refused.
    pub is_above_zero: bool,
    /// The longest duration.
    pub max: Duration,
    /// Durations are rounded up to whole ones of this. Above 0.
    pub unit: Duration,
}

impl Flag {
    /// The environment variable that has the same meaning: `ETCD_GATEWAY_LISTEN_ADDR`. `None` for
    /// requests. No variable is read yet.
    pub fn variable(&self) -> Option<String> {
        match self.kind {
            Kind::Request { .. } => None,
            _ => Some(format!("ETCD_GATEWAY_{}", self.name.to_ascii_uppercase().replace('-', "_"))),
        }
    }

    /// The value's name in the help text; `None` where no argument is needed after the name.
    pub fn value(&self) -> Option<Cow<'static, str>> {
        let name = match self.kind {
            Kind::Word { words, .. } => return Some(words.join("|").into()),
            Kind::List { value, .. } | Kind::Text { value } => value,
            Kind::Duration(_) => "DURATION",
            Kind::DurationOrNever { .. } => "DURATION|never",
            Kind::HealthCheck { .. } => "auto|off|etcd|PATH",
            Kind::Count { .. } => "N",
            Kind::Level { .. } => "LEVEL",
            Kind::Boolean | Kind::Request { .. } => return None,
        };
        Some(name.into())
    }

    /// The default as it would be typed, where it is a value that can be.
    pub fn default(&self) -> Option<String> {
        match &self.kind {
            Kind::List { default, .. } => {
                Some(*default).filter(|list| !list.is_empty()).map(str::to_owned)
            }
            Kind::Duration(range) => Some(format_duration(range.default)),
            Kind::Level { default } => Some(default.as_str().to_ascii_lowercase()),
            Kind::HealthCheck { default } => Some((*default).to_owned()),
            Kind::Count { default, .. } => default.map(|number| number.to_string()),
            Kind::Word { default, .. } => default.map(str::to_owned),
            Kind::Boolean
            | Kind::DurationOrNever { .. }
            | Kind::Text { .. }
            | Kind::Request { .. } => None,
        }
    }

    /// The largest value as it would be typed; of a list, the most items.
    pub fn max(&self) -> Option<String> {
        match &self.kind {
            Kind::List { max, .. } | Kind::Count { max, .. } => Some(max.to_string()),
            Kind::Duration(range) => Some(format_duration(range.max)),
            Kind::DurationOrNever { max } => Some(format_duration(*max)),
            Kind::Boolean
            | Kind::HealthCheck { .. }
            | Kind::Word { .. }
            | Kind::Level { .. }
            | Kind::Text { .. }
            | Kind::Request { .. } => None,
        }
    }

    /// The lines of the explanation, with default and range filled in.
    pub fn explanation(&self) -> Vec<String> {
        let [default, max] = [self.default(), self.max()].map(Option::unwrap_or_default);
        let filled = self.help.replace("{default}", &default).replace("{max}", &max);
        filled.lines().map(|line| line.trim().to_owned()).collect()
    }
}
