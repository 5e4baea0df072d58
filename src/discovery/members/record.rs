//! The file that keeps the last list of members, as text. Pure.
//!
//! ```text
//!   etcd-gateway members 1
//!   start 10.9.8.7:2379
//!   cluster 9808987074649990531
//!   term 5
//!   applied 1234
//!   member 990411800575991618 http://10.9.8.7:2379
//!   end
//! ```
//!
//! The last line shows that the file is whole. All of it is right, or nothing of it counts. Where
//! members were first asked, it begins with: a file that was written from other starting points may
//! be of another cluster, which may still run, and would outvote what was typed.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};
use std::path::PathBuf;

use super::belief::KnownMembers;
use crate::config::{ENDPOINTS_MAX, STATE_FILE_BYTES_MAX};
use crate::proto::etcd::members::{ClientUrl, client_url};

/// The first line, with the version of the format.
const FIRST_LINE: &str = "etcd-gateway members 1";
/// The beginning of the first line in any version.
const KIND: &str = "etcd-gateway members ";
const LAST_LINE: &str = "end";
/// Before a starting point.
const START: &str = "start ";

/// A file to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where.
    pub path: PathBuf,
    /// All of it: at most [`STATE_FILE_BYTES_MAX`] bytes.
    pub bytes: Vec<u8>,
}

impl Record {
    /// Whether a file with these bytes may be replaced by a record: one that is empty, or begins as
    /// a record does, whole or not. After a loss of power some file systems show zeros where bytes
    /// were not on the disk yet.
    pub fn may_replace(bytes: &[u8]) -> bool {
        let kind = KIND.as_bytes();
        let is_lost = bytes.len() <= STATE_FILE_BYTES_MAX && bytes.iter().all(|byte| *byte == 0);
        is_lost || bytes.starts_with(kind) || kind.starts_with(bytes)
    }
}

/// Why a file is not one that was written so. Shown as one word of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordError {
    /// No bytes.
    Empty,
    /// A file of another kind, which is not ours to replace.
    Foreign,
    /// More than [`STATE_FILE_BYTES_MAX`] bytes.
    TooLong,
    /// One of another version of this program.
    OtherVersion,
    /// Its end is missing.
    Incomplete,
    /// A line is wrong.
    Malformed,
    /// It was written from other starting points, and none of its members is one now.
    OtherStart,
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RecordError::Empty => "empty",
            RecordError::Foreign => "foreign_file",
            RecordError::TooLong => "too_long",
            RecordError::OtherVersion => "other_version",
            RecordError::Incomplete => "incomplete",
            RecordError::Malformed => "malformed",
            RecordError::OtherStart => "other_endpoints",
        })
    }
}

/// Where members are first asked: endpoints as `host:port`, and domains of SRV records. Of more
/// than [`ENDPOINTS_MAX`] the first ones in the order of their texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StartingPoints(BTreeSet<String>);

impl FromIterator<String> for StartingPoints {
    fn from_iter<T: IntoIterator<Item = String>>(texts: T) -> StartingPoints {
        let all: BTreeSet<String> =
            texts.into_iter().map(|text| text.to_ascii_lowercase()).collect();
        StartingPoints(all.into_iter().take(ENDPOINTS_MAX).collect())
    }
}

impl StartingPoints {
    fn has(&self, text: String) -> bool {
        self.0.contains(&text.to_ascii_lowercase())
    }
}

/// The file that keeps this list, which began at these starting points.
pub(super) fn write(starting_points: &StartingPoints, known: &KnownMembers) -> Vec<u8> {
    let KnownMembers { cluster_id, raft_term, applied, urls } = known;
    let mut text = format!("{FIRST_LINE}\n");
    for start in &starting_points.0 {
        let _ = writeln!(text, "{START}{start}");
    }
    let _ = writeln!(text, "cluster {cluster_id}\nterm {raft_term}\napplied {applied}");
    for ClientUrl { member_id, scheme, host, port } in urls {
        let _ = writeln!(text, "member {member_id} {scheme}://{host}:{port}");
    }
    text.push_str(LAST_LINE);
    text.push('\n');
    debug_assert!(text.len() <= STATE_FILE_BYTES_MAX, "longer than what is read");
    text.into_bytes()
}

impl KnownMembers {
    /// Reads what a file has, if one of these starting points is one of its own, or a member.
    ///
    /// # Errors
    /// [`RecordError`]: then nothing of it counts.
    pub fn read(
        bytes: &[u8],
        starting_points: &StartingPoints,
    ) -> Result<KnownMembers, RecordError> {
        if bytes.is_empty() {
            return Err(RecordError::Empty);
        }
        if !Record::may_replace(bytes) {
            return Err(RecordError::Foreign);
        }
        if bytes.len() > STATE_FILE_BYTES_MAX {
            return Err(RecordError::TooLong);
        }
        let text = str::from_utf8(bytes).map_err(|_| RecordError::Malformed)?;
        let first = text.lines().next().unwrap_or_default();
        if first != FIRST_LINE {
            return Err(match first.starts_with(KIND) {
                true => RecordError::OtherVersion,
                false => RecordError::Incomplete,
            });
        }
        let whole = text.strip_suffix(&format!("\n{LAST_LINE}\n"));
        let lines: Vec<&str> = whole.ok_or(RecordError::Incomplete)?.lines().skip(1).collect();
        let starts = lines.iter().take_while(|line| line.starts_with(START)).count();
        let (starts, lines) = lines.split_at(starts);
        let known = read_lines(lines.iter().copied()).ok_or(RecordError::Malformed)?;
        let starts = starts.iter().filter_map(|line| line.strip_prefix(START));
        let urls = known.urls.iter().map(|url| format!("{}:{}", url.host, url.port));
        match starts.map(str::to_owned).chain(urls).any(|text| starting_points.has(text)) {
            true => Ok(known),
            false => Err(RecordError::OtherStart),
        }
    }
}

fn read_lines<'a>(mut lines: impl Iterator<Item = &'a str>) -> Option<KnownMembers> {
    let cluster_id = number(lines.next()?, "cluster ")?;
    let raft_term = number(lines.next()?, "term ")?;
    let applied = number(lines.next()?, "applied ")?;
    let urls: Vec<ClientUrl> = lines.map(read_member).collect::<Option<_>>()?;
    let is_valid = cluster_id != 0 && (1..=ENDPOINTS_MAX).contains(&urls.len());
    is_valid.then_some(KnownMembers { cluster_id, raft_term, applied, urls })
}

fn number(line: &str, key: &str) -> Option<u64> {
    let digits = line.strip_prefix(key)?;
    // Not the plus sign that a parser of numbers takes.
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| is_number)
}

fn read_member(line: &str) -> Option<ClientUrl> {
    let (id, url) = line.strip_prefix("member ")?.split_once(' ')?;
    client_url(number(id, "").filter(|id| *id != 0)?, url).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ETCD_URL_BYTES_MAX;

    fn known(urls: &[(u64, &str)]) -> KnownMembers {
        let urls = urls.iter().map(|(id, url)| client_url(*id, url).expect(url)).collect();
        KnownMembers { cluster_id: u64::MAX, raft_term: 5, applied: 1234, urls }
    }

    fn starting_points(texts: &[&str]) -> StartingPoints {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn what_is_written_is_read() {
        let urls =
            [(1, "http://10.0.0.1:2379"), (u64::MAX, "https://[fe80::1]:1"), (1, "http://a.b.:2")];
        let known = known(&urls);
        let starts = starting_points(&["M1.test:2379", "10.0.0.1:2379", "example.com"]);
        let text = String::from_utf8(write(&starts, &known)).expect("text");
        let want = "etcd-gateway members 1\nstart 10.0.0.1:2379\nstart example.com\n\
                    start m1.test:2379\ncluster 18446744073709551615\nterm 5\napplied 1234\n\
                    member 1 http://10.0.0.1:2379\n\
                    member 18446744073709551615 https://[fe80::1]:1\n\
                    member 1 http://a.b.:2\nend\n";
        assert_eq!(text, want);
        for (starts, want) in [
            (starts, Ok(known.clone())),
            // One of them is enough: others may have been added, or be gone.
            (starting_points(&["10.0.0.9:1", "m1.TEST:2379"]), Ok(known.clone())),
            (starting_points(&["[fe80::1]:1"]), Ok(known.clone())),
            (starting_points(&["A.B.:2"]), Ok(known)),
            (starting_points(&["m1.test:2380", "10.0.0.1"]), Err(RecordError::OtherStart)),
            (starting_points(&[]), Err(RecordError::OtherStart)),
        ] {
            assert_eq!(KnownMembers::read(text.as_bytes(), &starts), want, "{starts:?}");
        }
    }

    #[test]
    fn the_largest_list_fits() {
        let label = "a".repeat(62);
        let name = format!("https://{label}.{label}.{label}.{label}:65535");
        assert!(name.len() < ETCD_URL_BYTES_MAX);
        let known = known(&vec![(u64::MAX, name.as_str()); ENDPOINTS_MAX]);
        let starts = (0..2 * ENDPOINTS_MAX).map(|number| format!("{}:{}", &name[8..], number));
        let starts = starts.collect();
        assert_eq!(KnownMembers::read(&write(&starts, &known), &starts), Ok(known));
    }

    #[test]
    fn a_file_counts_as_a_whole_or_not_at_all() {
        let starts = starting_points(&["10.0.0.1:2379"]);
        let good = known(&[(1, "http://10.0.0.1:2379")]);
        let good = String::from_utf8(write(&starts, &good)).expect("text");
        let long = "a".repeat(STATE_FILE_BYTES_MAX + 1);
        let zeros = "\0".repeat(STATE_FILE_BYTES_MAX);
        for (text, want) in [
            (String::new(), RecordError::Empty),
            ("127.0.0.1 localhost\n".to_owned(), RecordError::Foreign),
            ("\n".to_owned(), RecordError::Foreign),
            (good.replace("etcd-gateway", " etcd-gateway"), RecordError::Foreign),
            ("etcd-gateway member\n".to_owned(), RecordError::Foreign),
            (format!("{zeros}\0"), RecordError::Foreign),
            (long.clone(), RecordError::Foreign),
            (format!("{good}{long}"), RecordError::TooLong),
            (zeros, RecordError::Incomplete),
            ("etcd-gat".to_owned(), RecordError::Incomplete),
            (good.replace("members 1", "members 2"), RecordError::OtherVersion),
            (good.replace("end\n", ""), RecordError::Incomplete),
            (good.replace("end\n", "end"), RecordError::Incomplete),
            (format!("{good}x"), RecordError::Incomplete),
            ("etcd-gateway members 1\nend\n".to_owned(), RecordError::Malformed),
            (good.replace("cluster 18446744073709551615", "cluster 0"), RecordError::Malformed),
            (good.replace("term 5", "term +5"), RecordError::Malformed),
            (good.replace("term 5", "term"), RecordError::Malformed),
            (good.replace("applied 1234\n", ""), RecordError::Malformed),
            (good.replace("member 1 http://10.0.0.1:2379\n", ""), RecordError::Malformed),
            (good.replace("member 1 ", "member 0 "), RecordError::Malformed),
            (good.replace("//10.0.0.1", "//127.0.0.1"), RecordError::Malformed),
            (good.replace("start ", "stop "), RecordError::Malformed),
            (good.replace("10.0.0.1", "10.0.0.2"), RecordError::OtherStart),
            (good.replace("http:", "ftp:"), RecordError::Malformed),
            (good.replace("end", "\n\nend"), RecordError::Malformed),
        ] {
            assert_eq!(KnownMembers::read(text.as_bytes(), &starts), Err(want), "{text:?}");
            let is_foreign = want == RecordError::Foreign;
            assert_eq!(Record::may_replace(text.as_bytes()), !is_foreign, "{text:?}");
        }
        for end in 0..good.len() {
            let cut = &good.as_bytes()[..end];
            assert!(KnownMembers::read(cut, &starts).is_err(), "{end}");
            assert!(Record::may_replace(cut), "{end}");
        }
        let damaged = [good.as_bytes(), b"\xff"].concat();
        assert_eq!(KnownMembers::read(&damaged, &starts), Err(RecordError::Malformed));
        assert_eq!(KnownMembers::read(b"\xff", &starts), Err(RecordError::Foreign));
    }
}
