//! The hosts of the endpoints: how dials to each of them end, and how that changes.

use std::time::Duration;

use etcd_gateway::net::NetError;

use crate::agenda::Happening;
use crate::context::Context;
use crate::faults::Fault;

/// How dials to an endpoint end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Up,
    Refuses,
    Silent,
    Unreachable,
    /// The gateway's own link is down.
    NoRoute,
}

/// The fate of the connections to an endpoint that goes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outage {
    Resets,
    /// Each breaks at a moment of its own.
    BreaksOff,
    LeavesThem,
}

#[derive(Debug)]
pub struct Hosts {
    pub places: Vec<Place>,
}

impl Hosts {
    pub fn new(count: usize) -> Hosts {
        Hosts { places: vec![Place::Up; count] }
    }

    pub fn are_all_up(&self) -> bool {
        self.places.iter().all(|place| *place == Place::Up)
    }

    /// The error of a dial that fails at once.
    pub fn dial_error(&self, context: &mut Context, endpoint: usize) -> Option<NetError> {
        if self.places[endpoint] == Place::NoRoute {
            return Some(NetError::NetworkUnreachable);
        }
        context.strike(Fault::DialFailsAtOnce).then(|| {
            context.random.one_of(&[
                NetError::Refused,
                NetError::Reset,
                NetError::TimedOut,
                NetError::HostUnreachable,
                NetError::NetworkUnreachable,
                NetError::AddressNotAvailable,
                NetError::AddressInUse,
                NetError::Denied,
                NetError::Other(22),
            ])
        })
    }

    /// An endpoint changes, now and then.
    pub fn plan_flap(&self, context: &mut Context, endpoint: usize) {
        let at = context.random.up_to(Duration::from_secs(1));
        if context.now + at < context.plan.span {
            context.plan_in(at, Happening::Flap(endpoint));
        }
    }

    /// The endpoint may go down or come back.
    pub fn flap(&mut self, context: &mut Context, endpoint: usize) -> Outage {
        self.plan_flap(context, endpoint);
        if !context.strike(Fault::EndpointFlaps) {
            return Outage::LeavesThem;
        }
        let next = match self.places[endpoint] {
            Place::Up => context.random.one_of(&[
                Place::Refuses,
                Place::Silent,
                Place::Unreachable,
                Place::NoRoute,
            ]),
            _ => Place::Up,
        };
        self.places[endpoint] = next;
        context.note("flap", endpoint, next as u64);
        if next == Place::Up {
            return Outage::LeavesThem;
        }
        match context.random.below(3) {
            0 => Outage::Resets,
            1 => Outage::BreaksOff,
            _ => Outage::LeavesThem,
        }
    }
}
