//! The flags of a registry in etcd, which have their meaning together. Pure.

use std::path::PathBuf;

use super::address::{AddressError, EndpointAddress};
use super::discovery_srv::CAN_VERIFY;
use super::flags::{ETCD_ENDPOINTS, PASSWORD_FILE, REGISTRY_PREFIX, Typed, USER, UsageError};
use super::limits::REGISTRY_PREFIX_BYTES_MAX;
use super::unused::{NoEffect, UnusedFlag, given};
use super::values::Value;
use crate::scheme::Scheme;

/// A registry: which keys are the endpoints, and where they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registry {
    /// The beginning of all keys; not empty.
    pub prefix: String,
    /// The members of etcd, at least one. Priority and weight have their defaults.
    pub members: Vec<EndpointAddress>,
    /// The user to authenticate as; `None`: no authentication.
    pub user: Option<User>,
}

/// A user of etcd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name; not empty.
    pub name: String,
    /// The file with the password.
    pub password_file: PathBuf,
}

impl Registry {
    /// Whether a member is asked over TLS.
    pub fn has_https(&self) -> bool {
        self.members.iter().any(|member| member.scheme == Some(Scheme::Https))
    }
}

/// The meaning of the flags together; `None` without a prefix. As in etcd, an empty value counts as
/// absent.
///
/// # Errors
/// [`UsageError`] for a prefix without members, a user without a password or the reverse, and for
/// members that this build cannot ask.
pub(super) fn parse(typed: &Typed) -> Result<Option<Registry>, UsageError> {
    let members = members(typed)?;
    let user = match (given(typed, &USER), given(typed, &PASSWORD_FILE)) {
        (Some(name), Some(file)) => {
            Some(User { name: name.to_owned(), password_file: PathBuf::from(file) })
        }
        (None, None) => None,
        (Some(_), None) => return Err(UsageError::without(&USER, &PASSWORD_FILE)),
        (None, Some(_)) => return Err(UsageError::without(&PASSWORD_FILE, &USER)),
    };
    let Some(prefix) = given(typed, &REGISTRY_PREFIX) else { return Ok(None) };
    if prefix.len() > REGISTRY_PREFIX_BYTES_MAX {
        let reason = format!("more than {REGISTRY_PREFIX_BYTES_MAX} bytes");
        return Err(UsageError::invalid(&REGISTRY_PREFIX, prefix, reason));
    }
    if members.is_empty() {
        return Err(UsageError::without(&REGISTRY_PREFIX, &ETCD_ENDPOINTS));
    }
    Ok(Some(Registry { prefix: prefix.to_owned(), members, user }))
}

fn members(typed: &Typed) -> Result<Vec<EndpointAddress>, UsageError> {
    let members: Vec<Member> = Value::read(&ETCD_ENDPOINTS, typed)?;
    let members: Vec<EndpointAddress> = members.into_iter().map(|Member(member)| member).collect();
    let https = members.iter().find(|member| member.scheme == Some(Scheme::Https));
    match https.filter(|_| !CAN_VERIFY) {
        Some(member) => {
            let reason = "this build has no TLS: it takes http, or a build with the feature tls";
            Err(UsageError::invalid(&ETCD_ENDPOINTS, &format!("https://{member}"), reason))
        }
        None => Ok(members),
    }
}

/// A member as it is typed: an endpoint without priority and weight.
struct Member(EndpointAddress);

impl std::str::FromStr for Member {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Member, AddressError> {
        match text.contains('?') {
            true => Err(AddressError::QueryUnexpected),
            false => text.parse().map(Member),
        }
    }
}

/// The flags that have no effect.
pub(super) fn unused(typed: &Typed, registry: Option<&Registry>) -> Vec<UnusedFlag> {
    let alone = registry.is_none().then_some(NoEffect::NoRegistryPrefix);
    let flags = [
        (&REGISTRY_PREFIX, None),
        (&ETCD_ENDPOINTS, alone),
        (&USER, alone),
        (&PASSWORD_FILE, alone),
    ];
    let unused = flags.into_iter();
    unused.filter_map(|(flag, reason)| UnusedFlag::find(flag, typed.last(flag)?, reason)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Prefix, members, user and file; `-` is absent.
    fn typed(values: [&str; 4]) -> Typed {
        let flags = [&REGISTRY_PREFIX, &ETCD_ENDPOINTS, &USER, &PASSWORD_FILE];
        flags.into_iter().zip(values).filter(|(_, text)| *text != "-").collect()
    }

    #[test]
    fn a_registry_is_a_prefix_and_members_and_perhaps_a_user() {
        for values in [["-"; 4], ["", "-", "-", "-"], ["-", "a:1", "u", "f"], ["-", "-", "", ""]] {
            assert_eq!(parse(&typed(values)), Ok(None), "{values:?}");
        }
        let found = parse(&typed(["svc/", "a:1,http://b:2/x,[::1]:3", "-", ""]));
        let found = found.expect("good values").expect("a registry");
        let members: Vec<String> = found.members.iter().map(ToString::to_string).collect();
        assert_eq!((&*found.prefix, found.user), ("svc/", None));
        assert_eq!(members, ["a:1", "b:2", "[::1]:3"]);
        let found = parse(&typed(["svc/", "a:1", "u", "/f"])).expect("good").expect("a registry");
        let user = User { name: "u".to_owned(), password_file: "/f".into() };
        assert_eq!(found.user, Some(user));
    }

    #[test]
    fn one_without_the_other_is_refused() {
        let long = "a".repeat(REGISTRY_PREFIX_BYTES_MAX + 1);
        for (values, want) in [
            (["svc/", "-", "-", "-"], "missing --etcd-endpoints, which --registry-prefix needs"),
            (["svc/", "a:1", "u", "-"], "missing --password-file, which --user needs"),
            (["svc/", "a:1", "-", "f"], "missing --user, which --password-file needs"),
            (["-", "-", "u", ""], "missing --password-file, which --user needs"),
            (["svc/", "a", "-", "-"], r#""a" for --etcd-endpoints: missing port"#),
            (["-", "a:1,", "-", "-"], "for --etcd-endpoints: empty item in the list"),
            (["svc/", "", "-", "-"], r#""" for --etcd-endpoints: empty list"#),
            (["svc/", "a:1?weight=3", "-", "-"], "for --etcd-endpoints: neither priority nor"),
            ([&long, "a:1", "-", "-"], "for --registry-prefix: more than 512 bytes"),
        ] {
            let message = parse(&typed(values)).expect_err(want).to_string();
            assert!(message.contains(want), "{message}");
        }
        let message = parse(&typed(["svc/", "https://a:1", "-", "-"])).map_err(|e| e.to_string());
        assert_eq!(message.is_ok(), CAN_VERIFY, "{message:?}");
    }

    #[test]
    fn flags_without_effect_are_known() {
        for (values, want) in [
            (["-"; 4], &[][..]),
            (["", "-", "-", "-"], &["registry-prefix empty_value"]),
            (["-", "a:1", "-", "-"], &["etcd-endpoints no_registry_prefix"]),
            (
                ["-", "a:1", "u", "f"],
                &[
                    "etcd-endpoints no_registry_prefix",
                    "user no_registry_prefix",
                    "password-file no_registry_prefix",
                ],
            ),
            (["a", "a:1", "", "-"], &["user empty_value"]),
            (["a", "a:1", "u", "f"], &[]),
        ] {
            let typed = typed(values);
            let registry = parse(&typed).expect("nothing to refuse");
            let found = unused(&typed, registry.as_ref());
            let found: Vec<String> =
                found.iter().map(|unused| format!("{} {}", unused.flag, unused.reason)).collect();
            assert_eq!(found, want, "{values:?}");
        }
    }
}
