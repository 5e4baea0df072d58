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

const _: () = assert!(ETCD_STATUS_BYTES_MAX <= ETCD_ANSWER_BYTES_MAX);
const _: () = assert!(ETCD_JSON_VALUES_MAX * 200 < 8 << 20, "a hostile answer takes 8 MiB");
