//! Listening addresses that come late, or never.

use std::time::Duration;

use etcd_gateway::address::Address;
use etcd_gateway::config::LISTEN_RETRY_INTERVAL;
use etcd_gateway::net::NetError;
use etcd_gateway::reactor::{Reactor, StartError};

use super::{PORT, SECOND, SECOND_PORT, turn};
use crate::net::SimNet;
use crate::run::try_start;
use crate::world::World;

/// A world in which a port cannot be listened on until so late, and for how long it is tried.
fn late(port: u16, error: NetError, comes_at: Duration, retry: Duration) -> SimNet {
    let net = SimNet::new(World::calm(10, 1));
    net.world().context.plan.late_port = Some((port, error, comes_at));
    net.world().context.plan.limits.listen_retry = retry;
    net
}

/// Why it could not start; a reactor has no form to show.
fn refusal(started: Result<Reactor<SimNet>, StartError>) -> StartError {
    match started {
        Ok(_) => panic!("it has started"),
        Err(error) => error,
    }
}

#[test]
fn an_address_that_comes_in_time_is_waited_for_and_all_are_served() {
    for port in [PORT, SECOND_PORT] {
        for error in [NetError::AddressNotAvailable, NetError::AddressInUse] {
            let net = late(port, error, SECOND / 2, SECOND);
            let mut reactor = try_start(&net).expect("it came in time");
            let now = net.world().context.now;
            assert!(now >= SECOND / 2 && now <= SECOND / 2 + LISTEN_RETRY_INTERVAL, "{now:?}");
            let ports: Vec<u16> = reactor.listening().filter_map(Address::port).collect();
            assert_eq!(ports, [PORT, SECOND_PORT], "in the order in which they were typed");
            // While one was missing the other was open in the first attempt at most.
            let openings = net
                .world()
                .listeners
                .all
                .iter()
                .map(|listener| listener.openings)
                .collect::<Vec<_>>();
            assert_eq!(openings, if port == PORT { [1, 1] } else { [2, 1] });
            for port in [PORT, SECOND_PORT] {
                net.world().connect(port, 1);
                turn(&mut reactor);
                turn(&mut reactor);
                assert_eq!(net.world().accepted(port), 1, "{port}");
            }
            let counted = reactor.metrics().listeners.iter();
            let counted = counted.map(|listener| (listener.address.port(), listener.accepted));
            let want = [(Some(PORT), 1), (Some(SECOND_PORT), 1)];
            assert_eq!(counted.collect::<Vec<_>>(), want, "as typed, not as opened");
        }
    }
}

#[test]
fn an_address_that_never_comes_is_refused_when_the_time_is_over() {
    let never = Duration::from_secs(1000);
    for retry in [Duration::ZERO, Duration::from_millis(1), 3 * SECOND] {
        let net = late(SECOND_PORT, NetError::AddressNotAvailable, never, retry);
        let address = ([127, 0, 0, 1], SECOND_PORT).into();
        let error = NetError::AddressNotAvailable;
        let want = StartError::Listen { address, error, waited: retry };
        assert_eq!(refusal(try_start(&net)), want);
        assert_eq!(net.world().context.now, retry);
        assert!(net.world().listeners.all.iter().all(|listener| !listener.is_open));
    }
}

#[test]
fn what_no_time_mends_is_not_waited_for() {
    for error in [NetError::Denied, NetError::NetworkUnreachable, NetError::Descriptors] {
        let net = late(PORT, error, SECOND / 2, SECOND);
        let address = ([127, 0, 0, 1], PORT).into();
        let want = StartError::Listen { address, error, waited: Duration::ZERO };
        assert_eq!(refusal(try_start(&net)), want);
        assert_eq!(net.world().context.now, Duration::ZERO);
    }
}

#[test]
fn a_request_to_end_ends_the_wait_for_an_address_at_once() {
    let net = late(PORT, NetError::AddressNotAvailable, 10 * SECOND, 10 * SECOND);
    net.world().reload();
    net.world().terminate();
    assert_eq!(refusal(try_start(&net)), StartError::Terminated);
    assert_eq!(net.world().context.now, Duration::ZERO);
}
