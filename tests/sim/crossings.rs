//! What concerns two parts of the world at once.

use etcd_gateway::address::Address;
use etcd_gateway::net::{Accept, NetError, Read, Write};

use crate::actor::Actor;
use crate::agenda::Happening;
use crate::connection::{Id, Role};
use crate::faults::Fault;
use crate::hosts::Place;
use crate::network::{LATENCY_HEALED, QUEUE_HEALED};
use crate::pipes::PipeId;
use crate::world::World;

impl World {
    /// A client comes, whatever it may be like.
    pub fn arrive(&mut self, listener: usize) {
        if !self.listeners.all[listener].is_open {
            return;
        }
        let context = &mut self.context;
        let actor = if context.has_actors {
            Actor::client(&mut context.random, &mut context.faults, &context.plan)
        } else {
            Actor::puppet()
        };
        self.arrive_as(listener, actor);
    }

    /// A client connects, and waits in the backlog.
    pub fn arrive_as(&mut self, listener: usize, actor: Actor) {
        let id = self.network.arrive(&mut self.context, listener, actor);
        self.listeners.queue(&mut self.context, listener, id);
    }

    /// Many clients come.
    pub fn burst(&mut self) {
        let context = &mut self.context;
        let count = context.random.one_of(&[20, 70, 150]);
        let listener = context.random.below(context.plan.listeners as u64) as usize;
        (0..count).for_each(|_| self.arrive(listener));
    }

    /// The gateway takes a client from a backlog.
    pub fn accept(&mut self, listener: usize, token: usize) -> Accept<Id> {
        let World { context, network, listeners, .. } = self;
        match listeners.accept(context, listener) {
            Err(error) => {
                context.advance("no accept", listener, 0);
                Accept::Failed(error)
            }
            Ok(None) => Accept::WouldBlock,
            Ok(Some(taken)) if taken.is_aborted => {
                network.reset_arrives(context, taken.id);
                Accept::Failed(NetError::Aborted)
            }
            Ok(Some(taken)) => {
                network.accept(context, taken.id, token);
                Accept::Connection(taken.id, Address::from(([192, 0, 2, 1], 1)))
            }
        }
    }

    pub fn close_listener(&mut self, listener: usize) {
        let waiting = self.listeners.close(listener);
        waiting.into_iter().for_each(|id| self.network.reset_arrives(&mut self.context, id));
    }

    /// The gateway is about to dial an endpoint. Whether it lacks a descriptor or memory for it.
    pub fn begin_dial(&mut self, role: Role) -> bool {
        let context = &mut self.context;
        let is_short = !context.has_descriptor() || context.strike(Fault::DialShortage);
        let (endpoint, client) = match role {
            Role::Server { endpoint, client } => (endpoint, client as u64),
            Role::Probe { endpoint } => (endpoint, u64::MAX),
            Role::Client => panic!("a client is not dialed"),
        };
        context.advance("dial", endpoint, client);
        is_short
    }

    /// The error of a dial for which a descriptor or memory is lacking.
    pub fn draw_shortage(&mut self) -> NetError {
        self.context.random.one_of(&[NetError::Descriptors, NetError::Memory])
    }

    /// The gateway dials an endpoint.
    pub fn dial(&mut self, endpoint: usize, role: Role, token: usize) -> Result<Id, NetError> {
        let World { context, network, hosts, .. } = self;
        if let Some(error) = hosts.dial_error(context, endpoint) {
            return Err(error);
        }
        let id = network.dial(context, role, token);
        let latency = network.connections[id].latency;
        let is_up = hosts.places[endpoint] == Place::Up;
        if context.strike(Fault::DialSucceedsAtOnce) && is_up {
            network.dial_succeeds(context, id);
        } else if !context.strike(Fault::DialSilent) && (context.has_actors || hosts.are_all_up()) {
            context.plan_in(2 * latency, Happening::Decide(id));
        }
        Ok(id)
    }

    /// The gateway's end of a connection, as the kernel knows it.
    pub fn local_address(&self, id: Id) -> Option<Address> {
        let endpoint = self.network.connections[id].role.endpoint();
        let dialed = endpoint.map(|endpoint| self.context.plan.endpoints[endpoint].address.clone());
        self.network.local_address(id, dialed)
    }

    /// The gateway splices from a connection into a pipe.
    pub fn splice_in(&mut self, id: Id, pipe: PipeId, bytes_max: usize) -> Read {
        let World { context, network, pipes, .. } = self;
        let from = network.connections[id].inbound.taken;
        let read = network.splice_in(context, id, pipe, bytes_max);
        if let Read::Data(bytes) = read {
            pipes.fill(context, pipe, id, from, bytes as u64);
        }
        read
    }

    /// The gateway splices from a pipe into a connection.
    pub fn splice_out(&mut self, pipe: PipeId, id: Id, bytes_max: usize) -> Write {
        let World { context, network, pipes, .. } = self;
        let written = network.splice_out(context, id, bytes_max);
        if let Write::Data(bytes) = written
            && let Some(source) = pipes.drain(pipe, bytes as u64)
        {
            network.connections[source].pipe = None;
        }
        written
    }

    pub fn close_pipe(&mut self, pipe: PipeId) {
        if let Some(source) = self.pipes.close(&mut self.context, pipe) {
            self.network.connections[source].pipe = None;
        }
    }

    /// Something reaches the gateway's end of a stream: the dial is decided, or bytes arrive.
    pub fn stream_moves(&mut self, index: usize) {
        let World { context, exchanges, name_servers, .. } = self;
        let exchange = &exchanges.all[index];
        let server = exchange.server;
        let is_established = exchange.stream.as_ref().is_some_and(|stream| stream.is_established);
        if is_established {
            exchanges.bytes_arrive(context, index);
        } else if exchange.is_open {
            let streams = context.plan.names().habits.servers[server].streams;
            exchanges.decide(context, index, name_servers.places[server], streams);
        }
    }

    /// Something reaches the gateway's end of a connection of a check: the dial is decided, or
    /// bytes arrive.
    pub fn visit_moves(&mut self, index: usize) {
        let World { context, visits, hosts, .. } = self;
        let visit = &visits.all[index];
        match visit.is_established {
            true => visits.arrive(context, index),
            false => {
                let place = hosts.places[visit.endpoint];
                visits.decide(context, index, place);
            }
        }
    }

    /// The programs behind an endpoint go on, unless they are stopped still.
    pub fn thaw(&mut self, endpoint: usize) {
        let World { context, network, members, visits, .. } = self;
        if !members.is_frozen(endpoint) {
            network.thaw(context, endpoint);
            visits.thaw(context, endpoint);
        }
    }

    /// The gateway is about to dial an endpoint for a check. The error if that fails at once.
    pub fn visit_error(&mut self, endpoint: usize) -> Option<NetError> {
        let World { context, hosts, .. } = self;
        if !context.has_descriptor() || context.strike(Fault::DialShortage) {
            return Some(context.random.one_of(&[NetError::Descriptors, NetError::Memory]));
        }
        hosts.dial_error(context, endpoint)
    }

    /// The process is asked to end, and some come to see how it does.
    pub fn ask_to_end(&mut self) {
        self.signals.terminate(&mut self.context);
        self.guests.plan_last_ones(&mut self.context);
    }

    /// A guest of the best manners comes, where there is an admin side.
    pub fn visit(&mut self) {
        self.guests.come_in_peace(&mut self.context);
    }

    /// From now on no fault strikes, and every connection comes to an end.
    pub fn heal(&mut self) {
        let World { context, network, hosts, name_servers, members, guests, .. } = self;
        context.note("heal", 0, 0);
        context.has_healed = true;
        context.faults.stop();
        hosts.places.fill(Place::Up);
        name_servers.heal(context);
        members.heal(context);
        context.plan.descriptors_max = usize::MAX;
        context.plan.latency_max = context.plan.latency_max.min(LATENCY_HEALED);
        context.plan.queue_max = context.plan.queue_max.max(QUEUE_HEALED);
        network.heal(context);
        guests.heal(context);
        (0..self.members.all.len()).for_each(|endpoint| self.thaw(endpoint));
        self.heal_cluster();
    }
}
