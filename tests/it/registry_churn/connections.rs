//! Connections through the gateway, and the servers that say where one has led.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use super::registered::Services;
use crate::util::{DEADLINE, echo, reset};

/// A connection: when it was begun, and the service that it has led to.
#[derive(Clone, Copy)]
pub struct Probe {
    pub begun: Instant,
    pub address: Ipv4Addr,
}

/// Connections through the gateway, one after the other, without a pause.
pub struct Prober {
    shared: Arc<(Mutex<Vec<Probe>>, AtomicBool)>,
    thread: JoinHandle<()>,
}

impl Prober {
    pub fn start(gateway: SocketAddr) -> Prober {
        let shared = Arc::new((Mutex::new(Vec::new()), AtomicBool::new(false)));
        let thread = thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                while !shared.1.load(Ordering::SeqCst) {
                    let probe = probe(gateway);
                    lock(&shared.0).push(probe);
                }
            }
        });
        Prober { shared, thread }
    }

    fn probes(&self) -> MutexGuard<'_, Vec<Probe>> {
        lock(&self.shared.0)
    }

    /// When the first of the probes after `from` was begun from which on one full round has led to
    /// these services and no others, as their weights say.
    pub fn first_match(&self, services: &Services, from: Instant) -> Option<Instant> {
        let probes = self.probes();
        let probes = &probes[probes.partition_point(|probe| probe.begun < from)..];
        let round: usize = services.values().copied().map(usize::from).sum();
        let mut tally = Tally::new(services);
        for (at, probe) in probes.iter().enumerate() {
            tally.count(probe.address, 1);
            if at >= round {
                tally.count(probes[at - round].address, -1);
            }
            if at + 1 >= round && tally.wrong == 0 {
                return Some(probes[at + 1 - round].begun);
            }
        }
        None
    }

    /// All probes, after the last one.
    pub fn stop(self) -> Vec<Probe> {
        self.shared.1.store(true, Ordering::SeqCst);
        self.thread.join().expect("every client is served");
        std::mem::take(&mut *lock(&self.shared.0))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One connection, which is reset once it has led to a service.
pub fn probe(gateway: SocketAddr) -> Probe {
    let begun = Instant::now();
    let mut client = TcpStream::connect_timeout(&gateway, DEADLINE).expect("the gateway listens");
    client.set_read_timeout(Some(DEADLINE)).expect("a timeout that is not zero");
    let mut address = [0; 4];
    client.read_exact(&mut address).expect("every client is served");
    // Without a wait for its port.
    reset(client);
    Probe { begun, address: Ipv4Addr::from(address) }
}

/// A behaviour of servers: says at which address the client was served.
pub fn say_address(mut stream: TcpStream) {
    let own = stream.local_addr().expect("an open socket").ip();
    let IpAddr::V4(own) = own else { panic!("{own} is not ours") };
    if stream.write_all(&own.octets()).is_ok() {
        echo(stream);
    }
}

/// Connections by service, compared with what the weights ask for.
struct Tally {
    /// The count above the weight, and whether there is such a service.
    excess: HashMap<Ipv4Addr, (i64, bool)>,
    /// Addresses whose count is wrong by more than one, or by anything where there is no service.
    wrong: usize,
}

impl Tally {
    fn new(services: &Services) -> Tally {
        let excess = services.iter().map(|(at, weight)| (*at, (-i64::from(*weight), true)));
        // Each weight is above 1.
        Tally { excess: excess.collect(), wrong: services.len() }
    }

    fn count(&mut self, address: Ipv4Addr, by: i64) {
        let (excess, is_known) = self.excess.entry(address).or_insert((0, false));
        let tolerated = i64::from(*is_known);
        let before = usize::from(excess.abs() > tolerated);
        *excess += by;
        self.wrong = self.wrong - before + usize::from(excess.abs() > tolerated);
    }
}
