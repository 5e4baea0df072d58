//! An answer to GET /metrics, in pieces.
//!
//! Owns the order of families, and that no series comes twice, whatever comes and goes between
//! pieces: both formats require that a family comes in one stretch, and each series once.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, DefaultHasher, Hasher};

use super::endpoints::{EndpointFamily, FAMILIES, VALUES_MAX, are_one_series, set_labels};
use super::process::PARTS;
use super::text::{Exposition, Family, Format, Kind, Labels, Seconds, seconds};
use crate::config::ADMIN_PIECE_BYTES;
use crate::observe::facts::{EndpointFacts, Facts, NameFacts, Snapshot};

const NAME_AGE: Family = seconds(
    Kind::Gauge,
    "etcd_gateway_name_age_seconds",
    "Age of the last answer that is in use; a name without one is missing.",
);

/// One answer. Keeps eight bytes and a few for each series of the family that it is at.
pub struct MetricsRendering {
    format: Format,
    next: Next,
    /// Series of the present family that were written.
    written: Series,
    /// Series that several endpoints share. They are rare: endpoints that were removed one after
    /// another, with the same address and all with running connections.
    shared: Series,
    labels: Labels,
}

/// What is written next.
#[derive(Clone, Copy)]
enum Next {
    /// The part of the process with this index.
    Process(usize),
    /// The header of the family with this index.
    Endpoints(usize),
    /// Of the family with this index, the endpoint with this place, or with the next one.
    Endpoint(usize, usize),
    /// The header of the family of names.
    Names,
    /// The name with this place, or with the next one.
    Name(usize),
    /// What comes after all families.
    End,
}

impl MetricsRendering {
    /// An answer in this format, at its beginning.
    pub fn new(format: Format) -> MetricsRendering {
        MetricsRendering {
            format,
            next: Next::Process(0),
            written: Series::default(),
            shared: Series::default(),
            labels: Labels::default(),
        }
    }

    /// Appends the next piece, and returns whether it is the last one, which may be empty. It ends
    /// as soon as it has [`ADMIN_PIECE_BYTES`]: it is longer by less than the longest part of the
    /// process (a few KiB, and 100 bytes for each listener) or the lines of one endpoint in one
    /// family (two KiB, and ten times its labels). `snapshot` is the same one each time.
    pub fn next(&mut self, snapshot: &Snapshot, facts: &dyn Facts, out: &mut Vec<u8>) -> bool {
        let mut to = Exposition { format: self.format, out };
        let end = to.out.len() + ADMIN_PIECE_BYTES;
        while to.out.len() < end {
            self.next = match self.next {
                Next::Process(index) => match PARTS.get(index) {
                    Some(part) => {
                        part(&mut to, snapshot);
                        Next::Process(index + 1)
                    }
                    None => Next::Endpoints(0),
                },
                Next::Endpoints(index) => match FAMILIES.get(index) {
                    Some(of) => {
                        self.begin(&mut to, &of.family);
                        Next::Endpoint(index, 0)
                    }
                    None => Next::Names,
                },
                Next::Endpoint(index, place) => match facts.endpoint(place) {
                    Some((place, endpoint)) => {
                        self.endpoint(&mut to, &FAMILIES[index], facts, (place, &endpoint));
                        Next::Endpoint(index, place + 1)
                    }
                    None => Next::Endpoints(index + 1),
                },
                Next::Names => {
                    self.begin(&mut to, &NAME_AGE);
                    Next::Name(0)
                }
                Next::Name(place) => match facts.name(place) {
                    Some((place, name)) => {
                        self.name(&mut to, &name);
                        Next::Name(place + 1)
                    }
                    None => Next::End,
                },
                Next::End => {
                    to.end();
                    return true;
                }
            };
        }
        false
    }

    fn begin(&mut self, to: &mut Exposition, family: &Family) {
        self.written.clear();
        to.header(family);
    }

    /// Writes the lines of one endpoint, unless its series were written in this family.
    fn endpoint(
        &mut self,
        to: &mut Exposition,
        of: &EndpointFamily,
        facts: &dyn Facts,
        (place, endpoint): (usize, &EndpointFacts),
    ) {
        set_labels(&mut self.labels, endpoint);
        let series = number_of(&self.labels);
        if !self.written.insert(series) {
            // The first family shows each as 0. All later ones know it.
            self.shared.insert(series);
            return;
        }
        let is_summed = of.is_summed && self.shared.contains(&series);
        let numbers = match is_summed {
            true => sums(of, facts, place),
            false => of.numbers(endpoint),
        };
        let length = self.labels.as_str().len();
        for (value, number) in of.values.iter().zip(numbers) {
            if !of.label.is_empty() {
                self.labels.truncate(length);
                self.labels.add(of.label, value);
            }
            to.sample(&of.family, self.labels.as_str(), number);
        }
    }

    fn name(&mut self, to: &mut Exposition, facts: &NameFacts) {
        let Some(age) = facts.age else { return };
        self.labels.clear();
        self.labels.add("name", facts.name);
        if self.written.insert(number_of(&self.labels)) {
            to.sample(&NAME_AGE, self.labels.as_str(), Seconds(age));
        }
    }
}

/// The numbers of the endpoint with this place and of all behind it in its series, added up.
fn sums(of: &EndpointFamily, facts: &dyn Facts, place: usize) -> [u64; VALUES_MAX] {
    let mut sums = [0; VALUES_MAX];
    let Some((mut place, endpoint)) = facts.endpoint(place) else { return sums };
    let mut other = endpoint;
    loop {
        if are_one_series(&endpoint, &other) {
            for (sum, number) in sums.iter_mut().zip(of.numbers(&other)) {
                *sum = u64::saturating_add(*sum, number);
            }
        }
        match facts.endpoint(place + 1) {
            Some(behind) => (place, other) = behind,
            None => return sums,
        }
    }
}

/// Series by a hash of their labels, which no other one has but by a chance of one in 2^64: that
/// would hide one series of an answer.
type Series = HashSet<u64, BuildHasherDefault<DefaultHasher>>;

fn number_of(labels: &Labels) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(labels.as_str().as_bytes());
    hasher.finish()
}
