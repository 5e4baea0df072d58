//! The number of pairs and pipes that the descriptors suffice for, and the memory that these can
//! take.

use super::Config;
use super::address::{EndpointAddress, Host};
use super::health::HealthCheckMode;
use super::limits::{
    ADMIN_CONNECTIONS_MAX, BUFFER_BYTES, CONNECTIONS_MAX, DESCRIPTORS_FOR_A_MOMENT,
    DESCRIPTORS_OF_LOOP, DESCRIPTORS_PER_CHECK, DESCRIPTORS_PER_LINE, DESCRIPTORS_PER_PAIR,
    DESCRIPTORS_PER_PROBE, DESCRIPTORS_PER_REGISTRY, DESCRIPTORS_RESERVED, DNS_DESCRIPTORS_MAX,
    DNS_DESCRIPTORS_PER_LOOK_UP, DNS_FILES_MAX, ENDPOINTS_PER_DISCOVERY, PAIRS_PER_PIPE, PIPES_MAX,
};
use super::special_address::dialed;

/// The number of pairs that may be open at a time, and whether it is the one that was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionsLimit {
    /// Most pairs at a time, 1 to [`CONNECTIONS_MAX`].
    pub max: usize,
    /// Most pipes at a time, 0 to [`PIPES_MAX`].
    pub pipes_max: usize,
    /// The typed `--max-connections`, where there are too few descriptors for it.
    pub lowered_from: Option<usize>,
}

impl Config {
    /// The number of pairs: `--max-connections`, or fewer where the descriptors do not suffice for
    /// these together with the listening sockets, a probe of each endpoint, the resolver's
    /// questions and the reserve.
    ///
    /// `descriptors` is the number that may still be opened (RLIMIT_NOFILE less those that are open
    /// or were inherited; getrlimit(2)), `listeners` that of the sockets that will listen. One pair
    /// is always allowed: a gateway that accepts no client is useless.
    ///
    /// One pair in [`PAIRS_PER_PIPE`] gives its descriptors to a pipe, unless `--max-connections`
    /// asks for all pairs: then pipes get the descriptors that are left.
    pub fn connections_limit(&self, descriptors: u64, listeners: usize) -> ConnectionsLimit {
        let limit = usize::try_from(descriptors).unwrap_or(usize::MAX);
        let taken = DESCRIPTORS_RESERVED
            .saturating_add(listeners)
            .saturating_add(self.descriptors_of_admin())
            .saturating_add(self.reserved_descriptors());
        // A pipe takes two descriptors, as a pair does.
        let carried = (limit.saturating_sub(taken) / DESCRIPTORS_PER_PAIR).max(1);
        let default = carried - (carried / PAIRS_PER_PIPE).min(PIPES_MAX);
        let asked = self.limits.connections_max.unwrap_or(default.min(CONNECTIONS_MAX));
        assert!(asked >= 1);
        assert!(asked <= CONNECTIONS_MAX);
        let max = carried.min(asked);
        ConnectionsLimit {
            max,
            pipes_max: (carried - max).min(PIPES_MAX),
            lowered_from: self.limits.connections_max.filter(|&asked| asked > carried),
        }
    }

    /// The fewest descriptors that must be free at the start: those of the loop and the listeners,
    /// and of each thing that the gateway does at the same time one: a pair, a probe, a health
    /// check and a look-up where it needs any, and a descriptor that is open for a moment.
    pub fn descriptors_min(&self) -> u64 {
        let of_look_up = match self.needs_resolver() {
            true => DNS_DESCRIPTORS_PER_LOOK_UP + DNS_FILES_MAX,
            false => 0,
        };
        let has_checks = self.finds_endpoints() && self.health.check != HealthCheckMode::Off
            || self.checked_endpoints().next().is_some();
        let of_check = if has_checks { DESCRIPTORS_PER_CHECK } else { 0 };
        let always = DESCRIPTORS_OF_LOOP
            + self.listen.addresses.len()
            + DESCRIPTORS_PER_PAIR
            + self.descriptors_of_admin();
        let of_endpoints = DESCRIPTORS_PER_PROBE + of_check + self.descriptors_of_lines();
        (always + of_endpoints + of_look_up + DESCRIPTORS_FOR_A_MOMENT) as u64
    }

    /// Whether there may be other endpoints than those that are typed.
    fn finds_endpoints(&self) -> bool {
        self.discovery.is_some() || self.members.is_followed || self.registry.is_some()
    }

    /// The listeners and connections of the admin side, and the file of the access log.
    fn descriptors_of_admin(&self) -> usize {
        let of_admin = match self.admin.addresses.len() {
            0 => 0,
            listeners => listeners + ADMIN_CONNECTIONS_MAX,
        };
        of_admin + usize::from(self.admin.access_log.is_some())
    }

    /// The connections of sources that ask servers.
    fn descriptors_of_lines(&self) -> usize {
        let of_members = if self.members.is_followed { DESCRIPTORS_PER_LINE } else { 0 };
        let of_registry = if self.registry.is_some() { DESCRIPTORS_PER_REGISTRY } else { 0 };
        of_members + of_registry
    }

    /// Whether names of endpoints are looked up, or may be: those of members.
    fn needs_resolver(&self) -> bool {
        let mut hosts = self.endpoints.addresses.iter().map(|endpoint| &endpoint.host);
        self.finds_endpoints() || hosts.any(|host| matches!(host, Host::Name(_)))
    }

    /// The descriptors for probes and questions. The number of endpoints behind a name is not known
    /// yet: seldom more than a few, and seldom all of them are probed at the same time.
    fn reserved_descriptors(&self) -> usize {
        let endpoints: usize = self.endpoints.addresses.iter().map(expected_addresses).sum();
        let checked: usize = self.checked_endpoints().map(expected_addresses).sum();
        let checked = checked * DESCRIPTORS_PER_CHECK;
        let per_found = match self.health.check {
            HealthCheckMode::Off => DESCRIPTORS_PER_PROBE,
            _ => DESCRIPTORS_PER_PROBE + DESCRIPTORS_PER_CHECK,
        };
        let of_discovery = match self.finds_endpoints() {
            true => ENDPOINTS_PER_DISCOVERY * per_found + self.descriptors_of_lines(),
            false => 0,
        };
        let of_resolver =
            if self.needs_resolver() { DNS_DESCRIPTORS_MAX + DNS_FILES_MAX } else { 0 };
        endpoints * DESCRIPTORS_PER_PROBE + checked + of_discovery + of_resolver
    }

    /// The typed endpoints that may be checked, each over a connection of its own.
    fn checked_endpoints(&self) -> impl Iterator<Item = &EndpointAddress> {
        let mode = &self.health.check;
        self.endpoints.addresses.iter().filter(move |endpoint| match mode {
            HealthCheckMode::Off => false,
            HealthCheckMode::Auto => endpoint.may_be_etcd(),
            HealthCheckMode::Etcd | HealthCheckMode::Path(_) => true,
        })
    }
}

/// The number of addresses that a typed endpoint is expected to lead to.
fn expected_addresses(endpoint: &EndpointAddress) -> usize {
    match endpoint.host {
        Host::Address(address) => dialed(address).len(),
        Host::Name(_) => 2,
    }
}

/// The most memory in bytes that `connections_max` pairs can take: for each pair two full buffers,
/// one for either flow, and twice its `pair_bytes` of book-keeping, because a growing table moves
/// into one of double size; and the scratch buffer that all pairs share. Bytes of a flow in a pipe
/// are in the kernel's memory instead, in at most [`PIPES_MAX`] pipes.
pub fn memory_max_bytes(connections_max: usize, pair_bytes: usize) -> u64 {
    let each = (BUFFER_BYTES as u64).saturating_add(pair_bytes as u64).saturating_mul(2);
    let pairs = (connections_max as u64).saturating_mul(each);
    pairs.saturating_add(BUFFER_BYTES as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SizeLimits;
    use crate::config::flags::{
        DISCOVERY_SRV, ENDPOINTS, FOLLOW_MEMBERS, INSECURE_DISCOVERY, LISTEN_ADDR, Typed,
    };
    use crate::config::limits::{CONNECTIONS_MAX, PIPES_MAX};

    /// With one listener, 17 descriptors are reserved.
    fn three_endpoints() -> Config {
        configuration("10.0.0.1:1,10.0.0.2:1,10.0.0.3:1", None)
    }

    fn configuration(endpoints: &str, discovery_srv: Option<&str>) -> Config {
        let typed = [(&ENDPOINTS, endpoints), (&INSECURE_DISCOVERY, "true")].into_iter();
        let typed = typed.chain(discovery_srv.map(|domain| (&DISCOVERY_SRV, domain))).collect();
        Config::from_typed(&typed).expect("a configuration")
    }

    #[track_caller]
    fn check_limit(asked: Option<usize>, descriptors: u64, max: usize, pipes_max: usize) {
        let config = Config { limits: SizeLimits { connections_max: asked }, ..three_endpoints() };
        let limit = config.connections_limit(descriptors, 1);
        let lowered_from = asked.filter(|&asked| asked > max);
        let want = ConnectionsLimit { max, pipes_max, lowered_from };
        assert_eq!(limit, want, "{asked:?} {descriptors}");
        let held = (max + pipes_max) * DESCRIPTORS_PER_PAIR + DESCRIPTORS_RESERVED + 4;
        assert!(held as u64 <= descriptors || max == 1);
    }

    #[test]
    fn the_descriptor_limit_bounds_the_connections() {
        // 13 are reserved, and one listener and three endpoints take four more.
        check_limit(None, 47, 15, 0);
        check_limit(None, 49, 15, 1);
        check_limit(None, 61, 21, 1);
        check_limit(None, 62, 21, 1);
        check_limit(None, 63, 22, 1);
        check_limit(None, 1021, 471, 31);
        check_limit(None, 2000, 959, PIPES_MAX);
        check_limit(None, u64::MAX, CONNECTIONS_MAX, PIPES_MAX);
        for descriptors in [0, 1, 16, 17, 18, 19, 20] {
            check_limit(None, descriptors, 1, 0);
        }
        check_limit(None, 21, 2, 0);
        check_limit(Some(1), 0, 1, 0);
        check_limit(Some(2), 0, 1, 0);
        // Pairs that were asked for come before pipes.
        check_limit(Some(1), 61, 1, 21);
        check_limit(Some(21), 61, 21, 1);
        check_limit(Some(22), 61, 22, 0);
        check_limit(Some(23), 61, 22, 0);
        check_limit(Some(CONNECTIONS_MAX), u64::MAX, CONNECTIONS_MAX, PIPES_MAX);
        check_limit(Some(CONNECTIONS_MAX), (1 << 20) - 3, (1 << 19) - 10, 0);
    }

    #[test]
    fn absurd_counts_leave_one_connection() {
        let limit = three_endpoints().connections_limit(1 << 20, usize::MAX);
        assert_eq!(limit, ConnectionsLimit { max: 1, pipes_max: 0, lowered_from: None });
    }

    #[test]
    fn names_take_descriptors_for_questions_probes_and_checks() {
        for (endpoints, srv, want) in [
            ("10.0.0.1:1,10.0.0.2:1", None, 2),
            ("10.0.0.1:2379,http://10.0.0.2:1,10.0.0.3:1", None, 5),
            ("10.0.0.1:1,a.test:1", None, 3 + DNS_DESCRIPTORS_MAX + DNS_FILES_MAX),
            (
                "10.0.0.1:1",
                Some("a.test"),
                1 + 2 * ENDPOINTS_PER_DISCOVERY + DNS_DESCRIPTORS_MAX + DNS_FILES_MAX,
            ),
        ] {
            assert_eq!(
                configuration(endpoints, srv).reserved_descriptors(),
                want,
                "{endpoints} {srv:?}"
            );
        }
    }

    #[test]
    fn the_fewest_descriptors_follow_from_what_is_done_at_one_time() {
        // Two of the loop, a listener, a pair, a probe, one for a moment.
        assert_eq!(configuration("10.0.0.1:1,10.0.0.2:1", None).descriptors_min(), 7);
        assert_eq!(configuration("10.0.0.1:1,a.test:1", None).descriptors_min(), 14);
        assert_eq!(configuration("10.0.0.1:2379", None).descriptors_min(), 8, "and a check");
        assert_eq!(configuration("10.0.0.1:1", Some("a.test")).descriptors_min(), 15);
        let listen = ["127.0.0.1:1,127.0.0.1:2", ":3"].map(|list| (&LISTEN_ADDR, list));
        let typed = Typed::from_iter(listen);
        assert_eq!(Config::from_typed(&typed).expect("valid").descriptors_min(), 10);
    }

    #[test]
    fn members_take_descriptors_for_a_line_and_for_what_they_list() {
        let alone = configuration("10.0.0.1:2379", None);
        let typed = [(&ENDPOINTS, "10.0.0.1:2379"), (&FOLLOW_MEMBERS, "true")];
        let followed = Config::from_typed(&Typed::from_iter(typed)).expect("valid");
        let resolver = DNS_DESCRIPTORS_MAX + DNS_FILES_MAX;
        let more = followed.reserved_descriptors() - alone.reserved_descriptors();
        assert_eq!(more, 2 * ENDPOINTS_PER_DISCOVERY + 1 + resolver);
        let of_look_up = (DNS_DESCRIPTORS_PER_LOOK_UP + DNS_FILES_MAX) as u64;
        assert_eq!(followed.descriptors_min(), alone.descriptors_min() + 1 + of_look_up);
    }

    #[test]
    fn memory_has_a_bound() {
        let buffer = BUFFER_BYTES as u64;
        assert_eq!(memory_max_bytes(0, 500), buffer);
        assert_eq!(memory_max_bytes(1, 500), 3 * buffer + 1000);
        assert_eq!(memory_max_bytes(CONNECTIONS_MAX, 0), ((1 << 21) + 1) * buffer);
        assert_eq!(memory_max_bytes(usize::MAX, usize::MAX), u64::MAX);
    }
}
