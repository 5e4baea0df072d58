//! The meaning of an error of the network for each part of the reactor: the only maps from
//! [`NetError`] into the vocabularies of endpoints, pairs and name servers. Pure.
//!
//! Each map names every error, so that a new one does not compile until it has a meaning for all.

use crate::net::NetError;
use crate::proto::dns::Failure;
use crate::relay::step::Fault;
use crate::upstream::DialFailure;

/// The meaning of a failed dial for the endpoint. Only errors of the server's side are evidence.
pub(super) fn dial_failure(error: NetError) -> DialFailure {
    match error {
        NetError::Refused => DialFailure::Refused,
        NetError::Reset => DialFailure::Reset,
        NetError::TimedOut => DialFailure::TimedOut,
        NetError::HostUnreachable => DialFailure::Unreachable,
        NetError::OwnAddress => DialFailure::OwnAddress,
        NetError::NetworkUnreachable
        | NetError::AddressNotAvailable
        | NetError::AddressInUse
        | NetError::Descriptors
        | NetError::Memory
        | NetError::Aborted
        | NetError::Denied
        | NetError::NotSupported
        | NetError::NotASocket
        | NetError::NoSuchFolder
        | NetError::FolderLocked
        | NetError::Other(_) => DialFailure::Local,
    }
}

/// The meaning of a failed read or write for the pair.
pub(super) fn connection_fault(error: NetError) -> Fault {
    match error {
        NetError::Reset => Fault::Reset,
        NetError::TimedOut => Fault::TimedOut,
        NetError::HostUnreachable | NetError::NetworkUnreachable => Fault::Unreachable,
        NetError::Refused
        | NetError::AddressNotAvailable
        | NetError::AddressInUse
        | NetError::OwnAddress
        | NetError::Descriptors
        | NetError::Memory
        | NetError::Aborted
        | NetError::Denied
        | NetError::NotSupported
        | NetError::NotASocket
        | NetError::NoSuchFolder
        | NetError::FolderLocked
        | NetError::Other(_) => Fault::Other,
    }
}

/// The meaning of a failed exchange for the name server.
pub(super) fn question_failure(error: NetError) -> Failure {
    match error {
        NetError::Descriptors | NetError::Memory => Failure::Shortage,
        NetError::TimedOut => Failure::TimedOut,
        NetError::Refused
        | NetError::Reset
        | NetError::HostUnreachable
        | NetError::NetworkUnreachable
        | NetError::AddressNotAvailable
        | NetError::AddressInUse
        | NetError::OwnAddress
        | NetError::Aborted
        | NetError::Denied
        | NetError::NotSupported
        | NetError::NotASocket
        | NetError::NoSuchFolder
        | NetError::FolderLocked
        | NetError::Other(_) => Failure::Unreachable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Only what the server did is evidence against an endpoint, and only a shortage of our own
    /// is none against a name server.
    #[test]
    fn each_error_has_a_meaning_for_endpoint_pair_and_name_server() {
        for (error, endpoint, pair, name_server) in [
            (NetError::Refused, DialFailure::Refused, Fault::Other, Failure::Unreachable),
            (NetError::Reset, DialFailure::Reset, Fault::Reset, Failure::Unreachable),
            (NetError::TimedOut, DialFailure::TimedOut, Fault::TimedOut, Failure::TimedOut),
            (
                NetError::HostUnreachable,
                DialFailure::Unreachable,
                Fault::Unreachable,
                Failure::Unreachable,
            ),
            (NetError::OwnAddress, DialFailure::OwnAddress, Fault::Other, Failure::Unreachable),
            (
                NetError::NetworkUnreachable,
                DialFailure::Local,
                Fault::Unreachable,
                Failure::Unreachable,
            ),
            (NetError::AddressNotAvailable, DialFailure::Local, Fault::Other, Failure::Unreachable),
            (NetError::AddressInUse, DialFailure::Local, Fault::Other, Failure::Unreachable),
            (NetError::Descriptors, DialFailure::Local, Fault::Other, Failure::Shortage),
            (NetError::Memory, DialFailure::Local, Fault::Other, Failure::Shortage),
            (NetError::Aborted, DialFailure::Local, Fault::Other, Failure::Unreachable),
            (NetError::Denied, DialFailure::Local, Fault::Other, Failure::Unreachable),
            (NetError::NotSupported, DialFailure::Local, Fault::Other, Failure::Unreachable),
            (NetError::Other(22), DialFailure::Local, Fault::Other, Failure::Unreachable),
        ] {
            assert_eq!(dial_failure(error), endpoint, "{error}");
            assert_eq!(connection_fault(error), pair, "{error}");
            assert_eq!(question_failure(error), name_server, "{error}");
        }
    }
}
