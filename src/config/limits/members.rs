//! Numbers of the list of members that is followed, and of the file that keeps it.

use std::time::Duration;

/// Pause after the first round without a list; each further one is twice as long, up to the
/// interval.
pub const FOLLOW_RETRY_MIN: Duration = Duration::from_secs(1);
/// Shortest time from one round of questions to the next, whatever gives rise to it.
pub const FOLLOW_SPACING: Duration = Duration::from_secs(1);
/// Time over which the gateways of a fleet spread their questions after an event that all see.
pub const FOLLOW_SPREAD: Duration = Duration::from_secs(1);
/// Time for which members with a leader have to say older things than are known, and no member
/// newer ones, until they are believed: the cluster was restored from a backup. A member that was
/// removed or cut off has a leader for two seconds at the longest.
pub const FOLLOW_REWIND_AFTER: Duration = Duration::from_secs(60);
/// Most bytes of the file of `--state-file`: [`super::ENDPOINTS_MAX`] URLs, and as many starting
/// points, with long names.
pub const STATE_FILE_BYTES_MAX: usize = 192 * 1024;

const _: () = assert!(FOLLOW_RETRY_MIN.as_nanos() > 0);
const _: () = assert!(FOLLOW_SPREAD.as_nanos() > 0 && FOLLOW_SPACING.as_nanos() > 0);
// A line has a host of up to 253 characters, a scheme, a port and the number of the member.
// The same without a scheme and a number is a starting point.
const _: () = assert!(super::ENDPOINTS_MAX * 2 * (253 + 64) + 256 <= STATE_FILE_BYTES_MAX);
