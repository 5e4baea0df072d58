//! The last five minutes of one endpoint, a sample a second, in memory that does not grow. Pure.

use crate::config::HISTORY_SAMPLES;

/// One second of an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Connections that were established at its end.
    pub connections: u32,
    /// Payload that was delivered in it, both ways together, bytes; of connections that go on,
    /// what was noticed in it.
    pub bytes: u64,
}

/// Samples, the oldest of which make room for new ones.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// A ring: the oldest sample is at `next` once it is full. Has memory from the first sample on.
    samples: Vec<Sample>,
    next: usize,
    count: usize,
}

impl History {
    /// Adds a sample, in place of the oldest one where there are [`HISTORY_SAMPLES`].
    pub fn push(&mut self, sample: Sample) {
        self.samples.resize(HISTORY_SAMPLES, Sample::default());
        self.samples[self.next] = sample;
        self.next = (self.next + 1) % self.samples.len();
        self.count = (self.count + 1).min(self.samples.len());
    }

    /// The samples, the oldest one first; at most [`HISTORY_SAMPLES`].
    pub fn samples(&self) -> impl Iterator<Item = Sample> + Clone {
        let (latest, oldest) = self.samples.split_at(self.next);
        let all = oldest.iter().chain(latest).copied();
        all.skip(self.samples.len() - self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_samples_make_room() {
        let mut history = History::default();
        assert_eq!(history.samples().count(), 0);
        for connections in 0..HISTORY_SAMPLES as u32 + 7 {
            history.push(Sample { connections, bytes: 1 });
            let kept: Vec<u32> = history.samples().map(|sample| sample.connections).collect();
            let first = (connections + 1).saturating_sub(HISTORY_SAMPLES as u32);
            assert_eq!(kept, (first..=connections).collect::<Vec<_>>());
        }
    }
}
