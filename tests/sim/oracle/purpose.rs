//! The one question that no address answers: whether the gateway dials an endpoint for a client,
//! and for which, or to check it, or to ask it which endpoints there are, or to find out whether it
//! is back.
//!
//! The network tells sockets apart as any network does, by the address that is dialed: name servers
//! from endpoints, and one endpoint from another. A client's dial and a probe of the monitor go to
//! the same address, from a port that the kernel chooses, and look alike until one of them carries
//! bytes. Nor does the order of operations tell: the dials of clients that wait for a descriptor or
//! an endpoint, and probes that are due, may follow each other in any order within a turn. An
//! oracle that guessed would excuse the faults it is to find: a client that is led to an endpoint
//! again which has failed it would count as another client, and a probe of an active endpoint as a
//! client's dial.
//!
//! So the label under which the gateway registers the dial is read here, and nowhere else in the
//! simulator: a client and the connection dialed for it share their slot.

use etcd_gateway::reactor::token::{Kind, Token};

use crate::connection::Id;
use crate::world::World;

/// What a dial to an endpoint is for.
pub enum Purpose {
    /// This client.
    Client(Id),
    /// A health check: it may look like a probe until it carries bytes, and where it never does.
    Check,
    /// A question to a member of etcd about endpoints.
    Line,
    /// The monitor.
    Probe,
}

/// The purpose of a dial, by its token.
pub fn of(token: usize, clients: &[Id], world: &World) -> Purpose {
    let Some(slot) = slot_of(token) else {
        return match Token::unpack(token).map(|token| token.kind) {
            Some(Kind::Check) => Purpose::Check,
            Some(Kind::Line) => Purpose::Line,
            _ => Purpose::Probe,
        };
    };
    let connections = &world.network.connections;
    let client = clients.iter().find(|id| connections[**id].token.and_then(slot_of) == Some(slot));
    Purpose::Client(*client.expect("a dial for a client that is not there"))
}

/// The slot of a pair, if the token is that of one.
fn slot_of(token: usize) -> Option<usize> {
    Token::unpack(token).filter(|token| matches!(token.kind, Kind::Pair(_))).map(|token| token.slot)
}

/// Another reader would tell sockets apart by more than a network shows.
#[test]
fn labels_of_the_gateway_are_read_in_one_place() {
    let mut folders = vec![std::path::PathBuf::from("tests/sim")];
    let mut readers = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("cargo runs tests at the root") {
            let path = entry.expect("a readable entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let text = std::fs::read_to_string(&path).expect("code is text");
                if text.contains("reactor::token::") {
                    readers.push(path);
                }
            }
        }
    }
    assert_eq!(readers, [std::path::Path::new("tests/sim/oracle/purpose.rs")]);
}
