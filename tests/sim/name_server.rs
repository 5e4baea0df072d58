//! The name servers of a run, as far as they can be trusted: which of them answers, when, with
//! what, and what an impostor or a bad network makes of it.

use std::net::IpAddr;
use std::time::Duration;

use etcd_gateway::net::NetError;

use crate::agenda::Happening;
use crate::context::Context;
use crate::exchange::{Exchange, Letter, Meaning};
use crate::faults::Fault;
use crate::habits::{Edns, Room, Server};
use crate::message::{Damage, Data, Line, OptRecord, Question, Reply};
use crate::names::ip_of;
use crate::plan::Plan;
use crate::trouble::{blocked, in_part, is_dead};
use crate::zone::{A, AAAA, Found, Value, Zone};

/// Addresses that no host has: a gateway that dials one has believed a lie.
const POISON: [[u8; 4]; 2] = [[203, 0, 113, 9], [203, 0, 113, 10]];
/// A host that only lies name.
const POISON_HOST: &str = "poison.test";
/// More messages than a question is open to.
const FLOOD: u64 = 40;

/// The state of a name server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerPlace {
    Up,
    Silent,
    /// Its host answers that no server listens there.
    Refuses,
}

#[derive(Debug)]
pub struct NameServers {
    pub places: Vec<ServerPlace>,
    pub zone: Zone,
    letters: Vec<Letter>,
    /// The first of them, which are lost if they are still under way.
    letters_lost: usize,
}

impl NameServers {
    pub fn new(plan: &Plan) -> NameServers {
        let zone = match &plan.names {
            Some(names) => Zone::full(names, plan.endpoints.len()),
            None => Zone::none(),
        };
        NameServers { places: vec![ServerPlace::Up; 3], zone, letters: Vec::new(), letters_lost: 0 }
    }

    /// A question arrives at its server.
    pub fn ask(&mut self, context: &mut Context, exchanges: &[Exchange], exchange: usize) {
        let Exchange { server, question, stream, .. } = &exchanges[exchange];
        let (server, is_stream) = (*server, stream.is_some());
        let question = question.clone().expect("it was sent");
        if is_dead(&question.name) {
            return;
        }
        match self.places[server] {
            ServerPlace::Silent => return,
            ServerPlace::Refuses => {
                let bytes = Err(NetError::Refused);
                let letter = Letter { exchange, bytes, meaning: Meaning::Failed };
                return self.post(context, letter, false);
            }
            ServerPlace::Up => {}
        }
        if context.plan.names().habits.is_silent_about(&question.name, question.kind) {
            return;
        }
        if context.strike(Fault::AnswerForged) {
            let count = context.random.one_of(&[1, 1, 2, FLOOD]);
            (0..count).for_each(|_| self.forge(context, exchanges, exchange, &question));
        }
        let Some(letter) = self.answer(context, (exchange, is_stream), server, &question) else {
            return;
        };
        if context.strike(Fault::AnswerLost) {
            return;
        }
        let is_late = context.strike(Fault::AnswerLate);
        if context.strike(Fault::AnswerTwice) {
            self.post(context, letter.clone(), is_late);
        }
        self.post(context, letter, is_late);
    }

    /// An impostor guesses, and has the right address and port.
    fn forge(
        &mut self,
        context: &mut Context,
        exchanges: &[Exchange],
        exchange: usize,
        question: &Question,
    ) {
        let Question { id, name, kind, .. } = question.clone();
        let others = exchanges.iter().rev().filter_map(|exchange| exchange.question.clone());
        let other =
            others.take(10).find(|question| (&question.name, question.kind) != (&name, kind));
        let mut reply = poisoned(question);
        match context.random.below(4) {
            0 => reply.id ^= context.random.one_to(0xffff) as u16,
            1 => reply.question = Some((format!("x{name}"), kind)),
            2 => reply.question = Some((name, if kind == A { AAAA } else { A })),
            // The right answer's id for another question.
            _ => match other {
                Some(other) => {
                    reply = poisoned(&other);
                    reply.id = id;
                }
                None => reply.question = Some((POISON_HOST.to_owned(), kind)),
            },
        }
        let bytes = Ok(reply.write());
        self.post(context, Letter { exchange, bytes, meaning: Meaning::Foreign }, false);
    }

    /// What the server answers, if it answers.
    fn answer(
        &mut self,
        context: &mut Context,
        (exchange, is_stream): (usize, bool),
        server: usize,
        question: &Question,
    ) -> Option<Letter> {
        if context.strike(Fault::ServerFails) {
            let code = context.random.one_of(&[1, 2, 2, 4, 5, 9]);
            return Some(Letter::new(exchange, &Reply { code, ..bare(question) }, Meaning::Failed));
        }
        let Server { edns, adds, .. } = context.plan.names().habits.servers[server];
        let bare = bare(question);
        match edns {
            _ if !question.has_edns => {}
            Edns::Known | Edns::Trailing => {}
            Edns::Silent => return None,
            Edns::BareFormatError => {
                return failed(exchange, Reply { code: 1, question: None, ..bare });
            }
            Edns::Fails(code) => return failed(exchange, Reply { code, ..bare }),
            Edns::Misused(options) => {
                return failed(exchange, Reply { options, ..poisoned(question) });
            }
        }
        let mut answer =
            self.answer_in_words(context, (exchange, is_stream), server, question, adds);
        let is_whole = !matches!(answer.meaning, Meaning::Part { .. });
        if let (Ok(bytes), Edns::Trailing, true) = (&mut answer.bytes, edns, is_whole) {
            bytes.extend(b"more");
        }
        Some(answer)
    }

    /// What a server answers that knows what it was asked with.
    fn answer_in_words(
        &mut self,
        context: &mut Context,
        (exchange, is_stream): (usize, bool),
        server: usize,
        question: &Question,
        adds: OptRecord,
    ) -> Letter {
        if context.strike(Fault::AnswerCut) && (!is_stream || context.random.chance(300)) {
            let mut reply = poisoned(question);
            let kept = context.random.below(3) as usize;
            reply.lines.truncate(kept);
            let meaning = if is_stream { Meaning::Failed } else { Meaning::Cut };
            return Letter::new(exchange, &Reply { is_cut: true, ..reply }, meaning);
        }
        let (mut reply, meaning) = self.genuine(context, question);
        if !question.has_edns {
            reply.options = adds;
        }
        let has_records = matches!(meaning, Meaning::Answer { .. });
        let is_small = has_records && !is_stream && !question.has_edns;
        let room = context.plan.names().habits.servers[server].room;
        let part = match &meaning {
            Meaning::Answer { kind, value, .. } => {
                Meaning::Part { kind: *kind, value: value.clone() }
            }
            _ => Meaning::Part { kind: question.kind, value: Value::Records(Vec::new()) },
        };
        if is_small && room == Room::Cut {
            let lines = poisoned(question).lines;
            return Letter::new(exchange, &Reply { is_cut: true, lines, ..reply }, Meaning::Cut);
        }
        let is_damaged = context.strike(Fault::AnswerDamaged);
        let is_short = is_damaged && context.random.chance(300);
        if is_small && room == Room::CutInSilence || is_short {
            let bytes = Ok(reply.shortened(&mut context.random));
            return Letter { exchange, bytes, meaning: part };
        }
        if is_damaged {
            let mut spoiled = reply;
            // What can be read of it is wrong, too.
            if !spoiled.lines.is_empty() {
                spoiled.lines = poisoned(question).lines;
            }
            let (bytes, damage) = spoiled.spoiled(&mut context.random);
            let meaning = match damage {
                Damage::Foreign => Meaning::Foreign,
                Damage::Malformed => Meaning::Failed,
                Damage::Incomplete => part,
            };
            return Letter { exchange, bytes: Ok(bytes), meaning };
        }
        Letter::new(exchange, &reply, meaning)
    }

    /// The truth of this moment.
    fn genuine(&mut self, context: &mut Context, question: &Question) -> (Reply, Meaning) {
        let life = context.random.one_of(context.plan.names().lives);
        let families: Vec<bool> =
            context.plan.endpoints.iter().map(|spec| ip_of(spec).is_ipv6()).collect();
        let names = context.plan.names();
        let subject = Zone::subject_of(names, &question.name);
        let found = self.zone.find(names, &question.name, question.kind, &families, life);
        let Found { way, is_part, exists, value, life } = found;
        let mut value = in_part(context, value);
        let mut lines = Vec::new();
        for link in way.windows(2) {
            let data = Data::Alias(link[1].clone());
            lines.push(Line { owner: link[0].clone(), life, data });
        }
        let owner = way.last().expect("the name itself at least").clone();
        let before = lines.len();
        if !is_part {
            let mut data = data_of(&context.plan, &value);
            if let Some((blocked, is_instead)) = blocked(context, question.kind).filter(|_| exists)
            {
                if is_instead {
                    (value, data) = (Value::Endpoints(Vec::new()), Vec::new());
                }
                data.extend(blocked);
            }
            // Servers shuffle.
            if data.len() > 1 && context.random.chance(500) {
                data.reverse();
            }
            lines.extend(data.into_iter().map(|data| Line { owner: owner.clone(), life, data }));
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
        (Reply { code, lines, negative, ..bare(question) }, meaning)
    }

    /// The letter will arrive after a while.
    fn post(&mut self, context: &mut Context, letter: Letter, is_late: bool) {
        let mut latency = context.name_latency() + context.plan.names().habits.lateness;
        if is_late {
            let most = context.random.one_of(&[100, 1500, 9000]);
            latency += context.random.up_to(Duration::from_millis(most));
        }
        self.letters.push(letter);
        context.plan_in(latency, Happening::Post(self.letters.len() - 1));
    }

    /// A letter arrives; none if it is lost.
    pub fn take_letter(&self, context: &mut Context, index: usize) -> Option<Letter> {
        let letter = self.letters[index].clone();
        if index < self.letters_lost {
            context.note("answer is lost", letter.exchange, 0);
            return None;
        }
        Some(letter)
    }

    /// What the name servers say changes.
    pub fn change_zone(&mut self, context: &mut Context) {
        self.plan_zone_change(context);
        if context.strike(Fault::ZoneChanges) {
            context.note("zone", 0, 0);
            let names = context.plan.names();
            self.zone.change(names, &mut context.random);
        }
    }

    pub fn plan_zone_change(&self, context: &mut Context) {
        let at = context.random.up_to(Duration::from_secs(1));
        if context.now + at < context.plan.span {
            context.plan_in(at, Happening::ZoneChange);
        }
    }

    pub fn plan_flap(&self, context: &mut Context, server: usize) {
        let at = context.random.up_to(Duration::from_secs(3));
        if context.now + at < context.plan.span {
            context.plan_in(at, Happening::ServerFlap(server));
        }
    }

    /// A name server may change its state.
    pub fn flap(&mut self, context: &mut Context, server: usize) {
        if !context.strike(Fault::ServerFlaps) {
            return;
        }
        self.places[server] = match self.places[server] {
            ServerPlace::Up => context.random.one_of(&[ServerPlace::Silent, ServerPlace::Refuses]),
            _ => ServerPlace::Up,
        };
        context.note("server", server, self.places[server] as u64);
    }

    /// From now on the name servers answer, and what they say stays.
    pub fn heal(&mut self, context: &Context) {
        let Some(names) = &context.plan.names else { return };
        self.places.fill(ServerPlace::Up);
        self.letters_lost = self.letters.len();
        self.zone.settle(names);
        if !names.habits.silent_zones.is_empty() {
            // Of a name that is gone no server says that it is not elsewhere.
            self.zone.list_all(names);
        }
    }
}

/// The letter of a server that cannot or will not.
fn failed(exchange: usize, reply: Reply) -> Option<Letter> {
    Some(Letter::new(exchange, &reply, Meaning::Failed))
}

/// An answer of lies.
fn poisoned(question: &Question) -> Reply {
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

/// The same without records.
fn bare(question: &Question) -> Reply {
    Reply { lines: Vec::new(), ..poisoned(question) }
}

/// The records of an answer.
fn data_of(plan: &Plan, value: &Value) -> Vec<Data> {
    let names = plan.names();
    match value {
        Value::Endpoints(endpoints) => {
            let endpoints = endpoints.iter().map(|endpoint| &plan.endpoints[*endpoint]);
            endpoints.map(|spec| Data::Address(ip_of(spec))).collect()
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
