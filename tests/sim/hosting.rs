//! Each operation of the gateway on a connection of a guest, and on a listener of the admin side:
//! the oracle is asked whether it may be, the world carries it out, the oracle notes the outcome.

use etcd_gateway::address::Address;
use etcd_gateway::net::{Accept, NetError, Read, Write};

use crate::connection::Id;
use crate::guests::{DOORS, GUESTS};
use crate::lines::LINES;
use crate::oracle::Hosting;
use crate::simulation::Simulation;
use crate::world::World;

/// Whether it is a connection of a guest.
pub fn is_guest(id: Id) -> bool {
    (GUESTS..LINES).contains(&id)
}

impl Simulation {
    pub fn accept_guest(&mut self, listener: usize, token: usize) -> Accept<Id> {
        let door = listener - DOORS;
        self.oracle.books.record.operation_begins();
        Hosting::of(&mut self.oracle).check_accept(&self.world, door);
        let context = &mut self.world.context;
        match self.world.guests.accept(context, door, token) {
            Ok(Some(id)) => {
                Hosting::of(&mut self.oracle).guest_is_in(&self.world, id - GUESTS);
                Accept::Connection(id, Address::from(([192, 0, 2, 3], 1)))
            }
            Ok(None) => Accept::WouldBlock,
            Err(error) => {
                if error != NetError::Aborted {
                    Hosting::of(&mut self.oracle).accept_fell_short(&self.world);
                }
                Accept::Failed(error)
            }
        }
    }

    pub fn read_guest(&mut self, id: Id, buffer: &mut [u8]) -> Read {
        let index = id - GUESTS;
        self.oracle.books.record.operation_begins();
        Hosting::of(&mut self.oracle).check_read(&self.world, index);
        let outcome = self.world.guests.read(&mut self.world.context, index, buffer);
        Hosting::of(&mut self.oracle).has_read(&self.world, index, &outcome);
        self.note_asked();
        outcome
    }

    pub fn write_guest(&mut self, id: Id, bytes: &[u8]) -> Write {
        let index = id - GUESTS;
        self.oracle.books.record.operation_begins();
        Hosting::of(&mut self.oracle).check_write(&self.world, index, bytes);
        let outcome = self.world.guests.write(&mut self.world.context, index, bytes);
        match outcome {
            Write::Data(count) => {
                Hosting::of(&mut self.oracle).has_written(&self.world, index, &bytes[..count]);
                // The next request may have been read with the one that is answered.
                self.note_asked();
            }
            Write::Failed(_) => Hosting::of(&mut self.oracle).guest_is_lost(index),
            Write::WouldBlock => {
                Hosting::of(&mut self.oracle).guest_is_blocked(&self.world, index);
            }
        }
        outcome
    }

    fn note_asked(&mut self) {
        if Hosting::of(&mut self.oracle).take_asked() {
            self.oracle.checking().endpoints_are_needed(&self.world);
        }
    }

    pub fn shut_guest(&mut self, id: Id) -> Result<(), NetError> {
        let index = id - GUESTS;
        self.oracle.books.record.operation_begins();
        Hosting::of(&mut self.oracle).check_shut(&self.world, index);
        let outcome = self.world.guests.shut(&mut self.world.context, index);
        if outcome.is_err() {
            Hosting::of(&mut self.oracle).guest_is_lost(index);
        }
        outcome
    }

    pub fn close_guest(&mut self, id: Id) {
        let index = id - GUESTS;
        self.oracle.books.record.operation_begins();
        Hosting::of(&mut self.oracle).check_close(&self.world, index);
        // One more descriptor is free.
        self.oracle.books.descriptor_freed();
        self.world.guests.close(&mut self.world.context, index);
    }

    pub fn close_door(&mut self, listener: usize) {
        let door = listener - DOORS;
        Hosting::of(&mut self.oracle).check_close_door(&self.world);
        let World { context, guests, .. } = &mut self.world;
        let waiting = guests.doors.close(door);
        for id in waiting {
            guests.all[id - GUESTS].death = Some(NetError::Reset);
            context.note("guest is left", id - GUESTS, 0);
        }
    }
}
