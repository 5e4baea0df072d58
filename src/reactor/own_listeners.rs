//! The addresses that we listen on, for those who dial: no dial may end there.

use std::net::{IpAddr, SocketAddr};

use crate::upstream::loopback::leads_back;

/// The addresses of our listeners, in the order in which they were opened.
#[derive(Debug, Default)]
pub(super) struct OwnListeners {
    addresses: Vec<SocketAddr>,
}

impl OwnListeners {
    /// A listener was opened on `address`.
    pub(super) fn add(&mut self, address: SocketAddr) {
        self.addresses.push(address);
    }

    /// All listeners are closed.
    pub(super) fn clear(&mut self) {
        self.addresses.clear();
    }

    /// The addresses.
    pub(super) fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.addresses.iter().copied()
    }

    /// The listener at which a connection to `address` would end.
    pub(super) fn at_the_end_of(
        &self,
        address: SocketAddr,
        mut is_local: impl FnMut(IpAddr) -> bool,
    ) -> Option<SocketAddr> {
        self.addresses().find(|listener| leads_back(*listener, address, &mut is_local))
    }
}
