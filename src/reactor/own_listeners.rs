//! The addresses that we listen on, for those who dial: no dial may end there.

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
    /// A listener was opened on `address`.
    pub(super) fn add(&mut self, address: Address) {
        self.addresses.push(address);
    }

    /// All listeners are closed.
    pub(super) fn clear(&mut self) {
        self.addresses.clear();
    }

    /// The addresses.
    pub(super) fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.addresses.iter()
    }

    /// The listener at which a connection to `address` would end.
    pub(super) fn reached_by(
        &self,
        address: &Address,
        mut is_local: impl FnMut(IpAddr) -> bool,
    ) -> Option<&Address> {
        self.addresses().find(|listener| leads_back(listener, address, &mut is_local))
    }

    /// The state of a dial to an endpoint, if that is what `address` is; a connection that ends at
    /// its own socket or at one of our listeners counts as failed.
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
