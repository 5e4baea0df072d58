//! Limits of the memory and of the log lines about endpoints and names that come and go.
//!
//! No flag sets them.

use std::time::Duration;

use super::ENDPOINTS_MAX;

/// How long the bad health of an endpoint is remembered in its absence, and that the reason was
/// logged for which an endpoint is not used. Name servers that answer with a part of a large set
/// return to each address within a few times the TTL, which is often a minute. An endpoint that
/// returns is probed soon, however long its pause was.
pub const ABSENCE_MAX: Duration = Duration::from_secs(600);
/// Most endpoints whose bad health is remembered in their absence; the oldest is forgotten first.
pub const ABSENT_MAX: usize = 2 * ENDPOINTS_MAX;
/// Most addresses and records whose exclusion is remembered as logged; the oldest is forgotten
/// first.
pub const EXCLUSIONS_REPORTED_MAX: usize = 2 * ENDPOINTS_MAX;
/// Most errors of one name that are remembered as logged; the oldest is forgotten first.
pub const ERRORS_REPORTED_MAX: usize = 16;
/// Changes of endpoints that are logged at once, by a line each. Further changes share lines, and
/// each [`super::SUMMARY_INTERVAL`] allows one more line, up to this many again.
pub const CHANGES_AT_ONCE: u32 = 16;
/// The same for endpoints that are new: as many as there can be.
pub const NEWCOMERS_AT_ONCE: u32 = ENDPOINTS_MAX as u32;
/// Most endpoints that are remembered as logged; the oldest is forgotten first.
pub const NEWCOMERS_KNOWN_MAX: usize = 2 * ENDPOINTS_MAX;
/// The same for errors of names: a name server that dies causes one for each of them.
pub const TROUBLES_AT_ONCE: u32 = 32;
/// Most endpoints or names that the line of an interval lists for each kind of change; the others
/// are counted.
pub const CHANGES_NAMED_MAX: usize = 16;

const _: () = assert!(
    CHANGES_AT_ONCE > 0 && TROUBLES_AT_ONCE > 0 && CHANGES_NAMED_MAX > 0 && ERRORS_REPORTED_MAX > 0
);
// All endpoints that can be there at a time can be remembered once they are gone.
const _: () = assert!(ABSENT_MAX >= ENDPOINTS_MAX && EXCLUSIONS_REPORTED_MAX >= ENDPOINTS_MAX);
