//! Requests to the admin side of a gateway, and its answers, byte by byte our own.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use super::{DEADLINE, Gateway};

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    /// Names in small letters, in the order in which they came.
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields.iter();
        fields.find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("answers are text")
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a JSON document")
    }

    /// The value of the series, as its line begins.
    pub fn metric(&self, series: &str) -> Option<f64> {
        let mut lines = self.text().lines();
        let value = lines.find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
        Some(value.parse().expect("a number"))
    }

    /// The sum of all series of a family.
    pub fn sum(&self, family: &str) -> f64 {
        let lines = self.text().lines().filter(|line| {
            let rest = line.strip_prefix(family).unwrap_or_default();
            rest.starts_with('{') || rest.starts_with(' ')
        });
        let values = lines.map(|line| line.rsplit(' ').next().expect("a value"));
        values.map(|value| value.parse::<f64>().expect("a number")).sum()
    }
}

/// The first TCP address of the admin side, as the log has it.
pub fn admin_address(gateway: &Gateway) -> SocketAddr {
    let line = gateway.wait_for_log("admin side listens");
    let (_, list) = line.split_once("admin=[").expect("a list");
    let (list, _) = list.split_once(']').expect("the end of a list");
    list.split(',').find_map(|address| address.parse().ok()).expect("an address of TCP")
}

/// A connection to the admin side.
pub fn admin_connection(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, DEADLINE).expect("the admin side");
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout that is not zero");
    stream.set_write_timeout(Some(DEADLINE)).expect("a timeout that is not zero");
    stream
}

/// Asks for the path, over a connection of its own.
pub fn get(address: SocketAddr, path: &str) -> Reply {
    ask(address, &format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"))
}

/// Sends these bytes over a connection of their own, and reads one answer.
pub fn ask(address: SocketAddr, request: &str) -> Reply {
    let mut stream = admin_connection(address);
    stream.write_all(request.as_bytes()).expect("room for a request");
    read_reply(&mut BufReader::new(stream)).expect("an answer")
}

/// Reads one answer; `None` at the end of the connection.
pub fn read_reply(stream: &mut impl BufRead) -> Option<Reply> {
    let mut line = String::new();
    if stream.read_line(&mut line).expect("a line") == 0 {
        return None;
    }
    let status = line.split(' ').nth(1).expect("a status").parse().expect("a number");
    let mut reply = Reply { status, fields: Vec::new(), body: Vec::new() };
    loop {
        line.clear();
        stream.read_line(&mut line).expect("a line");
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        reply.fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    assert_eq!(line, "\r\n", "the end of the head");
    if reply.field("transfer-encoding") == Some("chunked") {
        reply.body = read_chunks(stream);
    } else if let Some(length) = reply.field("content-length") {
        reply.body = vec![0; length.parse().expect("a length")];
        stream.read_exact(&mut reply.body).expect("the whole body");
    } else {
        stream.read_to_end(&mut reply.body).expect("the end of the connection");
    }
    Some(reply)
}

fn read_chunks(stream: &mut impl BufRead) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).expect("the size of a chunk");
        let length = usize::from_str_radix(line.trim_end(), 16).expect("a size in hexadecimal");
        let mut chunk = vec![0; length + 2];
        stream.read_exact(&mut chunk).expect("a whole chunk");
        assert!(chunk.ends_with(b"\r\n"), "the end of a chunk");
        if length == 0 {
            return body;
        }
        body.extend_from_slice(&chunk[..length]);
    }
}
