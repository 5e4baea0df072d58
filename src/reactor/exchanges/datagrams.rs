//! Exchanges of datagrams: one socket for each question, to and from one server. Their owner closes
//! them.

use std::net::SocketAddr;

use super::{Exchange, ExchangeError, Owner, Report, Socket};
use crate::arena::Key;
use crate::net::{Host, Net, NetError, Receive};
use crate::reactor::context::Context;
use crate::reactor::token::{Kind, Token};

impl<N: Net + Host> Context<N> {
    /// Opens a socket for datagrams to and from `peer`, which its owner closes.
    ///
    /// # Errors
    /// [`NetError`] when no socket can be opened; then there is no exchange.
    pub(in crate::reactor) fn open_datagram(
        &mut self,
        owner: Owner,
        peer: SocketAddr,
    ) -> Result<(), NetError> {
        let key = self.exchanges.table.reserve();
        let token = Token::new(Kind::Exchange, key);
        let socket = Socket::Datagram(self.net.open_datagram(peer, token.pack())?);
        self.exchanges.table.fill(key, Exchange::new(owner, socket, None, None));
        Ok(())
    }

    /// Sends a datagram. Does nothing where the owner has no datagram socket.
    ///
    /// # Errors
    /// [`NetError`] when the datagram was certainly lost, or an earlier one was refused.
    pub(in crate::reactor) fn send_datagram(
        &mut self,
        owner: Owner,
        bytes: &[u8],
    ) -> Result<(), NetError> {
        let key = self.exchanges.find(owner);
        let exchange = key.and_then(|key| self.exchanges.table.get_mut(key));
        match exchange.map(|exchange| &mut exchange.socket) {
            Some(Socket::Datagram(datagram)) => self.net.send(datagram, bytes),
            Some(Socket::Stream { .. } | Socket::Served(_)) | None => Ok(()),
        }
    }

    pub(super) fn receive_datagram(&mut self, key: Key) -> Option<Report> {
        let Socket::Datagram(datagram) = &mut self.exchanges.table[key].socket else { return None };
        match self.net.receive(datagram, &mut self.scratch) {
            Receive::Datagram(bytes) => Some(Report::Message(self.scratch[..bytes].to_vec())),
            Receive::WouldBlock => None,
            Receive::Failed(error) => Some(Report::Failed(ExchangeError::Net(error))),
        }
    }
}
