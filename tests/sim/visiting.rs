//! Each operation of the gateway on a connection of a check: the oracle is asked whether it may be,
//! the world carries it out, the oracle notes the outcome.

use etcd_gateway::net::{Dial, NetError, Read, Write};

use crate::connection::Id;
use crate::exchange::STREAMS;
use crate::simulation::Simulation;
use crate::visits::VISITS;
use crate::world::World;

/// Whether it is a connection of a check.
pub fn is_visit(id: Id) -> bool {
    (VISITS..STREAMS).contains(&id)
}

impl Simulation {
    pub fn dial_for_check(&mut self, endpoint: usize, token: usize) -> Result<Id, NetError> {
        self.oracle.checking().check_visit(&self.world, endpoint);
        if let Some(error) = self.world.visit_error(endpoint) {
            self.oracle.checking().visit_failed(&self.world, endpoint, error);
            return Err(error);
        }
        let World { context, visits, .. } = &mut self.world;
        let id = visits.dial(context, endpoint, token);
        self.oracle.checking().visit_begins(&self.world, endpoint, id);
        Ok(id)
    }

    pub fn visit_result(&mut self, id: Id) -> Dial {
        self.oracle.books.record.operation_begins();
        let endpoint = self.world.visits.of(id).endpoint;
        let outcome = self.world.visits.dial_result(&mut self.world.context, id);
        match outcome {
            Dial::Connected => self.oracle.checking().visit_is_connected(&self.world, endpoint),
            Dial::Failed(error) | Dial::Lost(error) => {
                self.oracle.checking().visit_failed(&self.world, endpoint, error);
            }
            Dial::Pending => {}
        }
        outcome
    }

    pub fn write_request(&mut self, id: Id, bytes: &[u8]) -> Write {
        self.oracle.books.record.operation_begins();
        self.oracle.checking().check_request(&self.world, id);
        let outcome = self.world.visits.write(&mut self.world.context, id, bytes);
        if let Write::Failed(error) = outcome {
            self.oracle.checking().request_failed(&self.world, id, error);
        }
        outcome
    }

    pub fn read_said(&mut self, id: Id, buffer: &mut [u8]) -> Read {
        self.oracle.books.record.operation_begins();
        let outcome = self.world.visits.read(&mut self.world.context, id, buffer);
        match outcome {
            Read::Data(_) => {
                let is_over = self.oracle.checking().answer_is_read(&self.world, id);
                if is_over {
                    self.world.visits.answer_is_over(id);
                }
            }
            Read::Eof => self.oracle.checking().visit_has_ended(&self.world, id, None),
            Read::Failed(error) => {
                self.oracle.checking().visit_has_ended(&self.world, id, Some(error))
            }
            Read::WouldBlock => {}
        }
        outcome
    }

    pub fn close_visit(&mut self, id: Id) {
        self.oracle.books.record.operation_begins();
        self.oracle.checking().check_visit_close(&self.world, id);
        // One more descriptor is free.
        self.oracle.books.descriptor_freed();
        self.world.visits.close(&mut self.world.context, id);
    }
}
