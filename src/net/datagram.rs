//! Datagrams to and from one peer, through which the resolver asks a name server.
//!
//! The socket is connected, so that the kernel drops datagrams of other senders, and reports when
//! the peer's host refuses one (udp(7)). Decides nothing.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, Socket, Type};

use super::errno::{net_error, retry};
use super::{NetError, Receive};

/// A connected socket.
#[derive(Debug)]
pub struct Datagram {
    socket: UdpSocket,
}

impl Datagram {
    pub(super) fn open(
        peer: SocketAddr,
        registry: &Registry,
        token: usize,
    ) -> io::Result<Datagram> {
        // Not bound before it is connected: in between any sender could fill its queue.
        let kind = Type::DGRAM.nonblocking();
        let socket = Socket::new(Domain::for_address(peer), kind, Some(Protocol::UDP))?;
        socket.connect(&peer.into())?;
        let mut socket = UdpSocket::from_std(socket.into());
        registry.register(&mut socket, Token(token), Interest::READABLE)?;
        Ok(Datagram { socket })
    }

    pub(super) fn send(&self, bytes: &[u8]) -> Result<(), NetError> {
        match retry(|| self.socket.send(bytes)) {
            Ok(_) => Ok(()),
            // The datagram is lost in the queue of this host, as it may be anywhere on its way.
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(net_error(error)),
        }
    }

    pub(super) fn receive(&self, buffer: &mut [u8]) -> Receive {
        match retry(|| self.socket.recv(buffer)) {
            Ok(bytes) => Receive::Datagram(bytes),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Receive::WouldBlock,
            Err(error) => Receive::Failed(net_error(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mio::{Events, Poll};
    use std::time::Duration;

    const DEADLINE: Duration = Duration::from_secs(20);

    fn wait(poll: &mut Poll) {
        let mut events = Events::with_capacity(8);
        poll.poll(&mut events, Some(DEADLINE)).expect("a poll");
        assert!(!events.is_empty(), "nothing within {DEADLINE:?}");
    }

    #[test]
    fn datagrams_of_the_peer_alone_are_received() {
        let mut poll = Poll::new().expect("a poll");
        let [peer, stranger] =
            [(); 2].map(|()| std::net::UdpSocket::bind("127.0.0.1:0").expect("a port"));
        let address = peer.local_addr().expect("bound");
        let datagram = Datagram::open(address, poll.registry(), 7).expect("a socket");
        let own = datagram.socket.local_addr().expect("bound");
        datagram.send(b"question").expect("sent");
        let mut buffer = [0; 64];
        assert_eq!(peer.recv_from(&mut buffer).expect("it came"), (8, own));
        stranger.send_to(b"forged", own).expect("sent");
        peer.send_to(b"answer", own).expect("sent");
        wait(&mut poll);
        assert_eq!(datagram.receive(&mut buffer), Receive::Datagram(6));
        assert_eq!(&buffer[..6], b"answer");
        assert_eq!(datagram.receive(&mut buffer), Receive::WouldBlock);
    }

    #[test]
    fn a_port_without_a_socket_refuses() {
        let mut poll = Poll::new().expect("a poll");
        let peer = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
        let address = peer.local_addr().expect("bound");
        let datagram = Datagram::open(address, poll.registry(), 7).expect("a socket");
        drop(peer);
        datagram.send(b"question").expect("it is on its way");
        wait(&mut poll);
        assert_eq!(datagram.receive(&mut [0; 64]), Receive::Failed(NetError::Refused));
    }

    #[test]
    fn each_socket_has_a_port_of_its_own() {
        let poll = Poll::new().expect("a poll");
        let address = "127.0.0.1:9".parse().expect("an address");
        let sockets: Vec<Datagram> = (0..20)
            .map(|_| Datagram::open(address, poll.registry(), 7).expect("a socket"))
            .collect();
        let addresses = sockets.iter().map(|datagram| datagram.socket.local_addr());
        let mut ports: Vec<u16> = addresses.map(|found| found.expect("bound").port()).collect();
        ports.sort_unstable();
        let gaps: Vec<u16> = ports.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.iter().all(|gap| *gap > 0), "one twice: {ports:?}");
        assert!(gaps.iter().any(|gap| *gap > 20), "one after the other: {ports:?}");
    }
}
