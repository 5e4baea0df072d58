//! A `Net` without a kernel: a world of sockets that a test fills, watches and breaks.
//!
//! The world does what Linux does for an orderly network, edge-triggered: an event when something
//! changed, `WouldBlock` when there is nothing. A test plays the peers by changing the world
//! between two turns. Bytes are counted, not carried.

use std::cell::{RefCell, RefMut};
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant};

use etcd_gateway::net::{Accept, Close, Dial, Event, Net, NetError, Read, Readiness, Write};

/// Index of a socket in [`World::sockets`].
pub type SocketId = usize;

/// One connection, seen from the gateway.
#[derive(Debug, Default)]
pub struct Socket {
    /// The port that was dialed; none on an accepted connection.
    pub dialed_port: Option<u16>,
    /// Whether a dial is decided.
    pub connected: bool,
    /// Bytes that wait to be read.
    pub inbox: usize,
    /// Bytes that were read.
    pub read: usize,
    /// Bytes that were written.
    pub written: usize,
    /// Whether the peer has ended its side.
    pub ended: bool,
    /// Bytes that were written and the peer has not acknowledged.
    pub unsent: usize,
    /// How it was given up.
    pub closed: Option<Close>,
    token: usize,
}

#[derive(Debug)]
struct Listener {
    port: u16,
    token: usize,
    backlog: usize,
    accepted: usize,
    open: bool,
}

/// Everything outside of the reactor.
#[derive(Debug)]
pub struct World {
    /// The virtual time.
    pub now: Instant,
    /// Most sockets open at a time; beyond that, EMFILE.
    pub descriptors_max: usize,
    /// Whether dialed ports answer, at once, or stay silent.
    pub servers_answer: bool,
    /// How often random numbers were asked for.
    pub randoms: u64,
    /// Every socket there ever was.
    pub sockets: Vec<Socket>,
    /// Dials begun, in order: the port, and when.
    pub dials: Vec<(u16, Instant)>,
    listeners: Vec<Listener>,
    events: VecDeque<Event>,
}

/// A shared hold on the world: the reactor's and the test's.
#[derive(Clone)]
pub struct SimNet(Rc<RefCell<World>>);

impl SimNet {
    pub fn new() -> SimNet {
        SimNet(Rc::new(RefCell::new(World {
            now: Instant::now(),
            descriptors_max: usize::MAX,
            servers_answer: true,
            randoms: 0,
            sockets: Vec::new(),
            dials: Vec::new(),
            listeners: Vec::new(),
            events: VecDeque::new(),
        })))
    }

    pub fn world(&self) -> RefMut<'_, World> {
        self.0.borrow_mut()
    }
}

impl World {
    /// So many clients connect to the listener on `port`.
    pub fn connect(&mut self, port: u16, count: usize) {
        let listener = self.listeners.iter_mut().find(|listener| listener.port == port);
        let listener = listener.expect("the gateway listens there");
        listener.backlog += count;
        let readiness = Readiness { readable: true, ..Readiness::default() };
        self.events.push_back(Event::Socket(listener.token, readiness));
    }

    /// The peer sends so many bytes.
    pub fn send(&mut self, socket: SocketId, bytes: usize) {
        self.sockets[socket].inbox += bytes;
        self.tell(socket, Readiness { readable: true, ..Readiness::default() });
    }

    /// The peer ends its side.
    pub fn end(&mut self, socket: SocketId) {
        self.sockets[socket].ended = true;
        self.tell(socket, Readiness { readable: true, closed: true, ..Readiness::default() });
    }

    /// The process is asked to end.
    pub fn terminate(&mut self) {
        self.events.push_back(Event::Terminate);
    }

    /// Clients accepted on the listener on `port` so far.
    pub fn accepted(&self, port: u16) -> usize {
        self.listeners.iter().filter(|listener| listener.port == port).map(|it| it.accepted).sum()
    }

    /// Sockets that were not given up.
    pub fn open(&self) -> usize {
        self.sockets.iter().filter(|socket| socket.closed.is_none()).count()
    }

    fn tell(&mut self, socket: SocketId, readiness: Readiness) {
        self.events.push_back(Event::Socket(self.sockets[socket].token, readiness));
    }

    fn add(&mut self, socket: Socket) -> SocketId {
        self.sockets.push(socket);
        self.sockets.len() - 1
    }
}

impl Net for SimNet {
    type Listener = usize;
    type Stream = SocketId;

    fn poll(&mut self, timeout: Option<Duration>, events: &mut Vec<Event>) -> Result<(), NetError> {
        let mut world = self.world();
        if world.events.is_empty() {
            // A wait without limit, and nothing to come: it returns early, as a poll may.
            world.now += timeout.unwrap_or_default();
        }
        events.extend(world.events.drain(..));
        Ok(())
    }

    fn now(&mut self) -> Instant {
        self.world().now
    }

    fn random(&mut self) -> u64 {
        let mut world = self.world();
        world.randoms += 1;
        u64::MAX
    }

    fn is_local(&mut self, address: IpAddr) -> bool {
        address.is_loopback()
    }

    fn listen(
        &mut self,
        address: SocketAddr,
        token: usize,
    ) -> Result<(usize, SocketAddr), NetError> {
        let mut world = self.world();
        let port = address.port();
        world.listeners.push(Listener { port, token, backlog: 0, accepted: 0, open: true });
        Ok((world.listeners.len() - 1, address))
    }

    fn accept(&mut self, listener: &mut usize, token: usize) -> Accept<SocketId> {
        let mut world = self.world();
        if world.open() >= world.descriptors_max {
            return Accept::Failed(NetError::Descriptors);
        }
        let listener = &mut world.listeners[*listener];
        assert!(listener.open, "accepted on a closed listener");
        if listener.backlog == 0 {
            return Accept::WouldBlock;
        }
        listener.backlog -= 1;
        listener.accepted += 1;
        let socket = world.add(Socket { token, connected: true, ..Socket::default() });
        Accept::Connection(socket, SocketAddr::from(([192, 0, 2, 1], 1)))
    }

    fn close_listener(&mut self, listener: usize) {
        self.world().listeners[listener].open = false;
    }

    fn dial(&mut self, address: SocketAddr, token: usize) -> Result<SocketId, NetError> {
        let mut world = self.world();
        if world.open() >= world.descriptors_max {
            return Err(NetError::Descriptors);
        }
        let now = world.now;
        world.dials.push((address.port(), now));
        let connected = world.servers_answer;
        let dialed_port = Some(address.port());
        let socket = world.add(Socket { token, dialed_port, connected, ..Socket::default() });
        if connected {
            world.tell(socket, Readiness { writable: true, ..Readiness::default() });
        }
        Ok(socket)
    }

    fn dial_result(&mut self, stream: &mut SocketId) -> Dial {
        let socket = &self.world().sockets[*stream];
        let port = socket.dialed_port.expect("only dialed sockets are asked");
        let local = SocketAddr::from(([192, 0, 2, 1], 1));
        let peer = SocketAddr::from(([192, 0, 2, 2], port));
        if socket.connected { Dial::Connected { local, peer } } else { Dial::Pending }
    }

    fn read(&mut self, stream: &mut SocketId, buffer: &mut [u8]) -> Read {
        let socket = &mut self.world().sockets[*stream];
        match socket.inbox.min(buffer.len()) {
            0 if socket.ended => Read::Eof,
            0 => Read::WouldBlock,
            count => {
                socket.inbox -= count;
                socket.read += count;
                Read::Data(count)
            }
        }
    }

    fn write(&mut self, stream: &mut SocketId, buffer: &[u8]) -> Write {
        self.world().sockets[*stream].written += buffer.len();
        Write::Data(buffer.len())
    }

    fn shutdown_write(&mut self, _stream: &mut SocketId) -> Result<(), NetError> {
        Ok(())
    }

    fn take_error(&mut self, _stream: &mut SocketId) -> Option<NetError> {
        None
    }

    fn unsent(&mut self, stream: &mut SocketId) -> usize {
        self.world().sockets[*stream].unsent
    }

    fn close(&mut self, stream: SocketId, how: Close) {
        let socket = &mut self.world().sockets[stream];
        assert_eq!(socket.closed, None, "closed twice");
        socket.closed = Some(how);
    }
}
