//! The lines of the log about changes of discovery. Decides nothing.

use std::net::SocketAddr;

use crate::config::{ENDPOINTS_MAX, REGISTRY_KEYS_MAX};
use crate::discovery::{Exclusion, Finding, Item, SourceLabel, Unusable};
use crate::net::{Net, ResolverFile};
use crate::observe::events::{Event, Origin, Quoted, Value, list};
use crate::proto::dns::resolv_conf::Problem;
use crate::reactor::context::Context;

/// Logs a change of discovery.
pub(super) fn log_finding<N: Net>(context: &mut Context<N>, finding: &Finding) {
    match finding {
        Finding::NotResolved { name, reason } => {
            context.log(Event::NameNotResolved { name, reason });
        }
        Finding::Resolved { name } => context.log(Event::NameResolved { name }),
        Finding::Excluded { item, reason } => log_excluded(context, item, reason),
        Finding::TooManyEndpoints { count } => {
            context.log(Event::TooManyEndpoints { count: *count, count_max: ENDPOINTS_MAX });
        }
        Finding::Kept { endpoints } => context.log(Event::LastEndpointsKept { count: *endpoints }),
        Finding::FellBack { source, reason, endpoints } => {
            let (source, count) = (origin(source), *endpoints);
            context.log(Event::TypedEndpointsUsed { source, reason, count });
        }
        Finding::Discovered { source } => {
            context.log(Event::DiscoveredEndpointsUsed { source: origin(source) });
        }
        Finding::ServiceSkipped { key, reason } => {
            context.log(Event::ServiceSkipped { key: Quoted(key), reason });
        }
        Finding::WeightIgnored { key } => context.log(Event::WeightIgnored { key: Quoted(key) }),
        Finding::TooManyServices => {
            context.log(Event::TooManyServices { count_max: REGISTRY_KEYS_MAX });
        }
        Finding::RegistryLost { member, reason, services } => {
            context.log(Event::RegistryLost { server: member, reason, services: *services });
        }
        Finding::RegistryRestored { member, services } => {
            context.log(Event::RegistryRestored { server: member, services: *services });
        }
        Finding::NameServers { problem, servers } => {
            log_name_servers(context, problem.as_ref(), servers);
        }
        Finding::MembersFollowed { urls, cluster_id, raft_term, endpoint } => {
            context.metrics.members_followed += 1;
            let cluster = &format!("{cluster_id:x}") as Value<'_>;
            let (urls, term) = (*urls, *raft_term);
            context.log(Event::MembersFollowed { urls, cluster, term, endpoint });
        }
        Finding::MembersRefused { endpoint, reason } => {
            context.log(match reason.is_grave() {
                true => Event::MembersRefused { endpoint, reason },
                false => Event::MembersNotGiven { endpoint, reason },
            });
        }
        Finding::MembersUnknown { reason } => context.log(Event::MembersUnknown { reason }),
        Finding::MembersKnown => context.log(Event::MembersKnown),
    }
}

fn origin(source: &SourceLabel) -> Origin<'_> {
    Origin { source: source.source, key: source.key, subject: &source.subject }
}

fn log_excluded<N: Net>(context: &mut Context<N>, item: &Item, reason: &Exclusion) {
    let (endpoint, name): (Option<Value<'_>>, Option<Value<'_>>) = match item {
        Item::Name(name) => (None, Some(name)),
        Item::Address(address) => (Some(address), None),
        Item::AddressOf { address, name } => (Some(address), Some(name)),
    };
    let listener = reason.listener().map(|listener| listener as Value<'_>);
    // This is usual on a host with one family of addresses.
    let is_usual = *reason == Exclusion::Unusable(Unusable::NoRoute);
    let reason: Value<'_> = reason;
    context.log(match is_usual {
        true => Event::EndpointWithoutRoute { endpoint, name, reason },
        false => Event::EndpointSkipped { endpoint, name, reason, listener },
    });
}

fn log_name_servers<N: Net>(
    context: &mut Context<N>,
    problem: Option<&Problem>,
    servers: &[SocketAddr],
) {
    let (file, servers) = (&ResolverFile::Configuration.path(), &list(servers)[..]);
    context.log(match problem {
        None => Event::NameServersKnown { file, servers },
        Some(reason) if reason.is_about_servers() => {
            Event::NameServersUnknown { file, reason, servers }
        }
        Some(reason) => Event::ResolverFileTooLong { file, reason, servers },
    });
}
