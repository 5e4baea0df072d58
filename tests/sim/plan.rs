//! What a run is like, drawn from its seed: limits of the gateway, endpoints, clients, network.

use std::time::Duration;

use etcd_gateway::config;
use etcd_gateway::config::address::{EndpointAddress, Host};
use etcd_gateway::config::health::{CloseOnFailure, CloseOnRemoval};
use etcd_gateway::discovery::Sources;
use etcd_gateway::net::NetError;
use etcd_gateway::reactor::Limits;
use etcd_gateway::relay;
use etcd_gateway::relay::flush::FlushInterval;
use etcd_gateway::relay::inactivity::InactivityLimits;
use etcd_gateway::relay::splice::SpliceLimits;
use etcd_gateway::upstream::{Check, CheckLimits, EndpointSpec, RetryLimits};

use crate::faults::{Fault, Faults};
use crate::followed::{Followed, Source};
use crate::guests::Visited;
use crate::members::Checked;
use crate::names::{Names, ip_of};
use crate::pipes::PAGE;
use crate::random::Random;

/// The port of the first listener; the next ones follow.
pub const LISTENER_PORT: u16 = 1000;
/// The port of the first endpoint; the next ones follow.
pub const ENDPOINT_PORT: u16 = 2000;

/// Of a byte, of a few bytes, of a network, of loopback, and as a network card joins them.
const SEGMENTS: &[u64] = &[1, 100, 1448, 1448, PAGE, 16_384, 65_536];

/// Runs of a thousand that find their endpoints by names.
const NAMED: u32 = 400;
/// Those of the others whose endpoints are checked.
const CHECKED: u32 = 500;
/// Those of what is left whose endpoints are named by etcd.
const FOLLOWED: u32 = 500;

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

#[derive(Clone, Debug)]
pub struct Plan {
    pub faults: Faults,
    pub limits: Limits,
    pub endpoints: Vec<EndpointSpec>,
    pub listeners: usize,
    /// Clients that come one by one.
    pub clients: u64,
    /// For how long they come, and things go wrong.
    pub span: Duration,
    /// Most sockets open at a time, listeners not counted; beyond that, EMFILE.
    pub descriptors_max: usize,
    /// When the process is asked to end while things go wrong.
    pub terminations: Vec<Duration>,
    pub latency_max: Duration,
    /// Few clients, with much to say.
    pub is_bulk: bool,
    /// Most bytes in a send or receive queue.
    pub queue_max: u64,
    /// Segments that a pipe takes.
    pub pipe_slots: u64,
    /// How large segments may be.
    pub segments: &'static [u64],
    /// The endpoints have ports that the kernel might choose for the gateway's end, too.
    pub dials_far_up: bool,
    /// The kernel does not splice.
    pub refuses_splice: bool,
    /// Readiness is told as Linux does it, and not as rarely as edge-triggering allows.
    pub is_linux: bool,
    /// How endpoints are found, if not by their addresses.
    pub names: Option<Names>,
    /// How endpoints are checked, if they are.
    pub checked: Option<Checked>,
    /// How etcd names the endpoints, if it does.
    pub followed: Option<Followed>,
    /// What the admin side is like, if there is one.
    pub visited: Option<Visited>,
    /// A port that cannot be listened on before that time, and why not.
    pub late_port: Option<(u16, NetError, Duration)>,
}

impl Plan {
    /// `servers` endpoints, two listeners, and nothing that goes wrong or happens by itself.
    pub fn calm(connections_max: usize, servers: usize) -> Plan {
        let second = 1000 * MILLISECOND;
        let inactivity = InactivityLimits { half_closed: Some(300 * second), open: None };
        Plan {
            faults: Faults::none(),
            limits: Limits {
                connections_max,
                pipes_max: config::PIPES_MAX,
                connect_timeout: second,
                prefers_leader: false,
                listen_retry: Duration::ZERO,
                drain_timeout: 10 * second,
                pair: relay::Limits {
                    inactivity,
                    flush: flush(),
                    splice: SpliceLimits {
                        after_reads: config::SPLICE_AFTER_READS,
                        bytes_min: config::SPLICE_BYTES_MIN,
                        small_max: config::SPLICES_SMALL_MAX,
                    },
                    deferred_options_after: second,
                },
                retry: RetryLimits {
                    delay_min: second,
                    delay_max: 60 * second,
                    last_resort_interval: second / 10,
                    absence_max: config::ABSENCE_MAX,
                    absent_max: config::ABSENT_MAX,
                },
                checks: CheckLimits::default(),
                check_timeout: SECOND,
                close_on_failure: CloseOnFailure::ByCheck,
                close_on_removal: CloseOnRemoval::Never,
                close_rate: 50,
                first_look: config::SILENCE_MIN,
            },
            endpoints: (0..servers).map(|index| spec(index, 0, 1)).collect(),
            listeners: 2,
            clients: 0,
            span: Duration::ZERO,
            descriptors_max: usize::MAX,
            terminations: Vec::new(),
            latency_max: Duration::ZERO,
            is_bulk: false,
            queue_max: u64::MAX,
            pipe_slots: 256,
            segments: &[PAGE],
            dials_far_up: false,
            refuses_splice: false,
            is_linux: true,
            names: None,
            checked: None,
            followed: None,
            visited: None,
            late_port: None,
        }
    }

    /// What the gateway is started with.
    pub fn sources(&self) -> Sources {
        match (&self.names, &self.checked) {
            (Some(names), _) => names.sources(&self.endpoints),
            (None, Some(checked)) => {
                Sources::default().with(self.typed()).checked(checked.policy())
            }
            (None, None) => match &self.followed {
                Some(followed) => followed.sources(self.typed()),
                None => Sources::default().with(self.typed()),
            },
        }
    }

    /// Whether the set of endpoints changes.
    pub fn finds_endpoints(&self) -> bool {
        self.names.is_some() || self.followed.is_some()
    }

    /// What a run with names is like.
    pub fn names(&self) -> &Names {
        self.names.as_ref().expect("a run with names")
    }

    /// The endpoints as they would be typed.
    fn typed(&self) -> Vec<EndpointAddress> {
        let typed = |spec: &EndpointSpec| EndpointAddress {
            scheme: None,
            host: Host::Address(ip_of(spec)),
            port: spec.address.port().expect("no endpoint is a path"),
            priority: spec.priority,
            weight: spec.weight,
        };
        let mut all: Vec<EndpointAddress> = self.endpoints.iter().map(typed).collect();
        if let Some(checked) = &self.checked {
            let numbered = all.into_iter().enumerate();
            all = numbered.map(|(endpoint, typed)| checked.typed(endpoint, typed)).collect();
        }
        all
    }

    /// Most bytes that anybody sends: through short queues they take long.
    pub fn sends_max(&self) -> u64 {
        self.queue_max.saturating_mul(100)
    }

    pub fn draw(random: &mut Random) -> Plan {
        let mut faults = Faults::swarm(random);
        let span = random.one_of(&[50, 300, 1000, 5000]) * MILLISECOND;
        let limits = limits(random);
        let is_bulk = random.chance(500);
        let has_few = faults.strike(Fault::DescriptorsFew, random);
        let few = random.one_of(&[2, 3, 4, 5, 8, 13]);
        let mut terminations = Vec::new();
        if faults.strike(Fault::Terminated, random) {
            terminations = (0..random.one_to(2)).map(|_| random.up_to(2 * span)).collect();
        }
        let mut plan = Plan {
            limits,
            endpoints: endpoints(random),
            listeners: random.one_of(&[1, 1, 2]),
            clients: random.one_of(if is_bulk { &[1, 3, 10] } else { &[1, 3, 10, 10, 30] }),
            span,
            descriptors_max: if has_few { few } else { usize::MAX },
            terminations,
            latency_max: Duration::from_micros(random.one_of(&[0, 50, 1000, 20_000])),
            is_bulk,
            queue_max: random.one_of(if is_bulk {
                &[200_000, 1_000_000, 3_000_000]
            } else {
                &[1, 500, 10_000, 100_000, 100_000, 1_000_000]
            }),
            pipe_slots: random.one_of(&[1, 16, 16, 256, 256]),
            segments: random.one_of(&[&[1], &[1448], &[65_536], SEGMENTS, SEGMENTS]),
            dials_far_up: random.chance(500),
            refuses_splice: faults.strike(Fault::SpliceRefused, random),
            is_linux: random.chance(250),
            names: None,
            checked: None,
            followed: None,
            visited: None,
            late_port: None,
            faults,
        };
        // By a source of its own, so that runs without names stay what they are.
        let mut fork = random.fork();
        if fork.chance(NAMED) {
            plan.find_by_names(&mut fork);
        } else if fork.chance(CHECKED) {
            plan.check_endpoints(&mut fork);
        } else if fork.chance(FOLLOWED) {
            plan.follow_etcd(&mut fork);
        }
        // By another one, so that runs without an admin side stay what they are.
        let mut fork = random.fork().fork();
        plan.visited = Visited::draw(&mut fork, &mut plan.faults);
        if plan.names.is_some() {
            // Files of the host are read in turns, which the oracle expects to take no time.
            plan.faults.never(Fault::ClockCreeps);
        }
        plan
    }

    /// The endpoints come by names, and there is time for that to matter.
    fn find_by_names(&mut self, random: &mut Random) {
        let mut names = Names::draw(random);
        if self.descriptors_max < usize::MAX {
            // They would take all there are.
            names.dead = 0;
        }
        if names.dead > 0 {
            // A process that was stopped for long takes all for dead.
            self.faults.never(Fault::ClockJumps);
        }
        self.endpoints = names.specs(random, 300);
        self.faults.swarm_names(random);
        self.span = Duration::from_secs(random.one_of(&[1, 5, 5, 20]));
        for at in &mut self.terminations {
            *at = random.up_to(2 * self.span);
        }
        self.names = Some(names);
    }

    /// Etcd names the endpoints, and there is time for that to matter.
    fn follow_etcd(&mut self, random: &mut Random) {
        self.faults.swarm_followed(random);
        self.span = Duration::from_secs(random.one_of(&[1, 5, 5, 20]));
        for at in &mut self.terminations {
            *at = random.up_to(2 * self.span);
        }
        if self.descriptors_max < usize::MAX {
            self.descriptors_max += 2;
        }
        let followed = Followed::draw(self.endpoints.len(), random);
        if followed.source == Source::Members {
            // A process that was stopped for long takes an older list for one of a backup.
            self.faults.never(Fault::ClockJumps);
        }
        self.followed = Some(followed);
    }

    /// The endpoints are checked, and there is time for that to matter.
    fn check_endpoints(&mut self, random: &mut Random) {
        self.faults.swarm_checks(random);
        self.span = Duration::from_secs(random.one_of(&[1, 2, 5, 20]));
        for at in &mut self.terminations {
            *at = random.up_to(2 * self.span);
        }
        if self.descriptors_max < usize::MAX {
            self.descriptors_max += self.endpoints.len();
        }
        let zero = Duration::ZERO;
        let limits = &mut self.limits;
        limits.checks = CheckLimits {
            interval: random.one_of(&[50, 200, 1000, 5000]) * MILLISECOND,
            spacing: random.one_of(&[10, 50, 100, 100]) * MILLISECOND,
            rise: random.one_to(3) as u32,
            fall: random.one_to(3) as u32,
        };
        limits.check_timeout = random.one_of(&[5, 50, 200, 1000]) * MILLISECOND;
        limits.close_on_failure = random.one_of(&[
            CloseOnFailure::ByCheck,
            CloseOnFailure::ByCheck,
            CloseOnFailure::Never,
            CloseOnFailure::After(zero),
            CloseOnFailure::After(300 * MILLISECOND),
        ]);
        limits.close_rate = random.one_of(&[5, 50, 50, 1000]);
        limits.first_look = random.one_of(&[100, 200, 300]) * MILLISECOND;
        self.checked = Some(Checked::draw(self.endpoints.len(), random));
    }
}

fn flush() -> FlushInterval {
    FlushInterval { min: config::FLUSH_CHECK_MIN, max: config::FLUSH_CHECK_MAX }
}

fn limits(random: &mut Random) -> Limits {
    let limit = |random: &mut Random, choices: &[u32]| {
        let limit = random.one_of(choices);
        (limit > 0).then_some(limit * MILLISECOND)
    };
    let delay_min = random.one_of(&[10, 100, 1000]) * MILLISECOND;
    Limits {
        connections_max: random.one_of(&[1, 2, 5, 20, 100]),
        pipes_max: random.one_of(&[0, 1, 2, 10, 32, 32]),
        prefers_leader: false,
        connect_timeout: random.one_of(&[5, 50, 200, 1000]) * MILLISECOND,
        listen_retry: Duration::ZERO,
        drain_timeout: random.one_of(&[0, 100, 2000, 2000]) * MILLISECOND,
        pair: relay::Limits {
            inactivity: InactivityLimits {
                half_closed: limit(random, &[0, 0, 8, 50, 400, 3000]),
                open: limit(random, &[0, 0, 0, 0, 20, 150, 1000]),
            },
            flush: flush(),
            splice: SpliceLimits {
                after_reads: random.one_of(&[1, 1, 2, 3]),
                bytes_min: random.one_of(&[1000, 5000, 16_384, config::SPLICE_BYTES_MIN]),
                small_max: random.one_of(&[1, 1, 2, 4]),
            },
            deferred_options_after: random.one_of(&[0, 1, 20, 200, 1000]) * MILLISECOND,
        },
        retry: RetryLimits {
            delay_min,
            // The last one is below the shortest, and then the only one there is.
            delay_max: random.one_of(&[10, 10, 30, 80, 5]) * delay_min / 10,
            last_resort_interval: random.one_of(&[10, 100]) * MILLISECOND,
            absence_max: random.one_of(&[config::ABSENCE_MAX, config::ABSENCE_MAX, 2 * SECOND]),
            absent_max: config::ABSENT_MAX,
        },
        checks: CheckLimits::default(),
        check_timeout: SECOND,
        close_on_failure: CloseOnFailure::ByCheck,
        close_on_removal: CloseOnRemoval::Never,
        close_rate: 50,
        first_look: config::SILENCE_MIN,
    }
}

fn endpoints(random: &mut Random) -> Vec<EndpointSpec> {
    let count = random.one_to(5) as usize;
    let priorities: &[u16] = random.one_of(&[&[0], &[0, 1], &[0, 0, 0, 1], &[2, 5, 7]]);
    let weights: &[u16] = random.one_of(&[&[1], &[1], &[1, 2, 3], &[0, 1, 10], &[0]]);
    let mut draw = |index| spec(index, random.one_of(priorities), random.one_of(weights));
    (0..count).map(&mut draw).collect()
}

fn spec(index: usize, priority: u16, weight: u16) -> EndpointSpec {
    let address = ([192, 0, 2, 2], ENDPOINT_PORT + index as u16).into();
    EndpointSpec { address, priority, weight, check: Check::Connect, health_check: None }
}
