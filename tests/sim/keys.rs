//! The keys of a registry in etcd: what each was at which revision, and how ranges and watches say
//! so. Who is asked, and over which connection, is a matter of `cluster.rs` and `lines.rs`.

use std::collections::BTreeSet;
use std::fmt::Write;

use data_encoding::BASE64;
use etcd_gateway::config::WEIGHT_DEFAULT;

use crate::cluster::header;
use crate::context::Context;
use crate::followed::PREFIX;
use crate::plan::ENDPOINT_PORT;
use crate::random::Random;

/// Values that name no server.
const BAD_VALUES: [&str; 6] =
    ["", "nonsense", "{", r#"{"Addr":""}"#, r#"{"Addr":7}"#, r#"["192.0.2.2:2000"]"#];

/// A value of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service {
    /// The endpoint that it names, if it can be read.
    pub endpoint: Option<usize>,
    pub weight: u16,
    form: u64,
}

/// A key is there, has another value, or is gone.
#[derive(Clone, Copy, Debug)]
pub struct Change {
    pub revision: u64,
    pub key: usize,
    pub value: Option<Service>,
}

/// A message of a watch.
#[derive(Clone, Debug)]
pub struct Message {
    pub text: String,
    pub changes: Vec<Change>,
}

#[derive(Debug)]
pub struct Keys {
    pub revision: u64,
    /// The first revision that can be watched.
    pub compacted: u64,
    pub changes: Vec<Change>,
}

impl Keys {
    pub fn new() -> Keys {
        Keys { revision: 1, compacted: 1, changes: Vec::new() }
    }

    /// What a key was at a revision.
    pub fn at(&self, key: usize, revision: u64) -> Option<Service> {
        let mut before = self.changes.iter().rev().filter(|change| change.revision <= revision);
        before.find(|change| change.key == key)?.value
    }

    /// The endpoints that are named now.
    pub fn endpoints(&self) -> BTreeSet<usize> {
        let keys: BTreeSet<usize> = self.changes.iter().map(|change| change.key).collect();
        keys.into_iter().filter_map(|key| self.at(key, self.revision)?.endpoint).collect()
    }

    /// One transaction, which may be about other keys than those of the registry.
    pub fn change(&mut self, context: &mut Context) {
        let Some(followed) = &context.plan.followed else { return };
        let keys = followed.keys as u64;
        self.revision += 1;
        if context.random.chance(150) {
            return context.note("other key", 0, self.revision);
        }
        let most = context.random.one_of(&[1, 1, 1, 2, 5]);
        let first = context.random.below(keys);
        for offset in 0..most.min(keys) {
            let key = ((first + offset) % keys) as usize;
            let value = self.draw(context, key);
            // What is not there cannot be deleted.
            if value.is_some() || self.at(key, self.revision).is_some() {
                self.put(context, key, value);
            }
        }
    }

    fn draw(&self, context: &mut Context, key: usize) -> Option<Service> {
        let endpoints = context.plan.endpoints.len() as u64;
        let random = &mut context.random;
        if self.at(key, self.revision).is_some() && random.chance(400) {
            return None;
        }
        let endpoint = (!random.chance(150)).then(|| random.below(endpoints) as usize);
        Some(Service::new(endpoint, random))
    }

    fn put(&mut self, context: &mut Context, key: usize, value: Option<Service>) {
        let revision = self.revision;
        context.note("key", key, value.is_some().into());
        self.changes.push(Change { revision, key, value });
    }

    /// The registry names at least one server.
    pub fn ensure_one(&mut self, context: &mut Context) {
        self.revision += 1;
        let value = Service { endpoint: Some(0), weight: WEIGHT_DEFAULT, form: 0 };
        self.put(context, 0, Some(value));
    }

    /// What was before the present is forgotten.
    pub fn compact(&mut self, context: &mut Context) {
        self.compacted = self.revision;
        context.note("compaction", 0, self.compacted);
    }

    /// The answer to a range.
    pub fn range(&self, member: usize, term: u64, keys: usize) -> String {
        let header = header(member, term, Some(self.revision));
        let mut kvs = Vec::new();
        for key in 0..keys {
            let mut last = self.changes.iter().rev();
            if let Some(Change { revision, value: Some(value), .. }) =
                last.find(|change| change.key == key)
            {
                kvs.push(pair(key, *revision, value));
            }
        }
        if kvs.is_empty() {
            return format!(r#"{{"header":{header}}}"#);
        }
        format!(r#"{{"header":{header},"kvs":[{}],"count":"{}"}}"#, kvs.join(","), kvs.len())
    }

    /// The messages of a watch from a revision on.
    pub fn messages(&self, context: &mut Context, from: u64, head: &str) -> Vec<Message> {
        let mut messages: Vec<Message> = Vec::new();
        let news: Vec<Change> =
            self.changes.iter().filter(|change| change.revision >= from).copied().collect();
        let mut rest = &news[..];
        while let Some(first) = rest.first() {
            let is_joined = context.random.chance(200);
            let is_cut = context.random.chance(100);
            let own = rest.iter().take_while(|one| is_joined || one.revision == first.revision);
            let own = own.count();
            let count = if is_cut { context.random.one_to(own as u64) as usize } else { own };
            let (now, later) = rest.split_at(count);
            let is_fragment = later
                .first()
                .is_some_and(|next| now.last().is_some_and(|last| last.revision == next.revision));
            messages.push(Message { text: said(now, is_fragment, head), changes: now.to_vec() });
            rest = later;
        }
        messages
    }
}

impl Service {
    fn new(endpoint: Option<usize>, random: &mut Random) -> Service {
        let form = random.bits();
        let is_plain = form.is_multiple_of(3);
        let weight = if is_plain { WEIGHT_DEFAULT } else { random.one_of(&[0, 1, 1, 2, 7]) };
        Service { endpoint, weight, form }
    }

    fn text(&self) -> String {
        let Some(endpoint) = self.endpoint else {
            return BAD_VALUES[(self.form % BAD_VALUES.len() as u64) as usize].to_owned();
        };
        let (port, weight) = (ENDPOINT_PORT + endpoint as u16, self.weight);
        match self.form % 3 {
            0 => format!("192.0.2.2:{port}"),
            1 => {
                format!(r#"{{"Op":0,"Addr":"192.0.2.2:{port}","Metadata":{{"weight":{weight}}}}}"#)
            }
            _ => format!(r#"{{"host":"192.0.2.2","port":{port},"weight":{weight}}}"#),
        }
    }
}

fn name(key: usize) -> String {
    BASE64.encode(format!("{PREFIX}k{key:02}").as_bytes())
}

fn pair(key: usize, revision: u64, value: &Service) -> String {
    let (name, value) = (name(key), BASE64.encode(value.text().as_bytes()));
    let mut text = format!(r#"{{"key":"{name}","create_revision":"{revision}""#);
    write!(text, r#","mod_revision":"{revision}","version":"1""#).expect("a string takes all");
    if !value.is_empty() {
        write!(text, r#","value":"{value}""#).expect("a string takes all");
    }
    text + "}"
}

fn said(changes: &[Change], is_fragment: bool, head: &str) -> String {
    let events: Vec<String> = changes.iter().map(event).collect();
    let fragment = if is_fragment { r#","fragment":true"# } else { "" };
    format!(r#"{{"result":{{"header":{head}{fragment},"events":[{}]}}}}"#, events.join(","))
}

fn event(change: &Change) -> String {
    let Change { revision, key, value } = change;
    match value {
        Some(value) => format!(r#"{{"kv":{}}}"#, pair(*key, *revision, value)),
        None => {
            let kv = format!(r#"{{"key":"{}","mod_revision":"{revision}"}}"#, name(*key));
            format!(r#"{{"type":"DELETE","kv":{kv}}}"#)
        }
    }
}
