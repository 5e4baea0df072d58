//! A real Prometheus, and promtool, as Debian ships them, with the files of deploy/monitoring.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::{Process, TemporaryDirectory, finish, get};

/// Intervals and delays of the files are for people; a test has no time for them.
const INTERVAL: &str = "1s";

/// The files as they are shipped.
pub fn monitoring() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/monitoring")
}

/// A file of deploy/monitoring.
pub fn monitoring_file(name: &str) -> String {
    let path = monitoring().join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Runs promtool in the folder, and panics unless it is content.
pub fn promtool(folder: &Path, arguments: &[&str]) {
    let output = finish(Command::new("promtool").args(arguments).current_dir(folder), "");
    let text = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&text));
}

/// A running server that scrapes one gateway; killed by its own pid on drop.
pub struct Prometheus {
    process: Process,
    address: SocketAddr,
    _folder: TemporaryDirectory,
}

impl Prometheus {
    /// Scrapes the admin side at that address, and alerts, as the files say, but each second.
    pub fn start(admin: SocketAddr) -> Prometheus {
        let folder = TemporaryDirectory::new();
        let configuration = monitoring_file("prometheus.yml")
            .replace("\"127.0.0.1:2390\"", &format!("\"{admin}\""))
            .replace("_interval: 15s", &format!("_interval: {INTERVAL}"));
        assert_eq!(configuration.matches(&admin.to_string()).count(), 1, "{configuration}");
        assert_eq!(configuration.matches(INTERVAL).count(), 2, "{configuration}");
        let alerts = monitoring_file("alerts.yml");
        let lines = alerts.lines().map(|line| match line.trim_start().starts_with("for: ") {
            true => format!("        for: {INTERVAL}\n"),
            false => format!("{line}\n"),
        });
        let files = [("alerts.yml", lines.collect()), ("prometheus.yml", configuration)];
        for (name, text) in files {
            fs::write(folder.path().join(name), text).expect("a folder of our own");
        }
        let mut command = Command::new("prometheus");
        command.arg(format!("--config.file={}", folder.path().join("prometheus.yml").display()));
        command.arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()));
        command.arg("--web.listen-address=127.0.0.1:0");
        let process = Process::spawn("prometheus", &mut command);
        let line = process.wait_for_log("Listening on");
        let (_, address) = line.split_once("address=").expect("an address");
        let address = address.parse().unwrap_or_else(|_| panic!("an address in {line}"));
        process.wait_for_log("Server is ready to receive web requests");
        Prometheus { process, address, _folder: folder }
    }

    /// What it says of itself in lines that are not informational.
    pub fn complaints(&self) -> Vec<String> {
        self.process.log().into_iter().filter(|line| !line.contains("level=info")).collect()
    }

    /// Its own metrics.
    pub fn own_metrics(&self) -> String {
        get(self.address, "/metrics").text().to_owned()
    }

    /// The data of an answer of its interface.
    pub fn data(&self, path: &str) -> Value {
        let reply = get(self.address, &format!("/api/v1/{path}"));
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        let mut answer = reply.json();
        assert_eq!(answer["status"], "success", "{path}");
        assert_eq!(answer["warnings"], Value::Null, "{path}");
        answer["data"].take()
    }

    /// The result of an expression as of now: series with their values.
    pub fn query(&self, expression: &str) -> Vec<Value> {
        let mut data = self.data(&format!("query?query={}", percent_encoded(expression)));
        assert_eq!(data["resultType"], "vector", "{expression}");
        match data["result"].take() {
            Value::Array(series) => series,
            other => panic!("{expression}: {other}"),
        }
    }

    /// The value of an expression with one series; `None` while it has none.
    pub fn value(&self, expression: &str) -> Option<f64> {
        let series = self.query(expression);
        assert!(series.len() <= 1, "{expression}: {series:?}");
        series.first().map(sample)
    }
}

/// The value of a series of a result.
pub fn sample(series: &Value) -> f64 {
    let text = series["value"][1].as_str().expect("a value is a text");
    text.parse().unwrap_or_else(|_| panic!("{text} is not a number"))
}

fn percent_encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
