//! The flags about members of etcd, which have their meaning together with others. Pure.

use super::flags::{FOLLOW_INTERVAL, PREFER, STATE_FILE, Typed};
use super::health::HealthCheckMode;
use super::sections::Members;
use super::unused::{NoEffect, UnusedFlag};

/// The endpoint that clients get, if there is a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preference {
    /// The member that leads.
    Leader,
}

/// The flags that have no effect. `may_be_etcd`: an endpoint may be one that is checked as etcd by
/// default.
pub(super) fn unused(
    typed: &Typed,
    members: &Members,
    mode: &HealthCheckMode,
    may_be_etcd: bool,
) -> Vec<UnusedFlag> {
    let alone = (!members.is_followed).then_some(NoEffect::NoFollowMembers);
    let says_role = match mode {
        HealthCheckMode::Auto => may_be_etcd,
        HealthCheckMode::Etcd => true,
        HealthCheckMode::Off | HealthCheckMode::Path(_) => false,
    };
    let unknown = (!says_role).then_some(NoEffect::NoEtcdCheck);
    let flags = [(FOLLOW_INTERVAL, alone), (STATE_FILE, alone), (PREFER, unknown)].into_iter();
    let unused =
        flags.filter_map(|(flag, reason)| UnusedFlag::find(&flag, typed.last(&flag)?, reason));
    unused.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_without_effect_are_known() {
        for (follow, check, may_be_etcd, want) in [
            ("true", HealthCheckMode::Auto, true, &[][..]),
            ("true", HealthCheckMode::Auto, false, &["prefer no_etcd_check"]),
            ("true", HealthCheckMode::Etcd, false, &[]),
            ("true", HealthCheckMode::Off, true, &["prefer no_etcd_check"]),
            (
                "false",
                HealthCheckMode::Path("/a".to_owned()),
                true,
                &[
                    "follow-interval no_follow_members",
                    "state-file no_follow_members",
                    "prefer no_etcd_check",
                ],
            ),
        ] {
            let typed: Typed = [
                (&super::super::flags::FOLLOW_MEMBERS, follow),
                (&FOLLOW_INTERVAL, "7s"),
                (&STATE_FILE, "a"),
                (&PREFER, "leader"),
            ]
            .into_iter()
            .collect();
            let members = Members::from_typed(&typed).expect("valid");
            let found = unused(&typed, &members, &check, may_be_etcd);
            let found: Vec<String> =
                found.iter().map(|unused| format!("{} {}", unused.flag, unused.reason)).collect();
            assert_eq!(found, want, "{follow} {check:?}");
        }
    }
}
