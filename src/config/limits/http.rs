//! Limits of the HTTP client, which asks endpoints about themselves. No flag sets them.

/// Most bytes of the head of an answer, of its trailers, and of the head of a chunk with its
/// extensions. A head of etcd has 150 bytes; reverse proxies in front of one allow 8 to 16 KiB.
pub const HTTP_HEAD_BYTES_MAX: usize = 16 * 1024;
/// Most fields in the head of an answer, and as many in its trailers.
pub const HTTP_FIELDS_MAX: usize = 64;
/// Most interim answers (1xx) before the final one.
pub const HTTP_INTERIM_MAX: u8 = 4;
/// Bytes of content that each byte of the framing of chunks needs, beyond as many bytes of framing
/// as a head may have. A chunk costs as much time as hundreds of bytes, and has 7 bytes of framing
/// as a rule: on the average it has 28 bytes at least. Those of etcd have one message each.
pub const HTTP_FRAMING_WEIGHT: usize = 4;
/// Most bytes of the answer to a health check: the status of a member has 400.
pub const HTTP_CHECK_BYTES_MAX: usize = 64 * 1024;
/// Most connections at a time of one source of endpoints that asks servers: a registry has one for
/// its watch, and one each for ranges and heartbeats.
pub const SOURCE_LINES_MAX: usize = 3;
/// Descriptors of one connection of a source of endpoints.
pub const DESCRIPTORS_PER_LINE: usize = 1;
/// Most things that a source does over its connections at once: it closes each and opens each.
pub const SOURCE_ASKS_MAX: usize = 4 * SOURCE_LINES_MAX;
/// Most attempts of one run of discovery to carry out what sources ask: those that fail at once are
/// followed by others.
pub const SOURCE_ATTEMPTS_MAX: usize = 64;

const _: () = assert!(HTTP_FIELDS_MAX > 0);
// The shortest field has a name of one letter, a colon and the end of its line.
const _: () = assert!(HTTP_HEAD_BYTES_MAX >= 4 * HTTP_FIELDS_MAX);
const _: () = assert!(HTTP_FRAMING_WEIGHT > 0);
// All endpoints are checked at once, and their answers together stay small.
const _: () = assert!(super::ENDPOINTS_MAX * HTTP_CHECK_BYTES_MAX <= 16 << 20);
