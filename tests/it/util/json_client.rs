//! A client of etcd's JSON interface: calls over one connection, and watches.
//!
//! Its tests need hundreds of clients whose every byte is their own: when a connection ends, what
//! was acknowledged over it, and from which revision a watch goes on. No try is repeated here.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::{Value, json};

use super::{DEADLINE, base64};

/// A client that has one connection at a time, and opens it when it is needed.
pub struct JsonClient {
    address: SocketAddr,
    /// Seconds, as etcd takes them; `None`: as long as it likes.
    time_limit: Option<u8>,
    connection: Option<BufReader<TcpStream>>,
}

/// A change of a key, as a watch tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The revision of the cluster with this change.
    pub revision: u64,
    /// The number of changes of the key since it was made, with this one; 0 for its end.
    pub version: u64,
    pub value: String,
}

/// The changes of a key from a revision on.
pub struct JsonWatch {
    connection: BufReader<TcpStream>,
    /// What has come of a message that is not complete.
    part: Vec<u8>,
}

impl JsonClient {
    pub fn new(address: SocketAddr) -> JsonClient {
        JsonClient { address, time_limit: None, connection: None }
    }

    /// Lets etcd take this number of seconds for each answer, and no more.
    pub fn with_time_limit(self, seconds: u8) -> JsonClient {
        JsonClient { time_limit: Some(seconds), ..self }
    }

    /// Posts a request and returns the answer.
    ///
    /// # Errors
    /// What came in the place of an answer with status 200. The request may have been carried out.
    pub fn call(&mut self, path: &str, body: &Value) -> Result<Value, String> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => connect(self.address)?,
        };
        let time_limit = self.time_limit.map(|seconds| format!("{seconds}S"));
        let fields: Vec<_> = time_limit.iter().map(|value| ("Grpc-Timeout", &**value)).collect();
        let (status, body) = post(&mut connection, path, &fields, body)
            .and_then(|head| Ok((head.status, read_body(&mut connection, &head)?)))
            .map_err(|problem| format!("{path}: {problem}"))?;
        self.connection = Some(connection);
        let text = String::from_utf8_lossy(&body);
        match (status, serde_json::from_slice(&body)) {
            (200, Ok(answer)) => Ok(answer),
            _ => Err(format!("{path}: status {status}: {text}")),
        }
    }
}

impl JsonWatch {
    /// Asks for the changes of a key from a revision on, of a member that has a leader.
    ///
    /// # Errors
    /// What came in the place of a stream.
    pub fn open(address: SocketAddr, key: &str, revision: u64) -> Result<JsonWatch, String> {
        let mut connection = connect(address)?;
        let key = base64(key.as_bytes());
        let body = json!({"create_request": {"key": key, "start_revision": revision}});
        let with_leader = [("Grpc-Metadata-hasleader", "true")];
        let head = post(&mut connection, "/v3/watch", &with_leader, &body)?;
        match head {
            Head { status: 200, length: None } => Ok(JsonWatch { connection, part: Vec::new() }),
            Head { status, .. } => Err(format!("watch: status {status}")),
        }
    }

    /// The changes of the next message, which may be none.
    ///
    /// # Errors
    /// What ends the watch.
    pub fn next_changes(&mut self) -> Result<Vec<Change>, String> {
        loop {
            if let Some(end) = self.part.iter().position(|byte| *byte == b'\n') {
                let message: Vec<u8> = self.part.drain(..=end).collect();
                return changes(&message);
            }
            let chunk = read_chunk(&mut self.connection)?;
            if chunk.is_empty() {
                return Err(format!("watch ended: {}", String::from_utf8_lossy(&self.part)));
            }
            self.part.extend_from_slice(&chunk);
        }
    }
}

/// What a head says of the body.
struct Head {
    status: u16,
    /// Bytes; `None`: it is in chunks.
    length: Option<usize>,
}

fn connect(address: SocketAddr) -> Result<BufReader<TcpStream>, String> {
    let stream = TcpStream::connect_timeout(&address, DEADLINE).map_err(text)?;
    stream.set_read_timeout(Some(DEADLINE)).map_err(text)?;
    stream.set_write_timeout(Some(DEADLINE)).map_err(text)?;
    stream.set_nodelay(true).map_err(text)?;
    Ok(BufReader::new(stream))
}

/// Sends a request as a whole and reads the head of the answer.
fn post(
    connection: &mut BufReader<TcpStream>,
    path: &str,
    fields: &[(&str, &str)],
    body: &Value,
) -> Result<Head, String> {
    let body = body.to_string();
    let fields: String =
        fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: etcd\r\n{fields}Content-Length: {length}\r\n\r\n{body}"
    );
    connection.get_mut().write_all(request.as_bytes()).map_err(text)?;
    let status_line = read_line(connection)?;
    let status = status_line.split(' ').nth(1).and_then(|word| word.parse().ok());
    let status = status.ok_or_else(|| format!("no status: {status_line:?}"))?;
    let mut length = None;
    loop {
        let line = read_line(connection)?;
        match line.split_once(": ") {
            Some(("Content-Length", value)) => length = value.parse().ok(),
            Some(_) => {}
            None => return Ok(Head { status, length }),
        }
    }
}

fn read_body(connection: &mut BufReader<TcpStream>, head: &Head) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    if let Some(length) = head.length {
        body.resize(length, 0);
        connection.read_exact(&mut body).map_err(text)?;
        return Ok(body);
    }
    loop {
        let chunk = read_chunk(connection)?;
        if chunk.is_empty() {
            return Ok(body);
        }
        body.extend_from_slice(&chunk);
    }
}

/// The next chunk; an empty one is the last.
fn read_chunk(connection: &mut BufReader<TcpStream>) -> Result<Vec<u8>, String> {
    let size = read_line(connection)?;
    let size = usize::from_str_radix(&size, 16).map_err(|_| format!("no size: {size:?}"))?;
    let mut chunk = vec![0; size];
    connection.read_exact(&mut chunk).map_err(text)?;
    match read_line(connection)?.as_str() {
        "" => Ok(chunk),
        line => Err(format!("a chunk goes on: {line:?}")),
    }
}

fn read_line(connection: &mut BufReader<TcpStream>) -> Result<String, String> {
    let mut line = String::new();
    connection.read_line(&mut line).map_err(text)?;
    match line.strip_suffix("\r\n") {
        Some(line) => Ok(line.to_owned()),
        None => Err(format!("the connection ended: {line:?}")),
    }
}

/// The changes that a message tells of; an error where it ends the watch.
fn changes(message: &[u8]) -> Result<Vec<Change>, String> {
    let message: Value = serde_json::from_slice(message).map_err(|error| error.to_string())?;
    let result = &message["result"];
    if result.is_null() || result["canceled"] == json!(true) {
        return Err(format!("watch ended: {message}"));
    }
    let events = result["events"].as_array().map_or(&[][..], Vec::as_slice);
    Ok(events.iter().map(|event| change(&event["kv"])).collect())
}

fn change(kv: &Value) -> Change {
    Change {
        revision: json_number(&kv["mod_revision"]),
        version: json_number(&kv["version"]),
        value: json_text(&kv["value"]),
    }
}

/// A number of etcd's JSON, which has them as texts, and none where it is 0.
pub fn json_number(value: &Value) -> u64 {
    let text = value.as_str().unwrap_or("0");
    text.parse().unwrap_or_else(|_| panic!("{text} is not a number"))
}

/// A key or a value of etcd's JSON, which has none where it is empty.
pub fn json_text(value: &Value) -> String {
    let text = value.as_str().unwrap_or_default();
    let bytes = data_encoding::BASE64.decode(text.as_bytes()).expect("base64 of etcd");
    String::from_utf8(bytes).expect("what a test has put")
}

fn text(error: std::io::Error) -> String {
    error.to_string()
}
