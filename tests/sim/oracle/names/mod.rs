//! What the gateway may ask name servers, and what it may believe: which endpoints there are, told
//! from the answers that it has received alone.
//!
//! An answer that says that there is nothing may be kept back until the name's other family is
//! known, or another full name was tried. Until then both may be true, and nothing is demanded
//! that only one of them would.
//!
//! - `questions.rs`: what may be asked, and which sockets may be open for it
//! - `answers.rs`: what an answer changes in the books
//! - `belief.rs`: which endpoints there may be, and which there must be, by the books
//! - `set.rs`: the gateway's set of endpoints against that
//! - `due.rs`: when a name has to be asked for again
//! - `dead.rs`: names that no server answers for

mod answers;
mod belief;
mod dead;
mod due;
mod questions;
mod set;

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use etcd_gateway::config::HOSTS_BYTES_PER_TURN;

use self::dead::Dead;
use super::record::PerTurn;
use super::{Oracle, Seen, TICK};
use crate::names::Source;
use crate::world::World;
use crate::zone::Record;

const SECOND: Duration = Duration::from_secs(1);

/// What is known of one name.
#[derive(Debug, Default)]
pub(super) struct Book {
    /// Since when it has to be kept up to date, and from which turn on that can be seen.
    wanted_since: Option<(Duration, u64)>,
    /// Whether it could be listed when the last turn ended, or since when not.
    was_listed: bool,
    gone_at: Option<Duration>,
    asked_at: Duration,
    was_asked: bool,
    asked_by_stream: bool,
    pub(super) pages: [Page; 2],
    /// A wildcard may lead elsewhere.
    pub(super) has_stranger: bool,
}

impl Book {
    /// When the last answer came.
    pub(super) fn heard_at(&self) -> Duration {
        let answers = self.pages.iter().filter_map(|page| page.answered);
        answers.map(|answer| answer.at).max().unwrap_or_default()
    }
}

/// A question was answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    at: Duration,
    life: Duration,
    is_found: bool,
    /// It may have been passed over.
    is_doubtful: bool,
}

impl Answer {
    pub(super) fn new(at: Duration, life: Duration, is_found: bool) -> Answer {
        Answer { at, life, is_found, is_doubtful: false }
    }

    /// When it is no longer fresh.
    pub(super) fn ends(self) -> Duration {
        self.at + self.life
    }

    pub(super) fn doubted(self, is_doubtful: bool) -> Answer {
        Answer { is_doubtful, ..self }
    }
}

/// What the name itself was last heard to have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Own {
    #[default]
    Nothing,
    Something,
    /// Nothing, but in a look-up that may have been given up before it came to an end, or failed.
    Unsure,
}

/// What is known of one kind of record of a name.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// Questions of the last second.
    asked: VecDeque<Duration>,
    /// The answer to the last question.
    pub(super) answered: Option<Answer>,
    /// The last question was for another name than the host's own.
    is_behind: bool,
    /// An answer did not fit.
    pub(super) may_be_more: bool,
    /// For how long it may be believed that the name itself has none, whatever fails behind it.
    own_life: Duration,
    /// What was last heard of the name itself, as against those that it may stand for.
    pub(super) own: Own,
    /// Endpoints that it may name now, and those of them that it surely names.
    pub(super) may: BTreeSet<usize>,
    pub(super) sure: BTreeSet<usize>,
    /// Those that the name itself named last, if they may not count yet.
    pub(super) latest: Option<BTreeSet<usize>>,
}

/// The books of all names.
#[derive(Debug, Default)]
pub(super) struct NameBooks {
    /// One for each host, and one for each service.
    books: Vec<Book>,
    /// What each service may list now: one thing, or one and nothing.
    services: [Vec<Vec<Record>>; 2],
    /// The configuration that the gateway read last.
    configuration: Option<usize>,
    /// Bytes of /etc/hosts that were read.
    hosts_bytes: PerTurn,
    /// The last turn in which an answer changed something.
    flux_in: u64,
    /// The book and the page that each exchange is for.
    pages: Vec<Option<(usize, usize)>>,
    /// Exchanges that have got what they were for.
    over: Vec<usize>,
    /// Answers of this turn that did not fit, and were not asked for by stream so far.
    cut: usize,
    /// Questions so far, and the last few ids.
    questions: u64,
    ids: VecDeque<u16>,
    /// When a question last lacked a descriptor, and when a stream was last dialed, for whichever
    /// name.
    short_at: Option<Duration>,
    stream_at: Option<Duration>,
    /// When an answer came last that was not whole, and may be used in the end.
    part_at: Option<Duration>,
    /// Whether endpoints are there that nothing names for sure, or until when such may stay.
    is_kept: bool,
    kept_until: Duration,
    dead: Dead,
}

impl NameBooks {
    pub(super) fn new(names: &crate::names::Names) -> NameBooks {
        let hosts = names.hosts.len();
        let is_typed = names.source == Source::Typed;
        let mut all = NameBooks::default();
        for index in 0..hosts + 2 {
            let is_wanted = if index < hosts { is_typed } else { !is_typed };
            let wanted_since = is_wanted.then_some((Duration::ZERO, 1));
            all.books.push(Book { wanted_since, ..Book::default() });
        }
        all.services = [vec![Vec::new()], vec![Vec::new()]];
        for (book, host) in all.books.iter_mut().zip(&names.hosts) {
            book.has_stranger = host.stranger.is_some();
        }
        all.dead = Dead::new(names.dead);
        for (index, host) in names.hosts.iter().enumerate() {
            if host.is_in_file || host.is_literal {
                let own: BTreeSet<usize> = host.endpoints.iter().copied().collect();
                all.books[index].pages[0] = Page { may: own.clone(), sure: own, ..Page::default() };
            }
        }
        all
    }

    /// The gateway has read resolv.conf.
    fn configuration_is_read(&mut self, configuration: usize) {
        let before = self.configuration.replace(configuration);
        if before == Some(configuration) {
            return;
        }
        // What was under way begins anew.
        for page in self.books.iter_mut().flat_map(|book| &mut book.pages) {
            page.asked.clear();
            if before.is_some() && page.own == Own::Nothing {
                page.own = Own::Unsure;
            }
        }
    }
}

impl Oracle {
    fn names(&self) -> &NameBooks {
        self.names.as_ref().expect("a run with names")
    }

    fn names_mut(&mut self) -> &mut NameBooks {
        self.names.as_mut().expect("a run with names")
    }

    /// The gateway has read resolv.conf.
    pub fn configuration_is_read(&mut self, configuration: usize) {
        self.names_mut().configuration_is_read(configuration);
    }

    /// The gateway has read `bytes` of /etc/hosts; `is_anew`: it is another file by now.
    pub fn hosts_are_read(&mut self, world: &World, bytes: usize, is_anew: bool) {
        let turn = world.context.turns;
        let read = self.names_mut().hosts_bytes.add(turn, bytes as u64) as usize;
        assert!(read <= HOSTS_BYTES_PER_TURN, "{read} bytes of /etc/hosts in one turn");
        if read == HOSTS_BYTES_PER_TURN {
            self.books.saw(Seen::HostsReadInTurns);
        }
        if is_anew && bytes == 0 {
            self.books.saw(Seen::HostsReadAnew);
        }
    }
}
