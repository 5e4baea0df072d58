//! What the pure parts cost, each compared with the plainest way to do the same, in one run.
//!
//! Measures the timer wheel, the choice of an endpoint and the buffer pool; touches no socket.
//! Prints one Markdown table of nanoseconds per operation.
//!
//! ```text
//! cargo bench --bench micro                       the real sizes
//! cargo bench --bench micro -- pick timers=50000  rows that contain a word, one size of one's own
//! cargo bench --bench micro -- --smoke            tiny sizes: does it still work?
//! ```
//!
//! Both ways take turns, round by round, so that a noisy moment meets both; the median counts.
//! Without `--bench`, which cargo passes, it is a test and therefore a smoke run.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::hint::black_box;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use etcd_gateway::address::Address;
use etcd_gateway::config::{
    ABSENCE_MAX, ABSENT_MAX, BUFFER_BYTES, ENDPOINTS_MAX, LAST_RESORT_INTERVAL, RETRY_DELAY_MIN,
    SPARE_BUFFERS_MAX,
};
use etcd_gateway::reactor::wheel::{TimerKey, Wheel};
use etcd_gateway::relay::buffer::Pool;
use etcd_gateway::upstream::{Check, EndpointSet, EndpointSpec, RetryLimits};

fn main() {
    let bench = Bench::from_arguments();
    if bench.is_smoke {
        println!("smoke run: figures would mean nothing and are not shown");
    } else {
        println!("| operation | ns | the plain way | ns | ratio |");
        println!("|---|---:|---|---:|---:|");
    }
    wheel_arm(&bench);
    wheel_cancel(&bench);
    wheel_expire(&bench);
    pick(&bench, 3);
    pick(&bench, ENDPOINTS_MAX);
    pool_one(&bench, 128);
    pool_one(&bench, BUFFER_BYTES);
    pool_burst(&bench);
}

// ---------------------------------------------------------------------------------- the frame

/// What was asked for on the command line.
struct Bench {
    /// Runs every row once, and prints none.
    is_smoke: bool,
    /// `name=value` sets a parameter, any other word selects rows.
    words: Vec<String>,
}

/// Time spent on a number of operations.
struct Spent {
    time: Duration,
    operations: usize,
}

impl Bench {
    fn from_arguments() -> Bench {
        let (flags, words): (Vec<String>, Vec<String>) =
            std::env::args().skip(1).partition(|argument| argument.starts_with('-'));
        let has = |name: &str| flags.iter().any(|flag| flag == name);
        // Other flags are those of the standard test harness, which mean nothing here.
        Bench { is_smoke: has("--smoke") || !has("--bench"), words }
    }

    /// A size with its two defaults: one to see that it works, one to measure with.
    fn parameter(&self, name: &str, smoke: usize, real: usize) -> usize {
        let given = self.words.iter().filter_map(|word| word.split_once('='));
        let mut values = given.filter(|(key, _)| *key == name).map(|(_, value)| value);
        match values.next_back() {
            Some(value) => value.parse().unwrap_or_else(|_| panic!("{name}: no number: {value}")),
            None if self.is_smoke => smoke,
            None => real,
        }
    }

    fn is_selected(&self, row: &str) -> bool {
        let mut filters = self.words.iter().filter(|word| !word.contains('=')).peekable();
        filters.peek().is_none() || filters.any(|word| row.contains(word.as_str()))
    }

    /// Prints the row of our way and the plain one. Each call of a closure is one round.
    fn compare(
        &self,
        name: &str,
        mut ours: impl FnMut() -> Spent,
        plain_name: &str,
        mut plain: impl FnMut() -> Spent,
    ) {
        if !self.is_selected(name) {
            return;
        }
        let rounds = self.parameter("rounds", 1, 31);
        let mut figures = (Vec::new(), Vec::new());
        for _ in 0..rounds.max(1) {
            figures.0.push(ours().nanoseconds());
            figures.1.push(plain().nanoseconds());
        }
        let (ours, plain) = (median(figures.0), median(figures.1));
        if self.is_smoke {
            return;
        }
        println!("| {name} | {ours:.1} | {plain_name} | {plain:.1} | {:.2} |", ours / plain);
    }
}

impl Spent {
    fn on(operations: usize, work: impl FnOnce()) -> Spent {
        assert!(operations > 0, "nothing to measure");
        let start = Instant::now();
        work();
        Spent { time: start.elapsed(), operations }
    }

    fn nanoseconds(&self) -> f64 {
        self.time.as_nanos() as f64 / self.operations as f64
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Numbers that are the same in every run, so that two runs compare.
struct Xorshift(u64);

impl Xorshift {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

// ---------------------------------------------------------------------------------- the wheel

/// The deadlines of a crowd of connections: within half a minute, in no order.
struct Deadlines {
    start: Instant,
    all: Vec<Instant>,
    /// The order in which they are cancelled, as positions.
    shuffled: Vec<usize>,
}

impl Deadlines {
    fn new(bench: &Bench) -> Deadlines {
        let timers = bench.parameter("timers", 100, 10_000);
        let horizon = bench.parameter("horizon_ms", 100, 30_000);
        let mut random = Xorshift(42);
        let start = Instant::now();
        let deadline = |_| start + Duration::from_micros(random.below(horizon * 1000) as u64);
        let all: Vec<Instant> = (0..timers).map(deadline).collect();
        let mut shuffled: Vec<usize> = (0..timers).collect();
        for last in (1..timers).rev() {
            shuffled.swap(last, random.below(last + 1));
        }
        Deadlines { start, all, shuffled }
    }

    fn len(&self) -> usize {
        self.all.len()
    }

    /// The turns of a reactor that wakes up for every tick there is.
    fn ticks(&self) -> impl Iterator<Item = Instant> {
        let end = self.all.iter().max().copied().unwrap_or(self.start);
        let ticks = (end - self.start).as_millis() as u64 + 1;
        let start = self.start;
        (1..=ticks).map(move |tick| start + Duration::from_millis(tick))
    }

    fn arm_all(&self, wheel: &mut Wheel<u32>) -> Vec<TimerKey> {
        let armed = self.all.iter().enumerate();
        armed.map(|(value, deadline)| wheel.arm(*deadline, value as u32)).collect()
    }

    /// A fresh wheel whose memory has held as many timers before, as in a gateway that runs.
    fn used_wheel(&self) -> Wheel<u32> {
        let mut wheel = Wheel::new(self.start);
        self.arm_all(&mut wheel).into_iter().for_each(|key| assert!(wheel.cancel(key)));
        wheel
    }

    fn tree(&self) -> BTreeMap<(Instant, u32), u32> {
        self.all.iter().zip(0..).map(|(deadline, value)| ((*deadline, value), value)).collect()
    }
}

fn wheel_arm(bench: &Bench) {
    let deadlines = Deadlines::new(bench);
    let mut keys = Vec::with_capacity(deadlines.len());
    let ours = || {
        let mut wheel = deadlines.used_wheel();
        keys.clear();
        Spent::on(deadlines.len(), || {
            for (deadline, value) in deadlines.all.iter().zip(0..) {
                keys.push(wheel.arm(*deadline, value));
            }
        })
    };
    let tree = || {
        let mut tree = BTreeMap::new();
        Spent::on(deadlines.len(), || {
            for (deadline, value) in deadlines.all.iter().zip(0_u32..) {
                tree.insert((*deadline, value), value);
            }
        })
    };
    bench.compare("wheel: arm", ours, "insert into a BTreeMap", tree);
}

fn wheel_cancel(bench: &Bench) {
    let deadlines = Deadlines::new(bench);
    let ours = || {
        let mut wheel = deadlines.used_wheel();
        let keys = deadlines.arm_all(&mut wheel);
        Spent::on(deadlines.len(), || {
            for &position in &deadlines.shuffled {
                assert!(wheel.cancel(keys[position]));
            }
        })
    };
    let tree = || {
        let mut tree = deadlines.tree();
        Spent::on(deadlines.len(), || {
            for &position in &deadlines.shuffled {
                let removed = tree.remove(&(deadlines.all[position], position as u32));
                assert!(removed.is_some());
            }
        })
    };
    bench.compare("wheel: cancel", ours, "remove from a BTreeMap", tree);
}

/// Arming included for the heap as for the wheel: a heap sorts half on the way in.
fn wheel_expire(bench: &Bench) {
    let deadlines = Deadlines::new(bench);
    let ours = || {
        let mut wheel = deadlines.used_wheel();
        Spent::on(deadlines.len(), || {
            deadlines.arm_all(&mut wheel);
            for now in deadlines.ticks() {
                while let Some(fired) = wheel.expire(now) {
                    black_box(fired);
                }
            }
            assert!(wheel.is_empty());
        })
    };
    let heap = || {
        let mut heap = BinaryHeap::with_capacity(deadlines.len());
        Spent::on(deadlines.len(), || {
            heap.extend(deadlines.all.iter().zip(0_u32..).map(Reverse));
            for now in deadlines.ticks() {
                while heap.peek().is_some_and(|Reverse((deadline, _))| **deadline <= now) {
                    black_box(heap.pop());
                }
            }
            assert!(heap.is_empty());
        })
    };
    bench.compare("wheel: arm and expire", ours, "BinaryHeap, which cannot cancel", heap);
}

// ------------------------------------------------------------------------------- the endpoints

fn pick(bench: &Bench, endpoints: usize) {
    let picks = bench.parameter("picks", 100, 10_000);
    let address =
        |index: usize| Address::from((Ipv4Addr::LOCALHOST, 1000 + u16::try_from(index).unwrap()));
    let addresses: Vec<Address> = (0..endpoints).map(address).collect();
    let now = Instant::now();
    let mut set = EndpointSet::new(RetryLimits {
        delay_min: RETRY_DELAY_MIN,
        delay_max: Duration::from_secs(60),
        last_resort_interval: LAST_RESORT_INTERVAL,
        absence_max: ABSENCE_MAX,
        absent_max: ABSENT_MAX,
    });
    let spec = |address: &Address| EndpointSpec {
        address: address.clone(),
        priority: 0,
        weight: 1,
        check: Check::Connect,
        health_check: None,
    };
    set.reconcile(&addresses.iter().map(spec).collect::<Vec<_>>(), now);
    let ours = || {
        Spent::on(picks, || {
            for _ in 0..picks {
                let id = set.pick(black_box(&[]), now).expect("all are active");
                black_box(set.address(id));
            }
        })
    };
    let mut next = 0;
    let plain = || {
        Spent::on(picks, || {
            for _ in 0..picks {
                next = (next + 1) % black_box(&addresses).len();
                black_box(&addresses[next]);
            }
        })
    };
    bench.compare(&format!("pick: 1 of {endpoints}"), ours, "next = (next + 1) % length", plain);
}

// ------------------------------------------------------------------------------------ the pool

/// One remainder at a time: the buffer is there already.
fn pool_one(bench: &Bench, bytes: usize) {
    let loans = bench.parameter("loans", 100, 10_000);
    let remainder = vec![7; bytes];
    let mut pool = Pool::new(BUFFER_BYTES, SPARE_BUFFERS_MAX);
    let ours = || {
        Spent::on(loans, || {
            for _ in 0..loans {
                let buffer = pool.lend(black_box(&remainder)).expect("memory");
                pool.give_back(black_box(buffer));
            }
        })
    };
    let mut target = vec![0; bytes];
    let plain = || {
        Spent::on(loans, || {
            for _ in 0..loans {
                target.copy_from_slice(black_box(&remainder));
                black_box(&mut target);
            }
        })
    };
    bench.compare(&format!("pool: lend and give back, {bytes} B"), ours, "copy alone", plain);
}

/// Many slow readers at once: more buffers than the pool keeps spare.
fn pool_burst(bench: &Bench) {
    let burst = bench.parameter("burst", 4, 4 * SPARE_BUFFERS_MAX);
    let remainder = vec![7; 128];
    let mut pool = Pool::new(BUFFER_BYTES, SPARE_BUFFERS_MAX);
    let mut lent = Vec::with_capacity(burst);
    let ours = || {
        Spent::on(burst, || {
            lent.extend((0..burst).map(|_| pool.lend(black_box(&remainder)).expect("memory")));
            lent.drain(..).for_each(|buffer| pool.give_back(black_box(buffer)));
        })
    };
    let mut kept = Vec::with_capacity(burst);
    let plain = || {
        Spent::on(burst, || {
            for _ in 0..burst {
                let mut buffer = Vec::with_capacity(BUFFER_BYTES);
                buffer.extend_from_slice(black_box(&remainder));
                kept.push(black_box(buffer));
            }
            kept.clear();
        })
    };
    bench.compare(&format!("pool: {burst} lent at once, 128 B"), ours, "a Vec for each", plain);
}
