//! What discovery finds: an endpoint, and what is known of where it comes from. Decides nothing.

use super::source::Server;
use crate::address::Address;
use crate::upstream::EndpointSpec;

/// An endpoint that should exist, and the name that it was found by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The endpoint.
    pub spec: EndpointSpec,
    /// `host:port` as typed or as in the record.
    pub name: String,
    /// The kind of source that lists it, in one word.
    pub source: &'static str,
    /// What is known of the server.
    pub(super) server: Server,
}

impl Found {
    /// The server that it leads to.
    pub(super) fn server(&self) -> Address {
        self.spec.address.to_canonical()
    }
}
