//! The name servers of a run, as far as they can be trusted: who answers, when, with what, and
//! what somebody else, or a bad network, makes of it.

use std::net::IpAddr;
use std::time::Duration;

use etcd_gateway::config::HOSTS_READS_MAX;
use etcd_gateway::net::{FileVersion, NetError, ResolverFile};

use crate::agenda::Happening;
use crate::exchange::{Letter, Meaning};
use crate::faults::Fault;
use crate::habits::{Edns, Room, Server};
use crate::message::{Damage, Data, Line, OptRecord, Question, Reply};
use crate::names::Names;
use crate::oracle::Seen;
use crate::trouble::is_dead;
use crate::world::World;
use crate::zone::{A, AAAA, Found, Value, Zone};

/// Addresses that nobody has: whoever dials one has believed a lie.
const POISON: [[u8; 4]; 2] = [[203, 0, 113, 9], [203, 0, 113, 10]];
/// A host that only lies name.
const POISON_HOST: &str = "poison.test";
/// More messages than a question is open to.
const FLOOD: u64 = 40;

/// So often /etc/hosts may change in a run: after more than that in a row a part of it is believed.
const HOSTS_VERSIONS: u64 = HOSTS_READS_MAX as u64 - 1;

/// A file of the host that the gateway reads.
pub struct SimFile {
    file: ResolverFile,
    at: usize,
    /// What it said when it was opened, of one that is replaced and not rewritten.
    text: Vec<u8>,
    /// Which /etc/hosts it was when it was opened.
    version: u64,
}

/// How a name server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerPlace {
    Up,
    Silent,
    /// Its host answers that nobody is there.
    Refuses,
}

impl World {
    pub fn names(&self) -> &Names {
        self.context.plan.names.as_ref().expect("a run with names")
    }

    /// A question arrives at its server.
    pub fn ask(&mut self, exchange: usize) {
        let it = &self.exchanges[exchange];
        let server = it.server;
        let question = it.question.clone().expect("it was sent");
        if is_dead(&question.name) {
            return;
        }
        match self.servers[server] {
            ServerPlace::Silent => return,
            ServerPlace::Refuses => {
                let bytes = Err(NetError::Refused);
                let letter = Letter { exchange, bytes, meaning: Meaning::Failed };
                return self.post(letter, false);
            }
            ServerPlace::Up => {}
        }
        if self.names().habits.is_silent_about(&question.name, question.kind) {
            return;
        }
        if self.context.strike(Fault::AnswerForged) {
            let count = self.context.random.one_of(&[1, 1, 2, FLOOD]);
            (0..count).for_each(|_| self.forge(exchange, &question));
        }
        let Some(letter) = self.answer(exchange, server, &question) else { return };
        if self.context.strike(Fault::AnswerLost) {
            return;
        }
        let is_late = self.context.strike(Fault::AnswerLate);
        if self.context.strike(Fault::AnswerTwice) {
            self.post(letter.clone(), is_late);
        }
        self.post(letter, is_late);
    }

    /// Somebody guesses, and has the right address and port.
    fn forge(&mut self, exchange: usize, question: &Question) {
        let Question { id, name, kind, .. } = question.clone();
        let other = self.exchanges.iter().rev().filter_map(|it| it.question.clone());
        let other = other.take(10).find(|it| (&it.name, it.kind) != (&name, kind));
        let mut reply = self.poisoned(question);
        match self.context.random.below(4) {
            0 => reply.id ^= self.context.random.one_to(0xffff) as u16,
            1 => reply.question = Some((format!("x{name}"), kind)),
            2 => reply.question = Some((name, if kind == A { AAAA } else { A })),
            // The right answer's id for another question.
            _ => match other {
                Some(other) => {
                    reply = self.poisoned(&other);
                    reply.id = id;
                }
                None => reply.question = Some((POISON_HOST.to_owned(), kind)),
            },
        }
        let bytes = Ok(reply.write());
        self.post(Letter { exchange, bytes, meaning: Meaning::Foreign }, false);
    }

    /// An answer of lies.
    fn poisoned(&self, question: &Question) -> Reply {
        let data = |poison: [u8; 4]| match question.kind {
            A => Data::Address(IpAddr::from(poison)),
            AAAA => {
                let [.., last] = poison;
                let segments = [0x2001, 0xdb8, 0xbad, 0, 0, 0, 0, u16::from(last)];
                Data::Address(IpAddr::from(segments))
            }
            _ => {
                let target = POISON_HOST.to_owned();
                Data::Service { priority: 0, weight: 100, port: u16::from(poison[3]), target }
            }
        };
        let owner = question.name.clone();
        let line = |poison| Line { owner: owner.clone(), life: 1000, data: data(poison) };
        Reply {
            id: question.id,
            code: 0,
            is_cut: false,
            question: Some((question.spelled.clone(), question.kind)),
            lines: POISON.map(line).to_vec(),
            negative: None,
            options: if question.has_edns { OptRecord::Proper } else { OptRecord::None },
        }
    }

    /// What the server answers, if it answers.
    fn answer(&mut self, exchange: usize, server: usize, question: &Question) -> Option<Letter> {
        let letter = |reply: Reply, meaning| Letter { exchange, bytes: Ok(reply.write()), meaning };
        if self.context.strike(Fault::ServerFails) {
            let code = self.context.random.one_of(&[1, 2, 2, 4, 5, 9]);
            return Some(letter(Reply { code, ..self.bare(question) }, Meaning::Failed));
        }
        let Server { edns, adds, .. } = self.names().habits.servers[server];
        let bare = self.bare(question);
        let failed = |reply| Some(letter(reply, Meaning::Failed));
        match edns {
            _ if !question.has_edns => {}
            Edns::Known | Edns::Trailing => {}
            Edns::Silent => return None,
            Edns::BareFormatError => return failed(Reply { code: 1, question: None, ..bare }),
            Edns::Fails(code) => return failed(Reply { code, ..bare }),
            Edns::Misused(options) => {
                return failed(Reply { options, ..self.poisoned(question) });
            }
        }
        let mut answer = self.answer_in_words(exchange, server, question, adds);
        let is_whole = !matches!(answer.meaning, Meaning::Part { .. });
        if let (Ok(bytes), Edns::Trailing, true) = (&mut answer.bytes, edns, is_whole) {
            bytes.extend(b"more");
        }
        Some(answer)
    }

    /// What a server answers that knows what it was asked with.
    fn answer_in_words(
        &mut self,
        exchange: usize,
        server: usize,
        question: &Question,
        adds: OptRecord,
    ) -> Letter {
        let letter = |reply: Reply, meaning| Letter { exchange, bytes: Ok(reply.write()), meaning };
        let is_stream = self.exchanges[exchange].stream.is_some();
        if self.context.strike(Fault::AnswerCut) && (!is_stream || self.context.random.chance(300))
        {
            let mut reply = self.poisoned(question);
            let kept = self.context.random.below(3) as usize;
            reply.lines.truncate(kept);
            let meaning = if is_stream { Meaning::Failed } else { Meaning::Cut };
            return letter(Reply { is_cut: true, ..reply }, meaning);
        }
        let (mut reply, meaning) = self.genuine(question);
        if !question.has_edns {
            reply.options = adds;
        }
        let has_records = matches!(meaning, Meaning::Answer { .. });
        let is_small = has_records && !is_stream && !question.has_edns;
        let room = self.names().habits.servers[server].room;
        let part = match &meaning {
            Meaning::Answer { kind, value, .. } => {
                Meaning::Part { kind: *kind, value: value.clone() }
            }
            _ => Meaning::Part { kind: question.kind, value: Value::Records(Vec::new()) },
        };
        if is_small && room == Room::Cut {
            let lines = self.poisoned(question).lines;
            return letter(Reply { is_cut: true, lines, ..reply }, Meaning::Cut);
        }
        let is_damaged = self.context.strike(Fault::AnswerDamaged);
        let is_short = is_damaged && self.context.random.chance(300);
        if is_small && room == Room::CutInSilence || is_short {
            let bytes = Ok(reply.shortened(&mut self.context.random));
            return Letter { exchange, bytes, meaning: part };
        }
        if is_damaged {
            let mut spoiled = reply;
            // What can be read of it is wrong, too.
            if !spoiled.lines.is_empty() {
                spoiled.lines = self.poisoned(question).lines;
            }
            let (bytes, damage) = spoiled.spoiled(&mut self.context.random);
            let meaning = match damage {
                Damage::Foreign => Meaning::Foreign,
                Damage::Malformed => Meaning::Failed,
                Damage::Incomplete => part,
            };
            return Letter { exchange, bytes: Ok(bytes), meaning };
        }
        letter(reply, meaning)
    }

    fn bare(&self, question: &Question) -> Reply {
        Reply { lines: Vec::new(), ..self.poisoned(question) }
    }

    /// The truth of this moment.
    fn genuine(&mut self, question: &Question) -> (Reply, Meaning) {
        let life = self.draw_life();
        let families: Vec<bool> =
            self.context.plan.endpoints.iter().map(|spec| spec.address.is_ipv6()).collect();
        let names = self.context.plan.names.as_ref().expect("a run with names");
        let subject = Zone::subject_of(names, &question.name);
        let found = self.zone.find(names, &question.name, question.kind, &families, life);
        let Found { way, is_part, exists, value, life } = found;
        let mut value = self.in_part(value);
        let mut lines = Vec::new();
        for link in way.windows(2) {
            let data = Data::Alias(link[1].clone());
            lines.push(Line { owner: link[0].clone(), life, data });
        }
        let owner = way.last().expect("the name itself at least").clone();
        let before = lines.len();
        if !is_part {
            let mut data = self.data_of(&value);
            if let Some((blocked, is_instead)) = self.blocked(question.kind).filter(|_| exists) {
                if is_instead {
                    (value, data) = (Value::Endpoints(Vec::new()), Vec::new());
                }
                data.extend(blocked);
            }
            // Servers shuffle.
            if data.len() > 1 && self.context.random.chance(500) {
                data.reverse();
            }
            let line = |data| Line { owner: owner.clone(), life, data };
            lines.extend(data.into_iter().map(line));
        }
        let (kind, lived) = (question.kind, Duration::from_secs(u64::from(life)));
        let has_records = lines.len() > before;
        let meaning = if is_part {
            Meaning::Alias
        } else if has_records {
            Meaning::Answer { subject, kind, value, life: lived }
        } else {
            Meaning::Nothing { subject, kind, life: lived }
        };
        let negative = (!is_part && !has_records).then_some(life);
        let code = if exists { 0 } else { 3 };
        (Reply { code, lines, negative, ..self.bare(question) }, meaning)
    }

    fn draw_life(&mut self) -> u32 {
        let lives = self.names().lives;
        self.context.random.one_of(lives)
    }

    fn data_of(&self, value: &Value) -> Vec<Data> {
        let names = self.names();
        match value {
            Value::Endpoints(endpoints) => {
                let address =
                    |it: &usize| Data::Address(self.context.plan.endpoints[*it].address.ip());
                endpoints.iter().map(address).collect()
            }
            Value::Records(records) => {
                let service = |record: &crate::zone::Record| Data::Service {
                    priority: record.priority,
                    weight: record.weight,
                    port: names.hosts[record.host].port,
                    target: names.hosts[record.host].full.clone(),
                };
                records.iter().map(service).collect()
            }
        }
    }

    /// The letter will arrive after a while.
    fn post(&mut self, letter: Letter, is_late: bool) {
        let mut latency = self.context.name_latency() + self.names().habits.lateness;
        if is_late {
            let most = self.context.random.one_of(&[100, 1500, 9000]);
            latency += self.context.random.up_to(Duration::from_millis(most));
        }
        self.letters.push(letter);
        self.context.plan_in(latency, Happening::Post(self.letters.len() - 1));
    }

    /// A letter arrives.
    pub fn deliver_letter(&mut self, index: usize) {
        let letter = self.letters[index].clone();
        let exchange = letter.exchange;
        if index < self.letters_lost {
            return self.context.note("answer is lost", exchange, 0);
        }
        let breaks = self.context.strike(Fault::StreamBreaks);
        let it = &mut self.exchanges[exchange];
        if !it.is_open {
            return self.context.note("answer for nobody", exchange, 0);
        }
        let Some(stream) = &mut it.stream else {
            it.inbox.push_back(letter);
            self.context.note("answer arrives", exchange, 0);
            return self.touch_exchange(exchange);
        };
        if stream.breaks_at.is_some() || stream.death.is_some() || stream.has_ended {
            return self.context.note("answer for nobody", exchange, 1);
        }
        let Ok(bytes) = letter.bytes else {
            stream.death = Some(NetError::Reset);
            return self.touch_exchange(exchange);
        };
        // What follows the first answer is none of it.
        if stream.incoming.is_empty() {
            stream.meaning = letter.meaning;
        }
        stream.incoming.extend((bytes.len() as u16).to_be_bytes());
        stream.incoming.extend(bytes);
        if breaks {
            let length = stream.incoming.len() as u64;
            stream.breaks_at = Some(self.context.random.below(length) as usize);
        }
        self.stream_moves(exchange);
    }

    /// What the name servers say changes.
    pub fn change_zone(&mut self) {
        self.plan_zone_change();
        if self.context.strike(Fault::ZoneChanges) {
            self.context.note("zone", 0, 0);
            let names = self.context.plan.names.as_ref().expect("a run with names");
            self.zone.change(names, &mut self.context.random);
        }
    }

    pub fn plan_zone_change(&mut self) {
        let at = self.context.random.up_to(Duration::from_secs(1));
        if self.context.now + at < self.context.plan.span {
            self.context.plan_in(at, Happening::ZoneChange);
        }
    }

    pub fn plan_server_flap(&mut self, server: usize) {
        let at = self.context.random.up_to(Duration::from_secs(3));
        if self.context.now + at < self.context.plan.span {
            self.context.plan_in(at, Happening::ServerFlap(server));
        }
    }

    /// A name server changes its state, or resolv.conf does.
    pub fn flap_server(&mut self, server: usize) {
        self.plan_server_flap(server);
        if self.context.strike(Fault::ConfigurationChanges) {
            let count = self.names().configurations.len() as u64;
            self.configuration = self.context.random.below(count) as usize;
            self.context.note("configuration", self.configuration, 0);
        }
        if !self.context.strike(Fault::ServerFlaps) {
            return;
        }
        self.servers[server] = match self.servers[server] {
            ServerPlace::Up => {
                self.context.random.one_of(&[ServerPlace::Silent, ServerPlace::Refuses])
            }
            _ => ServerPlace::Up,
        };
        self.context.note("server", server, self.servers[server] as u64);
    }

    /// From now on the name servers answer, and what they say stays.
    pub fn heal_names(&mut self) {
        let Some(names) = &self.context.plan.names else { return };
        self.servers.fill(ServerPlace::Up);
        self.letters_lost = self.letters.len();
        self.zone.settle(names);
        if !names.habits.silent_zones.is_empty() {
            // Of who is gone nobody can say that it is not elsewhere.
            self.zone.list_all(names);
        }
    }

    /// The next bytes of a file of the host, which may change behind them.
    pub fn read_file(&mut self, file: &mut SimFile, buffer: &mut [u8]) -> usize {
        self.oracle.operation_begins();
        let text = match file.file {
            ResolverFile::Hosts => &self.hosts_text,
            ResolverFile::Configuration => &file.text,
        };
        let rest = text.get(file.at..).unwrap_or_default();
        let bytes = rest.len().min(buffer.len());
        buffer[..bytes].copy_from_slice(&rest[..bytes]);
        file.at += bytes;
        if file.file == ResolverFile::Hosts {
            self.context.progress += 1;
            self.oracle.hosts_are_read(bytes);
            if file.version != self.hosts_version && bytes == 0 {
                self.oracle.saw(Seen::HostsReadAnew);
            }
            if bytes > 0
                && self.hosts_version < HOSTS_VERSIONS
                && self.context.strike(Fault::HostsChange)
            {
                self.change_hosts();
            }
        }
        bytes
    }

    pub fn open_file(&mut self, file: ResolverFile) -> SimFile {
        self.oracle.operation_begins();
        let mut text = Vec::new();
        if let (ResolverFile::Configuration, Some(names)) = (file, &self.context.plan.names) {
            text = names.configurations[self.configuration].text().into_bytes();
            self.oracle.configuration_is_read(self.configuration);
        }
        SimFile { file, at: 0, text, version: self.hosts_version }
    }

    pub fn file_version(&mut self) -> FileVersion {
        self.oracle.operation_begins();
        let bytes = self.hosts_text.len() as u64;
        FileVersion { bytes, file: (0, self.hosts_version), ..FileVersion::default() }
    }

    /// Somebody writes /etc/hosts anew, in place.
    pub fn change_hosts(&mut self) {
        self.hosts_version += 1;
        self.context.note("hosts", 0, self.hosts_version);
        let text = self.names().hosts_file(&self.context.plan.endpoints, self.hosts_version);
        self.hosts_text = text.into_bytes();
    }
}
