//! The files of deploy/monitoring, and the metrics of a real gateway, as Prometheus reads them.
//!
//! Of what `promtool check metrics` passes over (findings/promtool-check-metrics.sh), the strict
//! parser of OpenMetrics, that of its reference implementation in Python, finds all but a series
//! that comes twice. Prometheus does not say so either (findings/prometheus-series-twice.sh), so
//! that is looked for here.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Output};

use serde_json::Value;

use crate::util::*;

const ADMIN: &str = "--admin-addr=127.0.0.1:0";
/// Reads OpenMetrics by the letter, and prints the number of families.
const STRICT_PARSER: &str = "import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
print(len(list(text_string_to_metric_families(sys.stdin.read()))))";
/// Clients at the same time, each with a message under way.
const CLIENTS: usize = 64;
/// A message, and as much as is on its way for each client while metrics are read.
const MESSAGE_BYTES: usize = 16 * 1024;
/// Metrics that change without a client, or by the connection that reads them.
const RESTLESS: &[&str] = &[
    "process_",
    "etcd_gateway_descriptors_open",
    "etcd_gateway_turn_duration_seconds",
    "etcd_gateway_name_",
];

/// A gateway that has every metric: a name, an endpoint that refuses, an access log.
struct Observed {
    gateway: Gateway,
    admin: SocketAddr,
    _server: Backend,
    _folder: TemporaryDirectory,
}

impl Observed {
    fn start() -> Observed {
        let server = backend(echo);
        let folder = TemporaryDirectory::new();
        let access_log = format!("--access-log={}", folder.path().join("access.log").display());
        let gateway = Gateway::builder()
            .endpoint(&server.address().to_string())
            .endpoint(&format!("localhost:{}", refused_address().port()))
            .arg(ADMIN)
            .arg(&access_log)
            .start();
        let admin = admin_address(&gateway);
        let observed = Observed { gateway, admin, _server: server, _folder: folder };
        until("the name is looked up", || observed.text().contains("etcd_gateway_name_age"));
        observed
    }

    /// /metrics in the text format.
    fn text(&self) -> String {
        get(self.admin, "/metrics").text().to_owned()
    }

    /// /metrics in OpenMetrics.
    fn open_metrics(&self) -> String {
        let accept = "Accept: application/openmetrics-text;version=1.0.0";
        let fields = format!("Host: a\r\n{accept}\r\nConnection: close\r\n\r\n");
        ask(self.admin, &format!("GET /metrics HTTP/1.1\r\n{fields}")).text().to_owned()
    }
}

/// Samples by series, as the lines have them. Panics where a series comes twice.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').expect("a series and its value");
        let value = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
        assert_eq!(samples.insert(series.to_owned(), value), None, "twice: {series}");
    }
    samples
}

fn assert_content(what: &str, output: &Output) {
    let text = String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{what}: {text}");
}

/// Both formats, by the tools that know them.
fn check_formats(observed: &Observed) {
    let text = observed.text();
    samples(&text);
    let output = finish(Command::new("promtool").args(["check", "metrics"]), &text);
    assert_content("promtool", &output);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "promtool is silent");
    let open = observed.open_metrics();
    assert_eq!(samples(&open).len(), samples(&text).len(), "the same series");
    // Debian's own Python has Debian's modules.
    let output = finish(Command::new("/usr/bin/python3").args(["-c", STRICT_PARSER]), &open);
    assert_content("the strict parser of OpenMetrics", &output);
    let families = text.matches("# TYPE ").count();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), families.to_string());
}

#[test]
fn both_formats_are_what_their_tools_take_at_start_and_under_load() {
    let observed = Observed::start();
    check_formats(&observed);
    let clients: Vec<TcpStream> = (0..CLIENTS).map(|_| observed.gateway.connect()).collect();
    let message = payload(1, MESSAGE_BYTES);
    for _ in 0..4 {
        for mut client in &clients {
            client.write_all(&message).expect("the gateway takes a message");
        }
        check_formats(&observed);
        for mut client in &clients {
            let mut answer = vec![0; message.len()];
            client.read_exact(&mut answer).expect("the echo gives the answer");
            assert!(answer == message, "the message as it was sent");
        }
    }
    drop(clients);
    check_formats(&observed);
}

#[test]
fn rules_and_scrape_configuration_are_valid_and_each_alert_fires_when_it_should() {
    let folder = monitoring();
    promtool(&folder, &["check", "config", "--lint=all", "--lint-fatal", "prometheus.yml"]);
    promtool(&folder, &["check", "rules", "--lint=all", "--lint-fatal", "alerts.yml"]);
    promtool(&folder, &["test", "rules", "alerts_test.yml"]);
    let tests = monitoring_file("alerts_test.yml");
    let manual = include_str!("../../docs/monitoring.md");
    let rows = manual.lines().filter_map(|line| line.strip_prefix("| `EtcdGateway"));
    let documented: BTreeSet<&str> = rows.filter_map(|row| row.split('`').next()).collect();
    let rules = monitoring_file("alerts.yml");
    let alerts = rules.lines().filter_map(|line| line.split_once("- alert: EtcdGateway"));
    let alerts: BTreeSet<&str> = alerts.map(|(_, name)| name).collect();
    assert_eq!(documented, alerts, "the table of docs/monitoring.md");
    for alert in alerts {
        let fires = [
            format!("alertname=\"EtcdGateway{alert}\",alertstate=\"firing\""),
            format!("alertname: EtcdGateway{alert}\n"),
        ];
        assert!(fires.iter().any(|text| tests.contains(text)), "no test of {alert}");
    }
}

/// The expressions of the dashboard, each with the legend of its series.
fn dashboard() -> Vec<(String, String)> {
    let dashboard: Value =
        serde_json::from_str(&monitoring_file("dashboard.json")).expect("a JSON document");
    let panels = dashboard["panels"].as_array().expect("panels");
    let ids: BTreeSet<u64> = panels.iter().filter_map(|panel| panel["id"].as_u64()).collect();
    assert_eq!(ids.len(), panels.len(), "each panel has an id of its own");
    let lists = panels.iter().filter_map(|panel| panel["targets"].as_array());
    lists.flatten().map(expression_and_legend).collect()
}

/// What a target of a panel draws, as Prometheus takes it.
fn expression_and_legend(target: &Value) -> (String, String) {
    let [expression, legend] =
        ["expr", "legendFormat"].map(|key| target[key].as_str().expect("a text").to_owned());
    assert!(expression.contains("job=~\"$job\",instance=~\"$instance\""), "{expression}");
    let expression = expression.replace("$__rate_interval", "1m");
    (expression.replace("$job", ".*").replace("$instance", ".*"), legend)
}

#[test]
fn expressions_of_the_dashboard_are_valid() {
    let expressions = dashboard();
    assert!(expressions.len() > 30, "{expressions:?}");
    let folder = TemporaryDirectory::new();
    let rules = expressions.iter().enumerate().map(|(number, (expression, _))| {
        // A JSON string is a YAML string.
        format!("      - record: panel:{number}\n        expr: {}\n", Value::from(&**expression))
    });
    let rules: String = rules.collect();
    let file = format!("groups:\n  - name: dashboard\n    rules:\n{rules}");
    std::fs::write(folder.path().join("dashboard.yml"), file).expect("a folder of our own");
    promtool(folder.path(), &["check", "rules", "--lint=all", "--lint-fatal", "dashboard.yml"]);
}

/// Words of a text that begin as names of metrics do.
fn metric_names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':');
    words.filter(|word| word.starts_with("etcd_gateway_") || word.starts_with("process_")).collect()
}

/// What `result` and `direction` are compared with in the expressions of a text.
fn compared_values(text: &str) -> BTreeSet<(&str, &str)> {
    let mut values = BTreeSet::new();
    for label in ["result", "direction"] {
        for operator in ["=\"", "!=\"", "=~\"", "!~\""] {
            for (at, found) in text.match_indices(&format!("{label}{operator}")) {
                let value = text[at + found.len()..].split('"').next().expect("a first part");
                values.extend(value.split('|').map(|value| (label, value)));
            }
        }
    }
    values
}

#[test]
fn alerts_and_dashboard_name_only_what_the_gateway_has() {
    let observed = Observed::start();
    let text = observed.text();
    let samples = samples(&text);
    let known: BTreeSet<&str> =
        samples.keys().filter_map(|series| series.split('{').next()).collect();
    let expressions: Vec<String> =
        dashboard().into_iter().map(|(expression, _)| expression).collect();
    for used in [monitoring_file("alerts.yml"), expressions.join("\n")] {
        let names = metric_names(&used);
        let unknown: Vec<_> = names.difference(&known).collect();
        assert!(names.len() > 10 && unknown.is_empty(), "not metrics of the gateway: {unknown:?}");
        let values = compared_values(&used);
        assert!(!values.is_empty(), "labels are compared");
        for (label, value) in values {
            assert!(text.contains(&format!("{label}=\"{value}\"")), "no {label} {value:?}");
        }
    }
    let tests = monitoring_file("alerts_test.yml");
    let unknown: Vec<_> = metric_names(&tests).difference(&known).copied().collect();
    assert!(unknown.is_empty(), "not metrics of the gateway: {unknown:?}");
}

/// A series of the text format as Prometheus has it, without what tells its target.
fn series_of(result: &Value) -> String {
    let labels = result["metric"].as_object().expect("labels");
    let name = labels["__name__"].as_str().expect("a name");
    let own =
        labels.iter().filter(|(label, _)| !["__name__", "instance", "job"].contains(&&***label));
    let own: BTreeSet<String> = own.map(|(label, value)| format!("{label}={value}")).collect();
    format!("{name}{own:?}")
}

/// The same of a line of the text format, whose values have neither commas nor escapes here.
fn series_of_line(series: &str) -> String {
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    let labels = labels.strip_suffix('}').expect("the end of labels");
    let own: BTreeSet<String> =
        labels.split(',').filter(|label| !label.is_empty()).map(str::to_owned).collect();
    format!("{name}{own:?}")
}

/// The sample, without the value where that changes all the time.
fn at_rest(series: String, value: f64) -> (String, Option<f64>) {
    let is_restless = RESTLESS.iter().any(|name| series.starts_with(name));
    (series, (!is_restless).then_some(value))
}

#[test]
fn a_real_prometheus_scrapes_every_series_with_its_value() {
    let observed = Observed::start();
    let prometheus = Prometheus::start(observed.admin);
    let open = observed.gateway.connect();
    round_trip(&open, b"twelve bytes");
    for _ in 0..3 {
        round_trip(&observed.gateway.connect(), b"abc");
    }
    until("the three have ended, and were scraped", || {
        prometheus.value("sum(etcd_gateway_connections_ended_total)") == Some(3.0)
    });
    assert_eq!(prometheus.value("up{job=\"etcd-gateway\"}"), Some(1.0));
    until("each series was scraped with its value, and no other", || {
        let text = samples(&observed.text());
        let text = text.iter().map(|(series, value)| at_rest(series_of_line(series), *value));
        let series = prometheus.query("{job=\"etcd-gateway\",__name__=~\"(etcd|process)_.*\"}");
        let scraped = series.iter().map(|series| at_rest(series_of(series), sample(series)));
        text.collect::<BTreeMap<_, _>>() == scraped.collect()
    });
    // It asks for OpenMetrics, which alone has this type.
    assert_eq!(prometheus.data("metadata")["etcd_gateway_build"][0]["type"], "info");
    check_ingestion(&prometheus);
    check_dashboard(&prometheus);
}

/// It has dropped no sample, and complains of nothing.
fn check_ingestion(prometheus: &Prometheus) {
    let own = prometheus.own_metrics();
    for problem in ["duplicate_timestamp", "out_of_order", "out_of_bounds"] {
        let line = format!("\nprometheus_target_scrapes_sample_{problem}_total 0\n");
        assert!(own.contains(&line), "{problem}: {own}");
    }
    assert_eq!(prometheus.complaints(), Vec::<String>::new());
    // A series that came twice would be one of these samples, and not counted anywhere.
    let stored = "count({job=\"etcd-gateway\",__name__=~\"etcd_gateway_.*|process_.*\"})";
    until("each sample of a scrape is a series", || {
        let stored = prometheus.value(stored);
        stored.is_some() && stored == prometheus.value("scrape_samples_scraped")
    });
}

/// Each panel can be drawn, and the labels of its legend are labels of its series. Rates take two
/// scrapes.
fn check_dashboard(prometheus: &Prometheus) {
    let panels = dashboard();
    until("two thirds of the expressions have series", || {
        let drawn = panels.iter().filter(|(expression, legend)| {
            let series = prometheus.query(expression);
            for label in legend.split("{{").skip(1).filter_map(|part| part.split("}}").next()) {
                let without = series.iter().find(|series| series["metric"].get(label).is_none());
                assert_eq!(without, None, "no {label} in {expression}");
            }
            !series.is_empty()
        });
        drawn.count() * 3 >= panels.len() * 2
    });
}

/// The alert of that name in that state.
fn alert(prometheus: &Prometheus, name: &str, state: &str) -> Option<Value> {
    let alerts = prometheus.data("alerts")["alerts"].take();
    let alerts = alerts.as_array().expect("a list of alerts");
    let mut alerts = alerts.iter();
    alerts.find(|alert| alert["labels"]["alertname"] == name && alert["state"] == state).cloned()
}

#[test]
fn an_alert_fires_when_the_only_endpoint_dies_and_ends_when_it_returns() {
    let name = "EtcdGatewayNoEndpoint";
    let server = backend(echo);
    let address = server.address();
    // Pauses double with each probe that fails: on a slow machine the one after the endpoint's
    // return would be longer than a test waits.
    let gateway = Gateway::start(&[address], &[ADMIN, "--retry-delay=1s"]);
    let prometheus = Prometheus::start(admin_address(&gateway));
    until("the rules have seen the endpoint", || {
        prometheus.value("instance:etcd_gateway_endpoint_up:sum") == Some(1.0)
    });
    assert_eq!(alert(&prometheus, name, "firing"), None);
    server.stop();
    // The reset of a rejected client may be there before it is connected.
    let _ = TcpStream::connect(gateway.address());
    gateway.wait_for_log("endpoint inactive");
    let mut firing = None;
    until("the alert fires", || {
        firing = alert(&prometheus, name, "firing");
        firing.is_some()
    });
    let firing = firing.expect("until() returned");
    let instance = admin_address_of(&firing);
    let summary = format!("The gateway {instance} has no usable endpoint");
    assert_eq!(firing["annotations"]["summary"], summary);
    assert_eq!(firing["labels"]["severity"], "critical");
    let server = Backend::at(address, echo);
    until("it ends", || alert(&prometheus, name, "firing").is_none());
    check_rules(&prometheus);
    check_ingestion(&prometheus);
    server.stop();
}

fn admin_address_of(alert: &Value) -> SocketAddr {
    let instance = alert["labels"]["instance"].as_str().expect("the label of the target");
    instance.parse().expect("the address of the admin side")
}

/// Each alert says how bad it is, what it is about, and what to do; and each rule is evaluated.
fn check_rules(prometheus: &Prometheus) {
    let groups = prometheus.data("rules")["groups"].take();
    let rules = groups[0]["rules"].as_array().expect("rules");
    let alerts: Vec<&Value> = rules.iter().filter(|rule| rule["type"] == "alerting").collect();
    assert!(alerts.len() > 10, "{alerts:?}");
    assert!(rules.iter().all(|rule| rule["health"] == "ok"), "{rules:?}");
    for alert in alerts {
        let severity = &alert["labels"]["severity"];
        assert!(severity == "critical" || severity == "warning", "{alert}");
        assert!(alert["duration"].as_f64().is_some_and(|seconds| seconds > 0.0), "{alert}");
        for annotation in ["summary", "description"] {
            let text = alert["annotations"][annotation].as_str().unwrap_or_default();
            assert!(text.len() > 20, "{annotation}: {alert}");
        }
    }
}
