//! How long turns of the gateway took between two looks at its metrics.

use std::net::SocketAddr;

use super::watcher;

const BUCKET: &str = "etcd_gateway_turn_duration_seconds_bucket{le=\"";
/// The bound that turns are meant to keep, as its bucket calls it.
const WANTED: &str = "0.001";

/// Turns since the start of the gateway.
#[derive(Clone, Debug, Default)]
pub struct Turns {
    /// Upper bounds in seconds, in words, and how many turns took at most that.
    buckets: Vec<(String, u64)>,
}

impl Turns {
    /// Those that the metrics at this address tell of.
    pub fn read(address: SocketAddr) -> Turns {
        let text = watcher::metrics(address);
        let buckets = text.lines().filter_map(|line| {
            let (bound, count) = line.strip_prefix(BUCKET)?.split_once("\"} ")?;
            Some((bound.to_owned(), count.parse().expect("a number of turns")))
        });
        Turns { buckets: buckets.collect() }
    }

    /// Those that came after an earlier look.
    pub fn since(mut self, earlier: &Turns) -> Turns {
        assert_eq!(self.buckets.len(), earlier.buckets.len(), "buckets stay what they are");
        for ((_, count), (_, before)) in self.buckets.iter_mut().zip(&earlier.buckets) {
            *count -= before;
        }
        self
    }

    /// Adds those of another round.
    pub fn add(&mut self, other: &Turns) {
        if self.buckets.is_empty() {
            self.buckets.clone_from(&other.buckets);
            return;
        }
        for ((_, count), (_, more)) in self.buckets.iter_mut().zip(&other.buckets) {
            *count += more;
        }
    }

    /// All turns that were measured.
    pub fn count(&self) -> u64 {
        self.buckets.last().map_or(0, |(_, count)| *count)
    }

    /// Those above a millisecond.
    pub fn too_long(&self) -> u64 {
        let within = self.buckets.iter().find(|(bound, _)| bound == WANTED);
        self.count() - within.map_or(0, |(_, count)| *count)
    }

    /// The lowest bound that all turns keep, in words.
    pub fn bound(&self) -> &str {
        let all = self.count();
        let found = self.buckets.iter().find(|(_, count)| *count == all);
        found.map_or("", |(bound, _)| bound)
    }
}
