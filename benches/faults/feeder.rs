//! A writer at the members themselves, so that watches have something to deliver whatever the
//! client of the watch can do.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::client::{Call, Completed, seconds_now};
use super::util::base64;

const PAUSE: Duration = Duration::from_millis(50);
/// After which it goes on to the next member. A member that serves takes some milliseconds.
const PATIENCE: Duration = Duration::from_millis(500);

/// Puts the key that all watch, to the first of the endpoints that takes it and then to that, until
/// it is time to stop.
pub fn feed(endpoints: &[SocketAddr], is_over: &AtomicBool) -> Vec<Completed> {
    let mut completed = Vec::new();
    let mut current = 0;
    while !is_over.load(Ordering::Relaxed) {
        let begin = seconds_now();
        let is_ok = put(endpoints[current]).is_some();
        completed.push(Completed { call: Call::Put, is_ok, begin, end: seconds_now() });
        if !is_ok {
            current = (current + 1) % endpoints.len();
        }
        thread::sleep(PAUSE);
    }
    completed
}

fn put(endpoint: SocketAddr) -> Option<()> {
    let body = format!(r#"{{"key":"{}","value":"{}"}}"#, base64(b"faults/feed"), base64(b"value"));
    let mut stream = TcpStream::connect_timeout(&endpoint, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let length = body.len();
    write!(
        stream,
        "POST /v3/kv/put HTTP/1.1\r\nHost: {endpoint}\r\nConnection: close\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.starts_with("HTTP/1.1 200 ").then_some(())
}
