//! Each operation of the gateway on a connection to a member that says which endpoints there are:
//! the oracle is asked whether it may be, the world carries it out, the oracle notes the outcome.

use etcd_gateway::net::{Dial, NetError, Read, Write};

use crate::agenda::Happening;
use crate::connection::Id;
use crate::faults::Fault;
use crate::followed::Source;
use crate::hosts::Place;
use crate::lines::LINES;
use crate::simulation::Simulation;
use crate::visits::VISITS;
use crate::world::World;

/// Whether it is a connection to a member that says which endpoints there are.
pub fn is_line(id: Id) -> bool {
    (LINES..VISITS).contains(&id)
}

impl Simulation {
    pub fn dial_member(&mut self, member: usize, token: usize) -> Result<Id, NetError> {
        self.oracle.books.record.operation_begins();
        self.oracle.following().check_dial(&self.world, member);
        if let Some(error) = self.world.line_error(member) {
            self.world.context.advance("no line", member, 0);
            return Err(error);
        }
        let World { context, lines, .. } = &mut self.world;
        Ok(lines.dial(context, member, token))
    }

    pub fn line_result(&mut self, id: Id) -> Dial {
        self.oracle.books.record.operation_begins();
        self.world.lines.dial_result(&mut self.world.context, id)
    }

    pub fn write_line(&mut self, id: Id, bytes: &[u8]) -> Write {
        self.oracle.books.record.operation_begins();
        let World { context, lines, .. } = &mut self.world;
        let (outcome, asked) = lines.write(context, id, bytes);
        if let Some(asked) = asked {
            self.oracle.following().check_question(&self.world, id, asked);
        }
        outcome
    }

    pub fn read_line(&mut self, id: Id, buffer: &mut [u8]) -> Read {
        self.oracle.books.record.operation_begins();
        let World { context, lines, .. } = &mut self.world;
        let (outcome, heard) = lines.read(context, id, buffer);
        for heard in heard {
            self.oracle.following().has_heard(&self.world, id, &heard);
        }
        outcome
    }

    pub fn close_line(&mut self, id: Id) {
        self.oracle.books.record.operation_begins();
        self.oracle.following().check_close(&self.world, id);
        // One more descriptor is free.
        self.oracle.books.descriptor_freed();
        self.world.lines.close(&mut self.world.context, id);
    }
}

impl World {
    /// The gateway is about to dial a member. The error if that fails at once.
    fn line_error(&mut self, member: usize) -> Option<NetError> {
        let World { context, hosts, cluster, .. } = self;
        if !context.has_descriptor() || context.strike(Fault::DialShortage) {
            return Some(context.random.one_of(&[NetError::Descriptors, NetError::Memory]));
        }
        match is_registry(context) {
            true => (cluster.members[member].place == Place::NoRoute)
                .then_some(NetError::NetworkUnreachable),
            false => hosts.dial_error(context, member),
        }
    }

    /// Something reaches the gateway's end of a connection to a member.
    fn line_moves(&mut self, index: usize) {
        let World { context, lines, hosts, cluster, .. } = self;
        let line = &lines.all[index];
        if line.is_established {
            return lines.arrive(context, index);
        }
        let member = &cluster.members[line.member];
        let place = match is_registry(context) {
            _ if member.is_gone => Place::Refuses,
            true => member.place,
            false => hosts.places[line.member],
        };
        lines.decide(context, index, place);
    }

    /// Something happens at the etcd that names the endpoints, or on the way there.
    pub fn happen_at_cluster(&mut self, happening: Happening) {
        let World { context, lines, cluster, .. } = self;
        match happening {
            Happening::Line(line) => return self.line_moves(line),
            Happening::LineAsked(line) => return lines.asked(context, cluster, line),
            Happening::LineHang(line) => return lines.hang_up(context, line),
            Happening::News(line) => return lines.tell(context, cluster, line),
            Happening::ClusterChange => cluster.change(context),
            Happening::Replicate(member) => cluster.replicate(context, member),
            other => panic!("{other:?} happens elsewhere"),
        }
        lines.notice(context, cluster);
    }

    /// The etcd that names the endpoints is well, and so are the connections to it.
    pub fn heal_cluster(&mut self) {
        let World { context, lines, cluster, .. } = self;
        let Some(followed) = &context.plan.followed else { return };
        let keeps_silence = followed.keeps_silence;
        cluster.heal(context);
        if !keeps_silence {
            lines.lose_mute(context);
        }
        lines.notice(context, cluster);
    }
}

fn is_registry(context: &crate::context::Context) -> bool {
    context.plan.followed.as_ref().is_some_and(|one| one.source == Source::Registry)
}
