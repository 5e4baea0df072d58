//! What the name servers of a run are like all the time: no fault that heals, and nothing that the
//! gateway may take for one.

use std::time::Duration;

use crate::message::OptRecord;
use crate::names::{Configuration, DOMAIN};
use crate::random::Random;
use crate::zone::{A, AAAA};

/// What a server makes of a question that has an OPT record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edns {
    /// The answer, and an OPT record with it.
    Known,
    /// Nothing comes.
    Silent,
    /// A format error, and nothing but a header.
    BareFormatError,
    /// This code.
    Fails(u8),
    /// An answer whose OPT record is not what it has to be.
    Misused(OptRecord),
    /// The answer, and bytes that belong to nothing behind it.
    Trailing,
}

const EDNS: [Edns; 10] = [
    Edns::Known,
    Edns::Silent,
    Edns::BareFormatError,
    Edns::Fails(1),
    Edns::Fails(2),
    Edns::Fails(4),
    Edns::Misused(OptRecord::Misplaced),
    Edns::Misused(OptRecord::Doubled),
    Edns::Misused(OptRecord::Owned),
    Edns::Trailing,
];

/// How answers come in one datagram without EDNS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    Enough,
    /// Those with records are cut, and say so.
    Cut,
    /// Those with records are cut, and do not say so.
    CutInSilence,
}

/// The treatment of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Streams {
    Taken,
    Refused,
    Dropped,
}

/// What one server is like.
#[derive(Clone, Copy, Debug)]
pub struct Server {
    pub edns: Edns,
    pub room: Room,
    pub streams: Streams,
    /// What it adds to an answer without being asked.
    pub adds: OptRecord,
}

/// What they have in common: what lies behind them.
#[derive(Clone, Debug)]
pub struct Habits {
    pub servers: Vec<Server>,
    /// Suffixes of the search list whose names get no answer.
    pub silent_zones: Vec<&'static str>,
    /// The family of addresses for which no server answers.
    pub silent_family: Option<u16>,
    /// How late every answer is.
    pub lateness: Duration,
}

impl Habits {
    /// The best ones.
    pub fn calm() -> Habits {
        let server = Server {
            edns: Edns::Known,
            room: Room::Enough,
            streams: Streams::Taken,
            adds: OptRecord::None,
        };
        Habits {
            servers: vec![server; 3],
            silent_zones: Vec::new(),
            silent_family: None,
            lateness: Duration::ZERO,
        }
    }

    /// With these, everything can still be found out under each configuration.
    pub fn draw(configurations: &[Configuration], random: &mut Random) -> Habits {
        let mut habits = Habits::calm();
        let is_stream_only = configurations.iter().any(|file| file.is_stream_only);
        for server in &mut habits.servers {
            server.edns = random.one_of(&EDNS);
            server.room =
                random.one_of(&[Room::Enough, Room::Enough, Room::Cut, Room::CutInSilence]);
            if !is_stream_only {
                server.streams =
                    random.one_of(&[Streams::Taken, Streams::Refused, Streams::Dropped]);
            }
            if server.streams != Streams::Taken && server.room != Room::Enough {
                server.edns = random.one_of(&[Edns::Known, Edns::Trailing]);
            }
            server.adds = random.one_of(&[
                OptRecord::None,
                OptRecord::None,
                OptRecord::None,
                OptRecord::Proper,
                OptRecord::Misplaced,
                OptRecord::Doubled,
                OptRecord::Owned,
                OptRecord::BadVersion,
            ]);
        }
        if random.chance(200) {
            let zones = ["other.test", "a.test", "b.test"];
            habits.silent_zones = zones.into_iter().filter(|_| random.chance(700)).collect();
            assert!(!habits.silent_zones.contains(&DOMAIN));
        }
        if random.chance(200) {
            habits.silent_family = Some(random.one_of(&[A, AAAA]));
        }
        habits.lateness = habits.draw_lateness(configurations, random);
        habits
    }

    /// So late that it is heard in time, whatever else takes time.
    fn draw_lateness(&self, configurations: &[Configuration], random: &mut Random) -> Duration {
        let lateness = Duration::from_millis(random.one_of(&[0, 0, 0, 700, 2500, 4500]));
        let times = configurations.iter().map(Configuration::time_in_all);
        let least = times.min().expect("there are three");
        let is_plain = self.servers.iter().all(|server| server.room == Room::Enough);
        let is_heard = lateness * 2 <= least.max(lateness) && lateness < least;
        if is_heard && is_plain && self.silent_zones.is_empty() { lateness } else { Duration::ZERO }
    }

    /// Whether no server answers for a name, or for such records.
    pub fn is_silent_about(&self, name: &str, kind: u16) -> bool {
        let is_in = self.silent_zones.iter().any(|zone| name.ends_with(&format!(".{zone}")));
        self.silent_family == Some(kind) || is_in
    }

    /// How much longer it may take to find out what is so.
    pub fn slowness(&self, configurations: &[Configuration]) -> Duration {
        let names =
            configurations.iter().map(|file| 1 + file.search.len() as u32).max().unwrap_or(1);
        let each = match self.silent_zones.is_empty() {
            true => Duration::from_secs(3) + self.lateness,
            false => Duration::from_secs(10),
        };
        // One look-up that is under way, and one that begins then, for records and for hosts.
        4 * names * each
    }
}
