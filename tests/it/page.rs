//! The page of the admin side in a real Chromium: it follows the gateway without a reload, and is a
//! table without its script. Its pictures are kept under `target/page/`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use etcd_gateway::discovery::Lookups;
use etcd_gateway::observe::facts::{
    EndpointCounts, EndpointFacts, Facts, NameFacts, Resources, RunState, Snapshot, StateChange,
};
use etcd_gateway::observe::metrics::Metrics;
use etcd_gateway::observe::page::{CONTENT_SECURITY_POLICY, PageRendering};
use etcd_gateway::observe::timings::Timings;

use crate::util::*;

/// No endpoint, no name, no change.
struct Nothing;

impl Facts for Nothing {
    fn endpoint(&self, _place: usize) -> Option<(usize, EndpointFacts<'_>)> {
        None
    }

    fn name(&self, _place: usize) -> Option<(usize, NameFacts<'_>)> {
        None
    }

    fn change(&self, _index: usize) -> Option<&StateChange> {
        None
    }
}

fn empty_page() -> String {
    let snapshot = Snapshot {
        version: "0.1.0",
        features: &[],
        started_at: Duration::ZERO,
        now: Duration::ZERO,
        uptime: Duration::ZERO,
        state: RunState::Running,
        usage: Default::default(),
        metrics: Metrics::default(),
        timings: Timings::default(),
        lookups: Lookups::default(),
        resources: Resources::default(),
        endpoints: EndpointCounts::default(),
        log_lines_dropped: 0,
        access_lines_dropped: None,
    };
    let (mut rendering, mut page) = (PageRendering::new(), Vec::new());
    while !rendering.next(&snapshot, &Nothing, &mut page) {}
    String::from_utf8(page).expect("HTML in UTF-8")
}

/// What the browser may run and apply is what the page has. In an edit of either file, this says
/// what the constant has to be.
#[test]
fn the_policy_has_the_hashes_of_style_and_script() {
    let page = empty_page();
    for name in ["style", "script"] {
        let (_, text) = page.split_once(&format!("<{name}>")).expect("a start tag");
        let (text, _) = text.split_once(&format!("</{name}>")).expect("an end tag");
        let mut command = Command::new("openssl");
        let output = finish(command.args(["dgst", "-sha256", "-binary"]), text);
        let want = format!("{name}-src 'sha256-{}';", base64(&output.stdout));
        assert!(CONTENT_SECURITY_POLICY.contains(&want), "write {want} into observe/page/mod.rs");
    }
}

/// A gateway with an admin side, before these endpoints.
fn gateway(endpoints: &[SocketAddr]) -> (Gateway, String) {
    let admin = Reservation::new();
    let address = admin.address();
    drop(admin);
    let gateway =
        Gateway::start(endpoints, &["--retry-delay=1s", &format!("--admin-addr={address}")]);
    (gateway, format!("http://{address}/"))
}

fn picture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("page").join(name)
}

/// The text of the row of an endpoint.
fn row(browser: &Browser, endpoint: SocketAddr) -> String {
    let rows = "[...document.querySelectorAll('#endpoint-rows tr')]";
    let found = format!("{rows}.find(row => row.textContent.includes('{endpoint}')).textContent");
    browser.value(&found).as_str().expect("a text").to_owned()
}

/// What the page says, with `#` for each number: the server and the script write them at different
/// moments.
fn texts(browser: &Browser) -> String {
    let texts = r"[...document.querySelectorAll('dt, dd, th, td, #state')].map(node => node
        .textContent.replace(/\s+/g, ' ').trim().replace(/[0-9][0-9,.]*( min [0-9]+)?/g, '#'))";
    browser.value(&format!("{texts}.join('\\n')")).as_str().expect("a text").to_owned()
}

/// Fails unless nothing was asked for elsewhere, and the page did only what it may.
fn expect_no_complaint(browser: &Browser, url: &str) {
    let console = browser.console();
    assert!(console.is_empty(), "{console:?}");
    let requests = browser.requests(url);
    assert!(requests.contains(&url.to_owned()), "{requests:?}");
    for request in requests {
        assert!(request.starts_with(url) || request.starts_with("data:"), "{request}");
        assert!(!request.ends_with("favicon.ico"), "{request}");
    }
}

#[test]
fn an_endpoint_dies_and_returns_without_a_reload() {
    let (steady, mortal) = (backend(echo), backend(echo));
    let address = mortal.address();
    let (gateway, url) = gateway(&[steady.address(), address]);
    let browser = Browser::start();
    browser.set_size(1280, 900);
    browser.open(&url);
    browser.value("window.isSamePage = true");
    until("both are up", || browser.value("document.title") == "2/2 up - etcd-gateway");
    browser.prefer("light");
    browser.picture(&picture("light.png"));
    browser.prefer("dark");
    browser.picture(&picture("dark.png"));
    mortal.stop();
    until("its end is seen", || {
        round_trip(&gateway.connect(), b"a");
        row(&browser, address).contains("down")
    });
    assert_eq!(browser.value("document.title"), "1/2 up - etcd-gateway");
    let change = browser.value("document.querySelector('#change-rows tr').textContent");
    let change = change.as_str().expect("a text");
    assert!(change.contains("up to down") && change.contains(&address.to_string()), "{change}");
    browser.set_size(360, 740);
    browser.picture(&picture("narrow.png"));
    let excess = browser.value("document.documentElement.scrollWidth - window.innerWidth");
    assert!(excess.as_i64().expect("a number") <= 0, "wider than the window by {excess}");
    let _returned = Backend::at(address, echo);
    until("it is up again", || browser.value("document.title") == "2/2 up - etcd-gateway");
    assert_eq!(browser.value("window.isSamePage"), true, "the page was loaded again");
    expect_no_complaint(&browser, &url);
}

#[test]
fn without_a_script_the_page_is_a_table_that_is_right_when_loaded() {
    let server = backend(echo);
    let (_gateway, url) = gateway(&[server.address()]);
    let browser = Browser::start();
    browser.command("Emulation.setScriptExecutionDisabled", &serde_json::json!({"value": true}));
    browser.set_size(1280, 900);
    browser.open(&url);
    assert!(row(&browser, server.address()).contains("up"));
    assert_eq!(browser.value("document.title"), "1/1 up - etcd-gateway");
    assert_eq!(browser.value("document.querySelector('#pause').hidden"), true);
    browser.picture(&picture("without-script.png"));
    let requests = browser.requests(&url);
    assert!(requests.iter().all(|request| !request.contains("status")), "{requests:?}");
    // With the script, which writes all of it anew, it says the same.
    let rendered = texts(&browser);
    browser.command("Emulation.setScriptExecutionDisabled", &serde_json::json!({"value": false}));
    browser.open(&url);
    let line = "document.querySelector('#endpoint-rows path').getAttribute('d')";
    until("the script has drawn", || browser.value(line).as_str().expect("a path").contains(','));
    assert_eq!(texts(&browser), rendered);
    expect_no_complaint(&browser, &url);
}

#[test]
fn a_gateway_that_does_not_answer_is_noticed() {
    let server = backend(echo);
    let (gateway, url) = gateway(&[server.address()]);
    let browser = Browser::start();
    browser.open(&url);
    until("it is up", || browser.value("document.title") == "1/1 up - etcd-gateway");
    drop(gateway);
    until("it is stale", || browser.value("document.title") == "no answer - etcd-gateway");
    let stale = browser.value("document.querySelector('#stale').innerText");
    assert!(stale.as_str().expect("a text").contains("No answer from the gateway"), "{stale}");
    browser.picture(&picture("no-answer.png"));
}
