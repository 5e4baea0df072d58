//! Transfers that run while something else happens, each of which must lose no byte and must not
//! stand still.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::{Gateway, payload};

/// What each transfer sends and gets back in one round.
const PIECE_BYTES: usize = 1024;
/// The pause between two rounds: they are to be under way, not to load the machine.
const PAUSE: Duration = Duration::from_millis(10);
/// A round that takes longer was held up. A gateway that waits for an answer of the DNS would
/// stand still for the five seconds that resolv.conf(5) gives a server by default.
const ROUND_MAX: Duration = Duration::from_secs(3);

/// Clients of a gateway before servers that echo.
pub struct Transfers {
    stop: Sender<()>,
    worker: JoinHandle<u64>,
}

impl Transfers {
    /// Opens `count` pairs, and sends through all of them from now on. Where a server says
    /// something first, it is `greeting_bytes` long.
    pub fn start(gateway: &Gateway, count: usize, greeting_bytes: usize) -> Transfers {
        let mut streams: Vec<TcpStream> = (0..count).map(|_| gateway.connect()).collect();
        let mut greeting = vec![0; greeting_bytes];
        for stream in &mut streams {
            stream.read_exact(&mut greeting).expect("every client is served");
        }
        let (stop, stopped) = mpsc::channel();
        let worker = thread::spawn(move || {
            let mut rounds = 0;
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(PAUSE) {
                round(&mut streams, rounds);
                rounds += 1;
            }
            streams.into_iter().for_each(end);
            rounds
        });
        Transfers { stop, worker }
    }

    /// Ends every transfer properly; fails if one of them was not what it should be.
    pub fn finish(self) {
        assert!(!self.worker.is_finished(), "a transfer has failed");
        self.stop.send(()).expect("the worker waits for it");
        let rounds = self.worker.join().expect("no transfer has failed");
        assert!(rounds > 0, "nothing was transferred");
    }
}

fn round(streams: &mut [TcpStream], number: u64) {
    let started = Instant::now();
    let seed = |index: usize| number << 32 | u64::try_from(index).expect("a small number");
    for (index, stream) in streams.iter_mut().enumerate() {
        stream.write_all(&payload(seed(index), PIECE_BYTES)).expect("the pair takes it");
    }
    for (index, stream) in streams.iter_mut().enumerate() {
        let mut echoed = [0; PIECE_BYTES];
        stream.read_exact(&mut echoed).expect("the pair passes it on");
        assert!(echoed[..] == payload(seed(index), PIECE_BYTES), "other bytes than were sent");
    }
    assert!(started.elapsed() < ROUND_MAX, "held up for {:?}", started.elapsed());
}

fn end(mut stream: TcpStream) {
    stream.shutdown(Shutdown::Write).expect("the connection is established");
    assert_eq!(stream.read(&mut [0]).expect("a clean end"), 0, "nothing comes besides");
}
