//! A real Chromium, driven by chromedriver in the words of WebDriver (W3C) and, where that has
//! none, of Chromium's own protocol (Chrome DevTools Protocol).

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::{fs, thread};

use serde_json::{Value, json};

use super::{DEADLINE, Process, TemporaryDirectory};

/// Chromium asks for nothing of its own; its sandbox refuses root.
const ARGUMENTS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-sync",
    // A picture is as wide as the window.
    "--hide-scrollbars",
];

/// A browser with one window and a fresh profile; ends on drop.
pub struct Browser {
    // In the order of their ends: chromedriver, then what Chromium has written.
    driver: Process,
    address: SocketAddr,
    /// The path of the session.
    session: String,
    _profile: TemporaryDirectory,
}

impl Browser {
    /// Starts chromedriver and a Chromium.
    pub fn start() -> Browser {
        let profile = TemporaryDirectory::new();
        let driver = Process::spawn("chromedriver", Command::new("chromedriver").arg("--port=0"));
        let line = driver.wait_for_log("started successfully on port ");
        let digits = line.trim_end_matches('.').rsplit(' ').next().expect("a port");
        let port: u16 = digits.parse().unwrap_or_else(|_| panic!("a port in {line}"));
        let mut arguments: Vec<String> = ARGUMENTS.iter().map(|&text| text.to_owned()).collect();
        arguments.push(format!("--user-data-dir={}", profile.path().display()));
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
            "goog:chromeOptions": {"args": arguments},
        }}});
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let answer = call(address, "POST", "/session", &wanted).expect("a session");
        let session = answer["sessionId"].as_str().expect("a name of the session");
        let session = format!("/session/{session}");
        Browser { driver, address, session, _profile: profile }
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let path = format!("{}/{path}", self.session);
        let answer = call(self.address, "POST", &path, body);
        answer.unwrap_or_else(|problem| panic!("{path} of {}: {problem}", self.driver.pid()))
    }

    /// Loads a page, up to its event `load`.
    pub fn open(&self, url: &str) {
        self.post("url", &json!({"url": url}));
    }

    /// The value of an expression of JavaScript in the page; also where its own script is off.
    pub fn value(&self, expression: &str) -> Value {
        let script = format!("return {expression}");
        self.post("execute/sync", &json!({"script": script, "args": []}))
    }

    /// A command of Chromium's own protocol.
    pub fn command(&self, command: &str, parameters: &Value) -> Value {
        self.post("goog/cdp/execute", &json!({"cmd": command, "params": parameters}))
    }

    /// The lines of the console since the last call, with what Chromium itself says there.
    pub fn console(&self) -> Vec<Value> {
        let lines = self.post("se/log", &json!({"type": "browser"}));
        lines.as_array().cloned().expect("a list of lines")
    }

    /// The addresses of the page's requests since the last call, its own included. Chromium's first
    /// window asks itself for more.
    pub fn requests(&self, page: &str) -> Vec<String> {
        let lines = self.post("se/log", &json!({"type": "performance"}));
        let mut found = Vec::new();
        for line in lines.as_array().expect("a list of events") {
            let text = line["message"].as_str().expect("an event as a text");
            let event: Value = serde_json::from_str(text).expect("an event");
            let event = &event["message"];
            let parameters = &event["params"];
            if event["method"] == "Network.requestWillBeSent" && parameters["documentURL"] == page {
                let url = parameters["request"]["url"].as_str().expect("an address");
                found.push(url.to_owned());
            }
        }
        found
    }

    /// Writes a picture of the whole page (PNG).
    pub fn picture(&self, path: &Path) {
        let size = &self.command("Page.getLayoutMetrics", &json!({}))["cssContentSize"];
        let clip = json!({"x": 0, "y": 0, "width": size["width"], "height": size["height"],
            "scale": 1});
        let wanted = json!({"format": "png", "captureBeyondViewport": true, "clip": clip});
        let answer = self.command("Page.captureScreenshot", &wanted);
        let text = answer["data"].as_str().expect("a picture");
        let bytes = data_encoding::BASE64.decode(text.as_bytes()).expect("base64");
        fs::create_dir_all(path.parent().expect("a directory")).expect("a directory of our own");
        fs::write(path, bytes).expect("a file of our own");
    }

    /// Shows pages in a window of this width and height, CSS pixels.
    pub fn set_size(&self, width: u32, height: u32) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1,
            "mobile": false});
        self.command("Emulation.setDeviceMetricsOverride", &size);
    }

    /// Prefers a scheme of colours: `light` or `dark`.
    pub fn prefer(&self, scheme: &str) {
        let feature = json!({"name": "prefers-color-scheme", "value": scheme});
        self.command("Emulation.setEmulatedMedia", &json!({"features": [feature]}));
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Chromium ends with its session; chromedriver is killed then.
        let ended = call(self.address, "DELETE", &self.session, &json!({}));
        assert!(ended.is_ok() || thread::panicking(), "{ended:?}");
    }
}

/// One call of WebDriver; the value of its answer.
fn call(address: SocketAddr, method: &str, path: &str, body: &Value) -> Result<Value, String> {
    let bytes = exchange(address, method, path, body);
    let bytes = bytes.map_err(|error| format!("{method} {path}: {error}"))?;
    let answer: Value = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
    let value = &answer["value"];
    match value.get("error") {
        Some(_) => Err(value.to_string()),
        None => Ok(value.clone()),
    }
}

/// One exchange of HTTP; the body of the answer.
fn exchange(address: SocketAddr, method: &str, path: &str, body: &Value) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&address, DEADLINE)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    let body = body.to_string();
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes())?;
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end().split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
            None if line.trim_end().is_empty() => break,
            _ => {}
        }
    }
    let mut bytes = vec![0; length];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}
