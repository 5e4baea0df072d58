//! What zones do to resolvers, apart from what one server does with one question: random parts of
//! a set, addresses where no server can be, a wildcard in the search list, and a dead zone with
//! many names.

use std::net::IpAddr;

use etcd_gateway::config::address::{EndpointAddress, Host as TypedHost};

use crate::context::Context;
use crate::faults::Fault;
use crate::message::Data;
use crate::names::Names;
use crate::random::Random;
use crate::zone::{A, AAAA, Value};

/// A suffix of the search list where every name exists, and leads to a stranger.
pub const WILD_DOMAIN: &str = "wild.test";
/// A zone where no server answers for any name.
const DEAD_DOMAIN: &str = "dead.test";

/// Whether no server answers for the name.
pub fn is_dead(name: &str) -> bool {
    name.ends_with(DEAD_DOMAIN)
}

/// The number of a name of the dead zone.
pub fn dead_index(name: &str) -> usize {
    let number = name.trim_start_matches('d').trim_end_matches(DEAD_DOMAIN).trim_end_matches('.');
    number.parse().expect("a name of the dead zone")
}

/// The names of the dead zone, as they are typed.
pub fn dead_endpoints(count: usize) -> impl Iterator<Item = EndpointAddress> {
    (0..count).map(|index| EndpointAddress {
        scheme: None,
        host: TypedHost::Name(format!("d{index}.{DEAD_DOMAIN}.")),
        port: 1,
        priority: 0,
        weight: 1,
    })
}

/// The host that a stranger is taken for under that name, by the wildcard.
pub fn host_of_wildcard(names: &Names, name: &str) -> Option<usize> {
    let stem = name.strip_suffix(WILD_DOMAIN)?.strip_suffix('.')?;
    names.hosts.iter().position(|host| host.stranger.is_some() && host.text == stem)
}

/// Some of them, and at least one.
pub fn some_of<T: Clone>(all: &[T], random: &mut Random) -> Vec<T> {
    let mut some: Vec<T> = all.iter().filter(|_| random.chance(400)).cloned().collect();
    if some.is_empty() {
        some.push(all[random.below(all.len() as u64) as usize].clone());
    }
    some
}

/// A part of what there is, where the servers give no more at a time.
pub fn in_part(context: &mut Context, value: Value) -> Value {
    let is_many = match &value {
        Value::Endpoints(all) => all.len() > 1,
        Value::Records(all) => all.len() > 1,
    };
    if !is_many || !context.strike(Fault::AnswerInPart) {
        return value;
    }
    match value {
        Value::Endpoints(all) => Value::Endpoints(some_of(&all, &mut context.random)),
        Value::Records(all) => Value::Records(some_of(&all, &mut context.random)),
    }
}

/// Addresses where no server can be, and whether they take the place of the others: as a filter
/// answers for a name that it blocks, or a fool among those who may write into the zone.
pub fn blocked(context: &mut Context, kind: u16) -> Option<(Vec<Data>, bool)> {
    let choices: &[&str] = match kind {
        A => &["0.0.0.0", "0.0.0.0", "224.0.0.9", "255.255.255.255", "240.0.0.1"],
        AAAA => &["::", "::", "ff02::1", "::ffff:0.0.0.0", "::ffff:240.0.0.1"],
        _ => return None,
    };
    if !context.strike(Fault::AnswerBlocked) {
        return None;
    }
    let address: IpAddr = context.random.one_of(choices).parse().expect("an address");
    Some((vec![Data::Address(address)], context.random.chance(500)))
}
