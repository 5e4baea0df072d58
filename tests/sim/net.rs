//! The seam: `Net` over a simulation. What an operation does is in `operations.rs`.

use std::cell::{RefCell, RefMut};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use etcd_gateway::address::Address;
use etcd_gateway::net::state_file::{MayReplace, ReplaceError};
use etcd_gateway::net::{
    Accept, AccessLogError, Close, Dial, Event, FileError, FileVersion, Host, Net, NetError, Read,
    Readiness, Receive, ResolverFile, Telemetry, Write,
};
use etcd_gateway::usage::Usage;

use crate::connection::Id;
use crate::guests::{DOOR_PORT, DOORS, GUESTS};
use crate::hosting::is_guest;
use crate::oracle::Oracle;
use crate::pipes::PipeId;
use crate::resolver_files::SimFile;
use crate::simulation::Simulation;
use crate::world::World;

/// The time when a run begins, since the Unix epoch.
const UNIX_TIME_AT_START: Duration = Duration::from_secs(1_800_000_000);

/// A shared hold on a simulation: the reactor's and the test's.
#[derive(Clone)]
pub struct SimNet(Rc<RefCell<Simulation>>);

impl SimNet {
    pub fn new(world: World) -> SimNet {
        SimNet(Rc::new(RefCell::new(Simulation::new(world))))
    }

    /// None while it is in use.
    pub fn try_world(&self) -> Option<RefMut<'_, World>> {
        let simulation = self.0.try_borrow_mut().ok()?;
        Some(RefMut::map(simulation, |simulation| &mut simulation.world))
    }

    pub fn world(&self) -> RefMut<'_, World> {
        RefMut::map(self.simulation(), |simulation| &mut simulation.world)
    }

    pub fn oracle(&self) -> RefMut<'_, Oracle> {
        RefMut::map(self.simulation(), |simulation| &mut simulation.oracle)
    }

    pub fn simulation(&self) -> RefMut<'_, Simulation> {
        self.0.borrow_mut()
    }
}

impl Net for SimNet {
    type Listener = usize;
    type Stream = Id;
    type Pipe = PipeId;
    type Datagram = usize;

    fn poll(&mut self, timeout: Option<Duration>, events: &mut Vec<Event>) -> Result<(), NetError> {
        self.simulation().poll(timeout, events);
        Ok(())
    }

    fn now(&mut self) -> Instant {
        self.simulation().read_clock()
    }

    fn random(&mut self) -> u64 {
        self.simulation().draw()
    }

    fn listen(
        &mut self,
        address: &Address,
        token: usize,
        _: bool,
    ) -> Result<(usize, Address), NetError> {
        let port = address.port().expect("an address of the plan");
        let mut world = self.world();
        if port >= DOOR_PORT {
            let door = usize::from(port - DOOR_PORT);
            let World { context, guests, .. } = &mut *world;
            guests.doors.open(context, door, port, token)?;
            return Ok((DOORS + door, address.clone()));
        }
        let index = world.listener_of(port);
        let World { context, listeners, .. } = &mut *world;
        listeners.open(context, index, port, token)?;
        Ok((index, address.clone()))
    }

    fn accept(&mut self, listener: &mut usize, token: usize) -> Accept<Id> {
        match *listener >= DOORS {
            true => self.simulation().accept_guest(*listener, token),
            false => self.simulation().accept(*listener, token),
        }
    }

    fn has_client(&mut self, listener: &usize) -> bool {
        match *listener >= DOORS {
            true => !self.world().guests.doors.all[*listener - DOORS].backlog.is_empty(),
            false => !self.world().listeners.all[*listener].backlog.is_empty(),
        }
    }

    fn close_listener(&mut self, listener: usize) {
        match listener >= DOORS {
            true => self.simulation().close_door(listener),
            false => self.simulation().close_listener(listener),
        }
    }

    fn dial(&mut self, address: &Address, token: usize) -> Result<Id, NetError> {
        self.simulation().dial(address, token)
    }

    fn dial_result(&mut self, stream: &mut Id, readiness: Readiness) -> Dial {
        self.simulation().dial_result(*stream, readiness)
    }

    fn local_address(&mut self, stream: &mut Id) -> Option<Address> {
        self.simulation().local_address(*stream)
    }

    fn set_deferred_options(&mut self, stream: &mut Id) {
        self.simulation().set_deferred_options(*stream);
    }

    fn read(&mut self, stream: &mut Id, buffer: &mut [u8]) -> Read {
        match is_guest(*stream) {
            true => self.simulation().read_guest(*stream, buffer),
            false => self.simulation().read(*stream, buffer),
        }
    }

    fn write(&mut self, stream: &mut Id, buffer: &[u8]) -> Write {
        match is_guest(*stream) {
            true => self.simulation().write_guest(*stream, buffer),
            false => self.simulation().write(*stream, buffer),
        }
    }

    fn open_pipe(&mut self) -> Result<PipeId, NetError> {
        self.simulation().open_pipe()
    }

    fn splice_in(&mut self, stream: &mut Id, pipe: &mut PipeId, bytes_max: usize) -> Read {
        self.simulation().splice_in(*stream, *pipe, bytes_max)
    }

    fn splice_out(&mut self, pipe: &mut PipeId, stream: &mut Id, bytes: usize) -> Write {
        self.simulation().splice_out(*pipe, *stream, bytes)
    }

    fn close_pipe(&mut self, pipe: PipeId) {
        self.simulation().close_pipe(pipe);
    }

    fn shutdown_write(&mut self, stream: &mut Id) -> Result<(), NetError> {
        match is_guest(*stream) {
            true => self.simulation().shut_guest(*stream),
            false => self.simulation().shutdown_write(*stream),
        }
    }

    fn take_error(&mut self, stream: &mut Id) -> Option<NetError> {
        self.simulation().take_error(*stream)
    }

    fn unsent(&mut self, stream: &mut Id) -> usize {
        match is_guest(*stream) {
            true => self.world().guests.unsent(*stream - GUESTS),
            false => self.simulation().unsent(*stream),
        }
    }

    fn set_close(&mut self, stream: &mut Id, how: Close) {
        self.simulation().set_close(*stream, how);
    }

    fn close(&mut self, stream: Id) {
        match is_guest(stream) {
            true => self.simulation().close_guest(stream),
            false => self.simulation().close(stream),
        }
    }

    fn open_datagram(&mut self, peer: SocketAddr, token: usize) -> Result<usize, NetError> {
        self.simulation().open_datagram(peer, token)
    }

    fn send(&mut self, datagram: &mut usize, bytes: &[u8]) -> Result<(), NetError> {
        self.simulation().send_question(*datagram, bytes)
    }

    fn receive(&mut self, datagram: &mut usize, buffer: &mut [u8]) -> Receive {
        self.simulation().receive(*datagram, buffer)
    }

    fn close_datagram(&mut self, datagram: usize) {
        self.simulation().close_exchange(datagram);
    }
}

impl Host for SimNet {
    type File = SimFile;
    type Telemetry = SimNet;

    fn is_local(&mut self, address: IpAddr) -> bool {
        address.is_loopback()
    }

    fn has_route(&mut self, _address: IpAddr) -> bool {
        true
    }

    fn is_ephemeral(&mut self, _port: u16) -> bool {
        self.world().context.plan.dials_far_up
    }

    fn file_version(&mut self, _file: ResolverFile) -> Result<FileVersion, FileError> {
        let mut simulation = self.simulation();
        simulation.oracle.books.record.operation_begins();
        Ok(simulation.world.files.version())
    }

    fn open_file(&mut self, file: ResolverFile) -> Result<SimFile, FileError> {
        Ok(self.simulation().open_file(file))
    }

    fn read_file(&mut self, file: &mut SimFile, buffer: &mut [u8]) -> Result<usize, FileError> {
        Ok(self.simulation().read_file(file, buffer))
    }

    fn replace_file(
        &mut self,
        _path: &Path,
        _bytes: &[u8],
        _may_replace: MayReplace,
    ) -> Result<(), ReplaceError> {
        Ok(())
    }

    fn host_name(&mut self) -> String {
        "gateway.test".to_owned()
    }

    fn interface_index(&mut self, _name: &str) -> Option<u32> {
        None
    }

    fn telemetry(&mut self) -> &mut SimNet {
        self
    }
}

impl Telemetry for SimNet {
    fn read_clock(&mut self) -> Instant {
        self.simulation().glance_at_clock()
    }

    fn unix_time(&mut self) -> Duration {
        UNIX_TIME_AT_START + self.world().context.now
    }

    fn usage(&mut self) -> Usage {
        Usage::default()
    }

    fn log_lines_dropped(&mut self) -> u64 {
        0
    }

    fn write_access_log(&mut self, _lines: &[u8]) -> Result<(), AccessLogError> {
        Ok(())
    }

    fn finish_access_log(&mut self) {}

    fn reopen_access_log(&mut self) -> Result<Option<PathBuf>, String> {
        Ok(None)
    }

    fn access_log_lines_dropped(&mut self) -> Option<u64> {
        None
    }
}
