//! Tests of requests over real sockets on the loopback interface.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use super::*;
use crate::config::limits::{ABSENCE_MAX, EXCHANGE_BUDGET_BYTES, EXCHANGE_PAUSE};
use crate::net::Event;
use crate::net::mio::{MioNet, SocketOptions};
use crate::proto::http1::{Client, Delivery, HttpError, Limits, Request, Response};
use crate::upstream::{Check, EndpointSet, EndpointSpec, RetryLimits};

const LIMITS: Limits = Limits { head_bytes_max: 1000, body_bytes_max: 100 };
/// Of each wait for a byte or an event: none of them lasts.
const DEADLINE: Duration = Duration::from_secs(20);
const TIME_LIMIT: Duration = Duration::from_secs(1);

/// A context with one owner, and the server of its connection.
struct Bench {
    context: Context<MioNet>,
    owner: Owner,
    listener: TcpListener,
}

impl Bench {
    fn new() -> Bench {
        let options = SocketOptions { keepalive: None, user_timeout: None, reuse_port: false };
        let net = MioNet::new(options).expect("a net");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let owner = Owner::Check(endpoint());
        Bench { context: Context::new(net, Instant::now()), owner, listener }
    }

    fn address(&self) -> SocketAddr {
        self.listener.local_addr().expect("bound")
    }

    /// Opens a connection whose first request has arrived.
    fn open(&mut self, delivery: Delivery) -> TcpStream {
        let client = Box::new(Client::new(request(), LIMITS, delivery));
        let address = Address::Inet(self.address());
        let destination = Destination::Checked(&address);
        let dialogue = Dialogue::Http(client);
        let opened = self.context.open_stream(self.owner, destination, dialogue, Some(TIME_LIMIT));
        opened.expect("a connection");
        let (server, _) = self.listener.accept().expect("a client");
        server.set_read_timeout(Some(DEADLINE)).expect("a socket");
        self.turn_until(|bench| bench.is_written());
        read_request(&server);
        server
    }

    fn is_written(&mut self) -> bool {
        let key = self.context.exchanges.find(self.owner).expect("an exchange");
        match &mut self.context.exchanges.table[key].socket {
            Socket::Stream { stage: Stage::Established, dialogue, .. } => {
                dialogue.outgoing().is_empty()
            }
            _ => false,
        }
    }

    /// Handles events, once for each. Returns the reports.
    fn turn(&mut self, timeout: Duration) -> Vec<Report> {
        let mut events = Vec::new();
        self.context.net.poll(Some(timeout), &mut events).expect("events");
        let mut reports = Vec::new();
        for event in events {
            let Event::Socket(word, readiness) = event else { continue };
            let token = Token::unpack(word).expect("a token of ours");
            if let Some(key) = self.context.exchanges.key_of(token) {
                reports.extend(self.advance(key, readiness));
            }
        }
        self.context.exchanges.check_invariants();
        reports
    }

    fn advance(&mut self, key: Key, readiness: Readiness) -> Vec<Report> {
        std::iter::from_fn(|| self.context.advance_exchange(key, readiness)).collect()
    }

    fn turn_until(&mut self, mut is_over: impl FnMut(&mut Bench) -> bool) {
        let start = Instant::now();
        while !is_over(self) {
            assert!(start.elapsed() < DEADLINE, "it does not come");
            assert_eq!(self.turn(Duration::from_millis(100)), []);
        }
    }

    /// The next reports: at least one.
    fn reports(&mut self) -> Vec<Report> {
        let start = Instant::now();
        loop {
            assert!(start.elapsed() < DEADLINE, "no report comes");
            let reports = self.turn(Duration::from_millis(100));
            if !reports.is_empty() {
                return reports;
            }
        }
    }

    fn is_open(&self) -> bool {
        self.context.exchanges.find(self.owner).is_some()
    }

    fn send(&mut self) -> bool {
        self.context.send_request(self.owner, request(), TIME_LIMIT)
    }

    /// Lets the time pass, and expires exchanges.
    fn pass(&mut self, time: Duration) -> Vec<Report> {
        self.context.now += time;
        let mut reports = Vec::new();
        while let Some((_, timer)) = self.context.wheel.expire(self.context.now) {
            match timer {
                Timer::Exchange(key) => reports.extend(self.context.expire_exchange(key)),
                Timer::ExchangePause(key) => {
                    self.context.end_exchange_pause(key);
                    reports.extend(self.advance(key, Readiness::default()));
                }
                _ => panic!("another timer"),
            }
        }
        self.context.exchanges.check_invariants();
        reports
    }
}

fn endpoint() -> EndpointId {
    let second = Duration::from_secs(1);
    let mut endpoints = EndpointSet::new(RetryLimits {
        delay_min: second,
        delay_max: second,
        last_resort_interval: second,
        absence_max: ABSENCE_MAX,
        absent_max: 1,
    });
    let address = Address::from(([127, 0, 0, 1], 1));
    let spec =
        EndpointSpec { address, priority: 0, weight: 1, check: Check::Connect, health_check: None };
    endpoints.reconcile(&[spec], Instant::now());
    endpoints.pick(&[], Instant::now()).expect("the only one")
}

fn request() -> Request {
    Request::get("a:1", "/health").expect("sendable")
}

fn read_request(mut server: &TcpStream) {
    let mut bytes = vec![0; request().bytes().len()];
    server.read_exact(&mut bytes).expect("a request");
    assert_eq!(bytes, request().bytes());
}

fn answer(mut server: &TcpStream, answer: &str) {
    server.write_all(answer.as_bytes()).expect("a client that reads");
}

fn response(body: &str) -> Report {
    Report::Http(Received::Response(Response { status: 200, body: body.into() }))
}

const ONE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none";
const LAST: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nlast";

#[test]
fn a_kept_connection_is_used_until_an_answer_ends_it() {
    let mut bench = Bench::new();
    let server = bench.open(Delivery::Whole);
    for _ in 0..2 {
        assert!(!bench.context.has_idle_connection(bench.owner));
        answer(&server, ONE);
        assert_eq!(bench.reports(), [response("one")]);
        assert!(bench.context.has_idle_connection(bench.owner));
        assert_eq!(bench.pass(TIME_LIMIT * 2), [], "an idle connection has no time limit");
        assert!(bench.send());
        bench.context.exchanges.check_invariants();
        read_request(&server);
    }
    assert_eq!(bench.context.exchanges.checks(), 1);
    answer(&server, LAST);
    assert_eq!(bench.reports(), [response("last")]);
    assert!(!bench.is_open() && !bench.send());
    assert_eq!(bench.context.wheel.len(), 0);
    assert_eq!((&server).read(&mut [0]).expect("an end"), 0);
}

#[test]
fn an_idle_connection_is_over_with_the_first_thing_that_happens_to_it() {
    type Act = fn(TcpStream);
    let acts: [Act; 2] = [drop, |server| answer(&server, "HTTP/1.1 408 Late\r\n\r\n")];
    for act in acts {
        let mut bench = Bench::new();
        let server = bench.open(Delivery::Whole);
        answer(&server, ONE);
        assert_eq!(bench.reports(), [response("one")]);
        act(server);
        assert_eq!(bench.reports(), [Report::Http(Received::Closed)]);
        assert!(!bench.is_open() && !bench.send());
    }
}

#[test]
fn each_request_has_the_time_limit_and_fails_with_one_reason() {
    let timed_out = ExchangeError::Net(NetError::TimedOut);
    let early = ExchangeError::Dialogue(DialogueError::Http(HttpError::ClosedEarly));
    for (is_second, sent, want) in [
        (false, "", timed_out),
        (false, &ONE[..ONE.len() - 1], timed_out),
        (true, "", timed_out),
        (true, &ONE[..5], early),
    ] {
        let mut bench = Bench::new();
        let server = bench.open(Delivery::Whole);
        if is_second {
            answer(&server, ONE);
            assert_eq!(bench.reports(), [response("one")]);
            assert!(bench.send());
            read_request(&server);
        }
        answer(&server, sent);
        let reports = if want == early {
            drop(server);
            bench.reports()
        } else {
            assert_eq!(bench.pass(TIME_LIMIT / 2), []);
            bench.pass(TIME_LIMIT)
        };
        assert_eq!(reports, [Report::Failed(want)]);
        assert!(!bench.is_open() && bench.context.wheel.is_empty());
    }
}

fn part(text: &str) -> Report {
    Report::Http(Received::Part(text.into()))
}

#[test]
fn a_stream_has_a_time_limit_until_its_head() {
    let mut bench = Bench::new();
    let server = bench.open(Delivery::Streamed);
    answer(&server, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n");
    let mut reports = bench.reports();
    assert_eq!(reports.remove(0), Report::Http(Received::Head(200)));
    while reports.is_empty() {
        reports = bench.reports();
    }
    assert_eq!(reports, [part("one")]);
    assert_eq!(bench.pass(TIME_LIMIT * 10), []);
    answer(&server, "3\r\ntwo\r\n0\r\n\r\n");
    let mut reports = Vec::new();
    while reports.last() != Some(&Report::Http(Received::End)) {
        reports.extend(bench.reports());
    }
    assert_eq!(reports, [part("two"), Report::Http(Received::End)]);
    assert!(bench.send(), "a stream that has ended in order keeps the connection");
    assert_eq!(bench.pass(TIME_LIMIT * 2).len(), 1, "and its next head is awaited in time");
}

/// The event of the socket has come while the exchange must not read, and does not come again.
#[test]
fn an_exchange_that_has_read_much_goes_on_after_a_pause() {
    let mut bench = Bench::new();
    let server = bench.open(Delivery::Streamed);
    let key = bench.context.exchanges.find(bench.owner).expect("open");
    let pacing = &mut bench.context.exchanges.table[key].pacing;
    assert!(pacing.may_read(bench.context.now));
    pacing.read(EXCHANGE_BUDGET_BYTES);
    answer(&server, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
    bench.turn_until(|bench| bench.context.exchanges.table[key].pacing.timer.is_some());
    assert_eq!(bench.pass(EXCHANGE_PAUSE), [Report::Http(Received::Head(200))]);
    bench.context.exchanges.table[key].pacing.read(EXCHANGE_BUDGET_BYTES);
    answer(&server, "more");
    bench.turn_until(|bench| bench.context.exchanges.table[key].pacing.timer.is_some());
    assert!(bench.context.close_exchange_of(bench.owner));
    assert_eq!(bench.context.wheel.len(), 0, "no timer outlives its exchange");
}
