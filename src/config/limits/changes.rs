//! Limits of what is remembered and told of endpoints and names that come and go.
//!
//! No flag sets them.

use std::time::Duration;

use super::ENDPOINTS_MAX;

/// How long something is remembered that is not there any more: the bad health of an endpoint, and
/// that the log was told why another is not used. Name servers that give a part of a large set give
/// each address again within a few lives of their answers, of which a minute is a usual one. An
/// endpoint that returns is probed soon, whatever its pause was.
pub const ABSENCE_MAX: Duration = Duration::from_secs(600);
/// Most endpoints whose bad health is remembered in their absence; the oldest are forgotten first.
pub const ABSENT_MAX: usize = 2 * ENDPOINTS_MAX;
/// Most addresses and records whose exclusion is remembered as logged; the oldest are forgotten
/// first.
pub const EXCLUSIONS_REPORTED_MAX: usize = 2 * ENDPOINTS_MAX;
/// Most errors of one name that are remembered as logged; the oldest are forgotten first.
pub const ERRORS_REPORTED_MAX: usize = 16;
/// Changes of endpoints that are told at once, each by a line of its own. After that there is one
/// line for each [`super::SUMMARY_INTERVAL`], and as many again after so many quiet ones.
pub const CHANGES_AT_ONCE: u32 = 16;
/// The same for endpoints that were not there before: as many as there can be.
pub const NEWCOMERS_AT_ONCE: u32 = ENDPOINTS_MAX as u32;
/// Most endpoints that are remembered as told of; the oldest are forgotten first.
pub const NEWCOMERS_KNOWN_MAX: usize = 2 * ENDPOINTS_MAX;
/// The same for what is wrong with names: one server that dies is wrong with all of them.
pub const TROUBLES_AT_ONCE: u32 = 32;
/// Most endpoints or names of each kind of change that such a line names; the others are counted.
pub const CHANGES_NAMED_MAX: usize = 16;

const _: () = assert!(
    CHANGES_AT_ONCE > 0 && TROUBLES_AT_ONCE > 0 && CHANGES_NAMED_MAX > 0 && ERRORS_REPORTED_MAX > 0
);
// All that can be there at a time can be remembered once it is gone.
const _: () = assert!(ABSENT_MAX >= ENDPOINTS_MAX && EXCLUSIONS_REPORTED_MAX >= ENDPOINTS_MAX);
