//! Limits of what etcd may answer: in bytes, and in what is kept of it.

/// Most bytes of one answer or one message of a watch. etcd refuses requests of more than 1.5 MiB
/// by default (`--max-request-bytes`), a value is never longer, and base64 makes 2 MiB of it.
pub const ETCD_ANSWER_BYTES_MAX: usize = 4 << 20;
/// Most bytes of the answer to a question about the member itself. Two alarms of each member of
/// the largest cluster are 30 KiB.
pub const ETCD_STATUS_BYTES_MAX: usize = 64 * 1024;
/// Most values of JSON in one answer: one takes up to 200 bytes of memory where it has two in the
/// text, and an answer that is meant has less than ten for each key or member.
pub const ETCD_JSON_VALUES_MAX: usize = 1 << 15;
/// Most alarms that are kept of one member's status: both kinds for each member.
pub const ETCD_ALARMS_MAX: usize = 512;
/// Most characters that are kept of a text that is meant for the log.
pub const ETCD_TEXT_CHARACTERS_MAX: usize = 120;
/// Most members of a list. etcd advises seven.
pub const ETCD_MEMBERS_MAX: usize = super::ENDPOINTS_MAX;
/// Most client URLs of one member: a process listens on a few addresses.
pub const ETCD_URLS_PER_MEMBER_MAX: usize = 16;
/// Most bytes of a client URL: a host name of 253 and a path that has no meaning.
pub const ETCD_URL_BYTES_MAX: usize = 512;
/// Most keys that are asked for in one range; the rest comes in further ones.
pub const ETCD_PAGE_KEYS: u32 = 512;
/// Most bytes of a token: a JSON web token of a few claims has less than one KiB, and etcd's own
/// has 22 bytes.
pub const ETCD_TOKEN_BYTES_MAX: usize = 4096;
/// Most bytes of a registered value that is read: some registries describe every method in it.
pub const REGISTRY_VALUE_BYTES_MAX: usize = 64 * 1024;
/// Most addresses of one registered value: a service has one, or one for each protocol.
pub const REGISTRY_ADDRESSES_MAX: usize = 16;

const _: () = assert!(ETCD_STATUS_BYTES_MAX <= ETCD_ANSWER_BYTES_MAX);
const _: () = assert!(ETCD_JSON_VALUES_MAX * 200 < 8 << 20, "a hostile answer takes 8 MiB");
// A page whose keys are services fits: a value of JSON for each field, a sign for each of those.
const _: () = assert!(ETCD_PAGE_KEYS as usize * 32 <= ETCD_JSON_VALUES_MAX);
const _: () = assert!(ETCD_PAGE_KEYS > 0);
// A list of members fits.
const _: () =
    assert!(ETCD_MEMBERS_MAX * (ETCD_URLS_PER_MEMBER_MAX * 4 + 24) <= ETCD_JSON_VALUES_MAX);
