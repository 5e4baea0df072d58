//! What is said in answers, against the truth: metrics in both formats, status and readiness. Reads
//! the text of metrics by its specification.

use std::collections::{BTreeMap, BTreeSet};

use super::views::View;

/// The samples of a document.
#[derive(Debug)]
pub(super) struct Samples(BTreeMap<String, f64>);

impl Samples {
    /// Reads a document. Each family comes in one stretch, and each series once.
    pub(super) fn read(text: &str, is_open: bool) -> Samples {
        let mut samples = BTreeMap::new();
        let mut families = BTreeSet::new();
        let mut family = String::new();
        assert!(text.ends_with('\n'), "a last line without an end");
        assert_eq!(text.ends_with("# EOF\n"), is_open, "the end of the other format");
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                family = rest.split(' ').next().expect("a name").to_owned();
                assert!(families.insert(family.clone()), "two stretches of {family}");
                continue;
            }
            if line.starts_with('#') {
                continue;
            }
            let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line:?}"));
            let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line:?}"));
            assert!(series.starts_with(&family), "{line:?} among {family}");
            assert!(samples.insert(series.to_owned(), value).is_none(), "{series} twice");
        }
        Samples(samples)
    }

    /// The series of this name: the text of their labels, and their values.
    pub(super) fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, u64)> {
        self.0.iter().filter_map(move |(series, value)| {
            let labels = series.strip_prefix(name)?;
            let is_it = labels.is_empty() || labels.starts_with('{');
            is_it.then_some((labels, *value as u64))
        })
    }

    fn sum(&self, name: &str) -> u64 {
        self.of(name).map(|(_, value)| value).sum()
    }

    /// Payload by endpoint, of which these are the addresses.
    pub(super) fn payload(&self, addresses: &[String]) -> Vec<[u64; 2]> {
        let mut payload = vec![[0; 2]; addresses.len()];
        for (labels, value) in self.of("etcd_gateway_endpoint_bytes_total") {
            let address = label(labels, "endpoint");
            let endpoint = addresses.iter().position(|known| known == address);
            let endpoint = endpoint.unwrap_or_else(|| panic!("no endpoint {address}"));
            let side = match label(labels, "direction") {
                "from_clients" => 0,
                "from_endpoint" => 1,
                other => panic!("a direction {other}"),
            };
            payload[endpoint][side] += value;
        }
        payload
    }

    /// Why the numbers of the process are not those of the view; `None`: they are.
    pub(super) fn difference(&self, view: &View) -> Option<String> {
        // By the text of the label, and so by the number of the port.
        let names = ["etcd_gateway_clients_accepted_total", "etcd_gateway_connections"];
        let [accepted, open] =
            names.map(|name| self.of(name).map(|(_, value)| value).collect::<Vec<u64>>());
        let ended = self.sum("etcd_gateway_connections_ended_total");
        let rejected = self.sum("etcd_gateway_clients_rejected_total");
        let durations = self.sum("etcd_gateway_connection_duration_seconds_count");
        let dials = self.sum("etcd_gateway_dial_duration_seconds_count");
        let first = self.sum("etcd_gateway_first_byte_seconds_count");
        let (least, most) = view.rejected;
        let is_right = accepted == view.accepted
            && open == view.open
            && ended + rejected == view.closed
            && (least..=most).contains(&rejected)
            && durations == ended
            && dials == view.connected
            && first <= view.connected;
        let said = (accepted, open, ended, rejected, durations, dials, first);
        (!is_right).then(|| format!("{said:?}"))
    }

    /// Whatever the truth may be, the sums fit each other.
    pub(super) fn check_sums(&self) {
        let accepted = self.sum("etcd_gateway_clients_accepted_total");
        let open = self.sum("etcd_gateway_connections");
        let ended = self.sum("etcd_gateway_connections_ended_total");
        let rejected = self.sum("etcd_gateway_clients_rejected_total");
        assert_eq!(accepted, open + ended + rejected, "accepted = open + ended + rejected");
    }
}

/// The value of a label; none has a quote in it here.
fn label<'a>(labels: &'a str, name: &str) -> &'a str {
    let start = format!("{name}=\"");
    let at = labels.find(&start).unwrap_or_else(|| panic!("no {name} in {labels}")) + start.len();
    let end = labels[at..].find('"').expect("the end of a value");
    &labels[at..at + end]
}

/// What a status says of the process, to be compared with a view.
#[derive(Debug)]
pub(super) struct Status(serde_json::Value);

impl Status {
    pub(super) fn read(text: &[u8]) -> Status {
        Status(serde_json::from_slice(text).expect("JSON"))
    }

    fn number(&self, path: &str) -> u64 {
        let found = self.0.pointer(path).and_then(serde_json::Value::as_u64);
        found.unwrap_or_else(|| panic!("no {path} in {}", self.0))
    }

    /// Why it is not that of the view; `None`: it is.
    pub(super) fn difference(&self, view: &View) -> Option<String> {
        let [accepted, open, ended, rejected] = ["accepted", "open", "ended", "rejected"]
            .map(|name| self.number(&format!("/connections/{name}")));
        let reasons: Vec<&str> = self.0["not_ready"]
            .as_array()
            .expect("reasons")
            .iter()
            .filter_map(serde_json::Value::as_str)
            .collect();
        let is_draining = view.not_ready.contains(&"draining");
        let state = if is_draining { "draining" } else { "running" };
        let (least, most) = view.rejected;
        let is_right = accepted == view.accepted.iter().sum::<u64>()
            && open == view.open.iter().sum::<u64>()
            && ended + rejected == view.closed
            && (least..=most).contains(&rejected)
            && reasons == view.not_ready
            && self.0["ready"] == view.not_ready.is_empty()
            && self.0["state"] == state;
        let said = (accepted, open, ended, rejected, reasons);
        (!is_right).then(|| format!("{said:?}"))
    }
}

/// The text of readiness that is right, with its status.
pub(super) fn readiness(view: &View) -> (u16, String) {
    match view.not_ready.is_empty() {
        true => (200, "ready\n".to_owned()),
        false => (503, view.not_ready.iter().map(|reason| format!("{reason}\n")).collect()),
    }
}
