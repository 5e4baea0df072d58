//! The seam: `Net` over the world. What an operation does is in `operations.rs`.

use std::cell::{RefCell, RefMut};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant};

use etcd_gateway::net::{
    Accept, Close, Dial, Event, FileError, FileVersion, Net, NetError, Read, Readiness, Receive,
    ResolverFile, Shake, Write,
};
use etcd_gateway::reactor::token::{Kind, Token};

use crate::connection::Id;
use crate::exchange::STREAMS;
use crate::name_server::SimFile;
use crate::pipes::PipeId;
use crate::world::{Listener, World};

/// A shared hold on the world: the reactor's and the test's.
#[derive(Clone)]
pub struct SimNet(Rc<RefCell<World>>);

impl SimNet {
    pub fn new(world: World) -> SimNet {
        SimNet(Rc::new(RefCell::new(world)))
    }

    /// None while somebody else holds it.
    pub fn try_world(&self) -> Option<RefMut<'_, World>> {
        self.0.try_borrow_mut().ok()
    }

    pub fn world(&self) -> RefMut<'_, World> {
        self.0.borrow_mut()
    }
}

impl Net for SimNet {
    type Listener = usize;
    type Stream = Id;
    type Pipe = PipeId;
    type Datagram = usize;
    type Handshake = usize;
    type File = SimFile;

    fn poll(&mut self, timeout: Option<Duration>, events: &mut Vec<Event>) -> Result<(), NetError> {
        self.world().poll(timeout, events);
        Ok(())
    }

    fn now(&mut self) -> Instant {
        self.world().read_clock()
    }

    fn random(&mut self) -> u64 {
        self.world().draw_jitter()
    }

    fn is_local(&mut self, address: IpAddr) -> bool {
        address.is_loopback()
    }

    fn has_route(&mut self, _address: IpAddr) -> bool {
        true
    }

    fn is_ephemeral(&mut self, _port: u16) -> bool {
        self.world().context.plan.dials_far_up
    }

    fn listen(
        &mut self,
        address: SocketAddr,
        token: usize,
    ) -> Result<(usize, SocketAddr), NetError> {
        let mut world = self.world();
        if let Some((port, error, comes_at)) = world.context.plan.late_port
            && port == address.port()
            && world.context.now < comes_at
        {
            return Err(error);
        }
        let index = world.listener_of(address.port());
        while world.listeners.len() <= index {
            world.listeners.push(Listener::default());
        }
        let openings = world.listeners[index].openings + 1;
        world.listeners[index] = Listener { token, is_open: true, openings, ..Listener::default() };
        Ok((index, address))
    }

    fn accept(&mut self, listener: &mut usize, token: usize) -> Accept<Id> {
        self.world().accept(*listener, token)
    }

    fn close_listener(&mut self, listener: usize) {
        self.world().close_listener(listener);
    }

    fn dial(&mut self, address: SocketAddr, token: usize) -> Result<Id, NetError> {
        match Token::unpack(token).map(|token| token.kind) {
            Some(Kind::Exchange) => self.world().dial_name_server(address, token),
            _ => self.world().dial(address, token),
        }
    }

    fn dial_result(&mut self, stream: &mut Id, told: Readiness) -> Dial {
        match *stream {
            STREAMS.. => self.world().stream_result(*stream),
            _ => self.world().dial_result(*stream, told),
        }
    }

    fn own_end(&mut self, stream: &mut Id) -> Option<SocketAddr> {
        self.world().own_end(*stream)
    }

    fn set_lasting_options(&mut self, stream: &mut Id) {
        self.world().set_lasting_options(*stream);
    }

    fn read(&mut self, stream: &mut Id, buffer: &mut [u8]) -> Read {
        match *stream {
            STREAMS.. => self.world().read_answer(*stream, buffer),
            _ => self.world().read(*stream, buffer),
        }
    }

    fn write(&mut self, stream: &mut Id, buffer: &[u8]) -> Write {
        match *stream {
            STREAMS.. => self.world().write_question(*stream, buffer),
            _ => self.world().write(*stream, buffer),
        }
    }

    fn open_pipe(&mut self) -> Result<PipeId, NetError> {
        self.world().open_pipe()
    }

    fn splice_in(&mut self, stream: &mut Id, pipe: &mut PipeId, bytes_max: usize) -> Read {
        self.world().splice_in(*stream, *pipe, bytes_max)
    }

    fn splice_out(&mut self, pipe: &mut PipeId, stream: &mut Id, bytes: usize) -> Write {
        self.world().splice_out(*pipe, *stream, bytes)
    }

    fn close_pipe(&mut self, pipe: PipeId) {
        self.world().close_pipe(pipe);
    }

    fn shutdown_write(&mut self, stream: &mut Id) -> Result<(), NetError> {
        self.world().shutdown_write(*stream)
    }

    fn take_error(&mut self, stream: &mut Id) -> Option<NetError> {
        self.world().take_error(*stream)
    }

    fn unsent(&mut self, stream: &mut Id) -> usize {
        let mut world = self.world();
        world.operate("unsent", *stream);
        usize::try_from(world.connections[*stream].unsent()).unwrap_or(usize::MAX)
    }

    fn set_close(&mut self, stream: &mut Id, how: Close) {
        self.world().set_close(*stream, how);
    }

    fn close(&mut self, stream: Id) {
        let mut world = self.world();
        if stream >= STREAMS {
            return world.close_stream(stream);
        }
        world.operate("close", stream);
        world.check_close(stream);
        world.close(stream);
    }

    fn open_datagram(&mut self, peer: SocketAddr, token: usize) -> Result<usize, NetError> {
        self.world().open_datagram(peer, token)
    }

    fn send(&mut self, datagram: &mut usize, bytes: &[u8]) -> Result<(), NetError> {
        self.world().send_question(*datagram, bytes)
    }

    fn receive(&mut self, datagram: &mut usize, buffer: &mut [u8]) -> Receive {
        self.world().receive(*datagram, buffer)
    }

    fn close_datagram(&mut self, datagram: usize) {
        self.world().close_exchange(datagram);
    }

    fn begin_handshake(&mut self) -> usize {
        self.world().begin_handshake()
    }

    fn shake(&mut self, stream: &mut Id, handshake: &mut usize) -> Shake {
        self.world().shake(*stream, *handshake)
    }

    fn file_version(&mut self, _file: ResolverFile) -> Result<FileVersion, FileError> {
        Ok(self.world().file_version())
    }

    fn open_file(&mut self, file: ResolverFile) -> Result<SimFile, FileError> {
        Ok(self.world().open_file(file))
    }

    fn read_file(&mut self, file: &mut SimFile, buffer: &mut [u8]) -> Result<usize, FileError> {
        Ok(self.world().read_file(file, buffer))
    }

    fn host_name(&mut self) -> String {
        "gateway.test".to_owned()
    }

    fn interface_index(&mut self, _name: &str) -> Option<u32> {
        None
    }
}
