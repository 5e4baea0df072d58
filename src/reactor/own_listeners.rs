//! The addresses of this gateway's listeners: no dial may lead back to one.

use std::net::IpAddr;

use crate::address::Address;
use crate::net::{Dial, Host, Net, NetError, Readiness};
use crate::upstream::loopback::{could_meet_ourselves, leads_back, met_ourselves};

/// The addresses of our listeners, in the order in which they were opened.
#[derive(Debug, Default)]
pub(super) struct OwnListeners {
    addresses: Vec<Address>,
}

impl OwnListeners {
    /// Adds the address of a listener.
    pub(super) fn add(&mut self, address: Address) {
        self.addresses.push(address);
    }

    /// Removes all addresses, once the listeners are closed.
    pub(super) fn clear(&mut self) {
        self.addresses.clear();
    }

    /// The addresses.
    pub(super) fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.addresses.iter()
    }

    /// The listener at which a connection to `address` would arrive.
    pub(super) fn reached_by(
        &self,
        address: &Address,
        mut is_local: impl FnMut(IpAddr) -> bool,
    ) -> Option<&Address> {
        self.addresses().find(|listener| leads_back(listener, address, &mut is_local))
    }

    /// The state of a dial. `address` is that of an endpoint, or `None` for another server. A
    /// connection to an endpoint that arrived at its own socket or at a listener of this gateway
    /// counts as failed.
    pub(super) fn dial_result<N: Net + Host>(
        &self,
        net: &mut N,
        address: Option<&Address>,
        stream: &mut N::Stream,
        readiness: Readiness,
    ) -> Dial {
        let outcome = net.dial_result(stream, readiness);
        let Some(address) = address.filter(|_| outcome == Dial::Connected) else { return outcome };
        if !could_meet_ourselves(self.addresses(), address, |port| net.is_ephemeral(port)) {
            return outcome;
        }
        match net.local_address(stream) {
            Some(local) if met_ourselves(self.addresses(), &local, address) => {
                Dial::Failed(NetError::OwnAddress)
            }
            _ => outcome,
        }
    }
}
