//! What a run is like whose endpoints are those that etcd names: by the list of its members, or by
//! the keys of a registry. What etcd says at a moment is in `cluster.rs` and `keys.rs`.

use std::net::SocketAddr;
use std::time::Duration;

use etcd_gateway::address::Address;
use etcd_gateway::config::address::{EndpointAddress, Host};
use etcd_gateway::config::registry::Registry;
use etcd_gateway::config::{PRIORITY_DEFAULT, WEIGHT_DEFAULT};
use etcd_gateway::discovery::{FollowMembers, RegistrySettings, Sources, StartingPoints};
use etcd_gateway::scheme::Scheme;

use crate::random::Random;

/// What the keys of the registry begin with.
pub const PREFIX: &str = "svc/";

/// What names the endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The list of members: the endpoints are members.
    Members,
    /// The keys of a registry: its etcd is none of the endpoints.
    Registry,
}

#[derive(Clone, Debug)]
pub struct Followed {
    pub source: Source,
    /// Members of etcd, learners and those that are not in the list among them.
    pub members: usize,
    /// Those of them that are typed.
    pub typed: Vec<usize>,
    /// From one round of questions to the next.
    pub interval: Duration,
    pub time_limit: Duration,
    /// How often something changes.
    pub period: Duration,
    /// Keys that a registry may have.
    pub keys: usize,
    /// A connection that is silent is not reset once all is well: the gateway finds out itself.
    pub keeps_silence: bool,
}

impl Followed {
    pub fn draw(endpoints: usize, random: &mut Random) -> Followed {
        let source = random.one_of(&[Source::Members, Source::Registry]);
        let members = match source {
            Source::Members => endpoints,
            Source::Registry => random.one_to(3) as usize,
        };
        let first = random.below(members as u64) as usize;
        let typed = (0..members).filter(|member| *member == first || random.chance(300)).collect();
        Followed {
            source,
            members,
            typed,
            interval: Duration::from_millis(random.one_of(&[100, 300, 1000, 5000])),
            time_limit: Duration::from_millis(random.one_of(&[50, 200, 1000])),
            period: Duration::from_millis(random.one_of(&[5, 50, 300, 1000])),
            keys: random.one_of(&[1, 3, 6, 10]),
            keeps_silence: random.chance(300),
        }
    }

    /// What the gateway is started with; `all` are the endpoints as they would be typed.
    pub fn sources(&self, all: Vec<EndpointAddress>) -> Sources {
        match self.source {
            Source::Members => {
                let typed = self.typed.iter().map(|member| EndpointAddress {
                    scheme: Some(Scheme::Http),
                    ..all[*member].clone()
                });
                let follow = FollowMembers {
                    interval: self.interval,
                    time_limit: self.time_limit,
                    file: None,
                    starting_points: StartingPoints::default(),
                    remembered: None,
                };
                Sources::default().with(typed.collect::<Vec<_>>()).with([follow])
            }
            Source::Registry => {
                let members = (0..self.members).map(typed_member).collect();
                let registry = Registry { prefix: PREFIX.to_owned(), members, user: None };
                Sources::default().with([RegistrySettings { registry, credentials: None }])
            }
        }
    }

    /// The endpoints that are there before anything was asked.
    pub fn is_typed(&self, endpoint: usize) -> bool {
        self.source == Source::Members && self.typed.contains(&endpoint)
    }
}

/// A member of the etcd of a registry.
fn typed_member(member: usize) -> EndpointAddress {
    let address = member_address(member);
    EndpointAddress {
        scheme: Some(Scheme::Http),
        host: Host::Address(address.ip()),
        port: address.port(),
        priority: PRIORITY_DEFAULT,
        weight: WEIGHT_DEFAULT,
    }
}

fn member_address(member: usize) -> SocketAddr {
    ([192, 0, 2, 150 + member as u8], 2379).into()
}

/// The member of the etcd of a registry with that address.
pub fn member_at(address: &Address) -> Option<usize> {
    let address = address.inet()?;
    (0..3).find(|member| member_address(*member) == address)
}
