//! One fault, once: a cluster of its own, every client on the member that will be hit, each through
//! a relay of its own, all at the same time.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use super::client::{Call, Client, Completed, completed, put_by_etcdctl, seconds_now};
use super::connections::busiest;
use super::fault::Fault;
use super::feeder::feed;
use super::outcome::{Outcome, Seconds, Times, recovery};
use super::plan::Plan;
use super::util::{Host, Process, RemoteCluster, Version};
use super::way::{Running, Way};

/// From the last client that came until the fault. Members that have just met change no list.
const SETTLE: Duration = Duration::from_secs(5);
/// From the end of the fault until the end of the round: what was missed is made up for.
const AFTER: Duration = Duration::from_secs(20);
/// For a client to start and to put so often that its member is known.
const START: Duration = Duration::from_secs(30);
const PUTS_AT_START: usize = 10;
/// Connections until one is to the member that will be hit; of three members, a third is.
const TRIES: usize = 12;

/// A way and a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    pub way: Way,
    pub client: Client,
}

/// What a round has shown.
pub struct Round {
    pub outcomes: Vec<(Lane, Outcome)>,
    /// Seconds until the members themselves took puts again.
    pub cluster: Seconds,
    /// Lanes that could not be measured, and why.
    pub notes: Vec<String>,
}

/// Where a round takes place.
struct Stage {
    home: Arc<Host>,
    endpoints: Vec<SocketAddr>,
    victim: SocketAddr,
    folder: PathBuf,
}

/// A client in its place. Dropped in this order.
struct Placed {
    process: Option<Process>,
    relay: Running,
}

/// Lets the loops of a round end, even if the round panics.
struct Over(Arc<AtomicBool>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

pub fn run(plan: &Plan, version: Version, fault: Fault, folder: &Path) -> Round {
    let mut cluster = RemoteCluster::start(version).expect("the supervisor needs root as well");
    let victim = fault.victim(&cluster);
    let stage = &Stage {
        home: Arc::clone(cluster.home()),
        endpoints: cluster.endpoints(),
        victim: cluster.endpoint(victim),
        folder: folder.to_owned(),
    };
    let lanes = plan
        .ways
        .iter()
        .flat_map(|way| plan.clients.iter().map(|&client| Lane { way: way.clone(), client }));
    let lanes: Vec<Lane> = lanes.collect();
    thread::scope(|scope| {
        let over = Over(Arc::new(AtomicBool::new(false)));
        let feeder = spawn_feeder(scope, stage, &over);
        let placed = place_all(stage, &lanes);
        let loops: Vec<_> = lanes
            .iter()
            .zip(&placed)
            .map(|(lane, placed)| spawn_loop(scope, stage, lane, placed, &over))
            .collect();
        thread::sleep(SETTLE);
        let times = inflict(&mut cluster, victim, fault, plan.hold(fault));
        drop(over);
        let mut round = Round {
            outcomes: Vec::new(),
            cluster: recovery(&feeder.join().expect("it does not panic"), Call::Put, times),
            notes: Vec::new(),
        };
        for ((lane, placed), etcdctl) in lanes.iter().zip(&placed).zip(loops) {
            let etcdctl = etcdctl.map(|handle| handle.join().expect("it does not panic"));
            match placed {
                Ok(placed) => {
                    round.outcomes.push((lane.clone(), outcome(placed, etcdctl, times)));
                }
                Err(reason) => {
                    let (client, way) = (lane.client.name(), lane.way.name());
                    round.notes.push(format!("{}: {client}, {way}: {reason}", fault.word()));
                }
            }
        }
        round
    })
}

/// The fault from its begin until the end of the round.
fn inflict(cluster: &mut RemoteCluster, victim: usize, fault: Fault, hold: Duration) -> Times {
    let (start, begin) = (Instant::now(), seconds_now());
    fault.begin(cluster, victim);
    thread::sleep(hold.saturating_sub(start.elapsed()));
    let mended = seconds_now();
    fault.end(cluster, victim);
    thread::sleep(AFTER);
    Times { fault: begin, mended, end: seconds_now() }
}

fn outcome(placed: &Placed, etcdctl: Option<Vec<Completed>>, times: Times) -> Outcome {
    match (&placed.process, etcdctl) {
        (Some(process), _) => Outcome::connected(&completed_by(process), times),
        (None, etcdctl) => Outcome::anew(&etcdctl.unwrap_or_default(), times),
    }
}

fn completed_by(process: &Process) -> Vec<Completed> {
    process.log().iter().filter_map(|line| completed(line)).collect()
}

type Loop<'scope> = ScopedJoinHandle<'scope, Vec<Completed>>;

fn spawn_feeder<'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    stage: &'scope Stage,
    over: &Over,
) -> Loop<'scope> {
    let is_over = Arc::clone(&over.0);
    // The one that will be hit comes last.
    let mut endpoints = stage.endpoints.clone();
    endpoints.sort_by_key(|endpoint| *endpoint == stage.victim);
    scope.spawn(move || stage.home.enter(|| feed(&endpoints, &is_over)))
}

/// The puts of etcdctl, if that is the client and its relay runs.
fn spawn_loop<'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    stage: &'scope Stage,
    lane: &Lane,
    placed: &Result<Placed, String>,
    over: &Over,
) -> Option<Loop<'scope>> {
    let (Client::Etcdctl(version), Ok(placed)) = (lane.client, placed) else { return None };
    let addresses = placed.relay.addresses.clone();
    let is_over = Arc::clone(&over.0);
    Some(scope.spawn(move || stage.home.enter(|| put_by_etcdctl(version, &addresses, &is_over))))
}

fn place_all(stage: &Stage, lanes: &[Lane]) -> Vec<Result<Placed, String>> {
    thread::scope(|scope| {
        let places: Vec<_> = (0..)
            .zip(lanes)
            .map(|(number, lane)| scope.spawn(move || stage.place(lane, number)))
            .collect();
        places.into_iter().map(|place| place.join().expect("it listens")).collect()
    })
}

impl Stage {
    /// Starts the relay of a lane, and its client again and again until it is on the member that
    /// will be hit.
    fn place(&self, lane: &Lane, number: u16) -> Result<Placed, String> {
        let (way, client) = (&lane.way, lane.client);
        let mut relay = way.start(&self.home, &self.endpoints, number);
        if !client.lasts() {
            return Ok(Placed { process: None, relay });
        }
        relay.addresses.sort_by_key(|address| *address != self.victim);
        let is_everywhere = *way == Way::Direct && !client.stays_with_the_first();
        let mut last = None;
        for _ in 0..TRIES {
            let mut command = client.command(&self.folder, &relay.addresses);
            let process = self.home.enter(|| Process::spawn(client.name(), &mut command));
            wait_working(&process)?;
            let pid = relay.process.as_ref().unwrap_or(&process).pid();
            last = busiest(&self.home, pid, &self.endpoints);
            if is_everywhere || last == Some(self.victim) {
                return Ok(Placed { process: Some(process), relay });
            }
        }
        Err(format!("on {last:?}, not on the member that is hit, after {TRIES} connections"))
    }
}

/// Waits until the client's puts and its watch have worked for a while.
fn wait_working(process: &Process) -> Result<(), String> {
    let start = Instant::now();
    while start.elapsed() < START {
        let completed = completed_by(process);
        let successes: Vec<Call> =
            completed.iter().filter(|done| done.is_ok).map(|done| done.call).collect();
        let puts = successes.iter().filter(|call| **call == Call::Put).count();
        if puts >= PUTS_AT_START && puts < successes.len() {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(50));
    }
    let log = process.log();
    let last = log.last().map_or("nothing", String::as_str);
    Err(format!("does not work at the start, and says {last}"))
}
