//! A registry of two hundred services whose keys never rest, in an etcd that is compacted every
//! second and loses the member that the gateway follows every ten: again and again the gateway's
//! set is compared with what a quorum of etcd holds, down to the weights.
//!
//! What the gateway's set is shows by where its connections lead, since its log gathers changes.
//! Every address of 127.1.0.0/16 has a server, also that of a service that is gone: so a connection
//! that is led there is seen, and not hidden by a failover. One socket listens for all of them,
//! which the gateway cannot see, so that no address has to come twice.

mod connections;
mod registered;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{env, fmt, thread};

use crate::util::*;
use connections::{Prober, probe, say_address};
use registered::{PORT, Registry, SERVICES, Services};

/// How long the keys change, in seconds, unless `REGISTRY_CHURN` says so.
const CHURN_SECONDS: u64 = 30;
const COMPACTION_INTERVAL: Duration = Duration::from_secs(1);
const DEATH_INTERVAL: Duration = Duration::from_secs(10);
/// How long etcd may take for a change with all tries, and the gateway to follow.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(20);

/// Waits until the gateway's set is what etcd holds, and returns how long that took from the last
/// change, from above.
fn settle(registry: &mut Registry, prober: &Prober) -> Duration {
    let begun = Instant::now();
    let (mut from, mut read_at) = (begun, begun);
    let mut services = registry.read();
    loop {
        if let Some(at) = prober.first_match(&services, from) {
            return at.duration_since(from);
        }
        assert!(begun.elapsed() < PATIENCE, "the gateway's set is not what etcd holds");
        thread::park_timeout(PAUSE);
        // A lease may have ended since the last look.
        let now = Instant::now();
        let services_now = registry.read();
        if services_now != services {
            (services, from) = (services_now, read_at);
        }
        read_at = now;
    }
}

/// The member that the gateway's control connection leads to.
fn control_member(cluster: &RemoteCluster, gateway: &Gateway) -> usize {
    let endpoints = cluster.endpoints();
    let mut found = None;
    until("the gateway follows a member", || {
        let ends = far_ends(gateway.pid());
        found = endpoints.iter().position(|endpoint| ends.contains(endpoint));
        found.is_some()
    });
    found.expect("until() returned, so there is one")
}

/// Times from the last change until the gateway's set was what etcd held.
#[derive(Default)]
struct Lags {
    quiet: Vec<Duration>,
    after_death: Vec<Duration>,
}

impl fmt::Display for Lags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, lags) in [("lags", &self.quiet), ("after a death", &self.after_death)] {
            let mut lags = lags.clone();
            lags.sort();
            let (count, median) = (lags.len(), lags.get(lags.len() / 2));
            write!(f, "{name}: {count}, median {median:?}, worst {:?}; ", lags.last())?;
        }
        Ok(())
    }
}

/// Changes keys, compacts and kills for as long as it is to, and compares after each time.
fn churn(
    cluster: &mut RemoteCluster,
    gateway: &Gateway,
    registry: &mut Registry,
    prober: &Prober,
) -> Lags {
    let seconds = env::var("REGISTRY_CHURN").ok().map(|text| text.parse().expect("seconds"));
    let end = Instant::now() + Duration::from_secs(seconds.unwrap_or(CHURN_SECONDS));
    let (mut compacted_at, mut died_at) = (Instant::now(), Instant::now());
    let mut lags = Lags::default();
    while Instant::now() < end {
        registry.churn();
        if compacted_at.elapsed() > COMPACTION_INTERVAL {
            compacted_at = Instant::now();
            registry.compact();
        }
        if died_at.elapsed() < DEATH_INTERVAL {
            lags.quiet.push(settle(registry, prober));
            continue;
        }
        died_at = Instant::now();
        let victim = control_member(cluster, gateway);
        cluster.kill(victim);
        registry.change(SERVICES);
        lags.after_death.push(settle(registry, prober));
        cluster.restart(victim);
        cluster.wait_leader(&[0, 1, 2]);
    }
    lags
}

fn follow_churn(cluster: &mut RemoteCluster) {
    let _services = Backend::at(SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT)), say_address);
    let mut registry = Registry::new(&cluster.endpoints(), 14);
    let urls: Vec<String> = cluster.endpoints().iter().map(|at| format!("http://{at}")).collect();
    let builder = Gateway::builder().arg("--registry-prefix=svc/").log_level("info");
    let gateway = builder.arg(&format!("--etcd-endpoints={}", urls.join(","))).start();
    let prober = Prober::start(gateway.address());
    settle(&mut registry, &prober);
    let lags = churn(cluster, &gateway, &mut registry, &prober);
    registry.even_out();
    settle(&mut registry, &prober);
    // In the first round some may have what other weights have left them.
    settle(&mut registry, &prober);
    let probes = prober.stop();

    let services = registry.read();
    let round: u16 = services.values().sum();
    assert_eq!((services.len(), round), (SERVICES, 600));
    let mut counts = Services::new();
    for _ in 0..round {
        *counts.entry(probe(gateway.address()).address).or_default() += 1;
    }
    let gone = registry.longest_stale(&probes);
    eprintln!("{:?}: {lags}", cluster.version());
    eprintln!("{} connections, the longest after its service was gone: {gone:?}", probes.len());
    assert_eq!(counts, services, "the share of each service");
}

fn expect_churn_is_followed(version: Version) {
    let Some(mut cluster) = RemoteCluster::start(version) else { return };
    let home = Arc::clone(cluster.home());
    home.enter(|| follow_churn(&mut cluster));
}

#[test]
fn churn_is_followed_in_debians_etcd() {
    expect_churn_is_followed(Version::Debian);
}

#[test]
fn churn_is_followed_in_etcd_3_5() {
    expect_churn_is_followed(Version::V3_5);
}
