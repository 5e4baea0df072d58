//! What the log is to be told of discovery: each thing once, and again only after it has changed.
//!
//! Owns what was told. Pure: the reactor writes the lines.

use std::fmt;

use super::watch::{Trouble, Watch};
use crate::dns::Subject;

/// Something that the log should tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// The name is no help at present.
    NotResolved {
        /// As asked for.
        name: String,
        /// Why.
        reason: Trouble,
    },
    /// It is one again.
    ResolvedAgain {
        /// As asked for.
        name: String,
    },
    /// The record is not used.
    LeftOut {
        /// Host and port of the record.
        name: String,
        /// Why.
        reason: LeftOut,
    },
    /// The name servers list no endpoint at all; those of before stay.
    Kept,
}

/// Why something that was found is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftOut {
    /// It is listed as one without TLS, so nobody could find out who it is.
    Insecure,
    /// There are more than [`ENDPOINTS_MAX`].
    TooMany,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LeftOut::Insecure => "insecure",
            LeftOut::TooMany => "too_many",
        })
    }
}

/// What was told, and what is still to be.
#[derive(Debug, Default)]
pub(super) struct Reports {
    untold: Vec<Report>,
    /// Records that are left out at present.
    left_out: Vec<(String, LeftOut)>,
    is_kept: bool,
}

impl Reports {
    /// Notes what is news about the names.
    pub(super) fn look_at<'a>(&mut self, watches: impl Iterator<Item = &'a mut Watch>) {
        let watches: Vec<&mut Watch> = watches.collect();
        let is_service = |watch: &&&mut Watch| watch.subject() == Subject::Service;
        let mut services = watches.iter().filter(is_service);
        let has_service = services.clone().any(|watch| !watch.services().is_empty());
        let is_settled = services.all(|watch| watch.is_settled());
        for watch in watches {
            // Of the two sets of records one is enough, so to lack the other is no trouble.
            let is_missing = watch.subject() == Subject::Service
                && matches!(watch.trouble(), Some(Trouble::NoSuchName | Trouble::NoRecord));
            if is_missing && (has_service || !is_settled) {
                continue;
            }
            let name = || watch.wanted().to_string();
            match (watch.told_trouble(), watch.trouble()) {
                (told, Some(reason)) if told != Some(reason) => {
                    self.untold.push(Report::NotResolved { name: name(), reason });
                }
                (Some(_), None) => self.untold.push(Report::ResolvedAgain { name: name() }),
                _ => continue,
            }
            watch.tell_trouble();
        }
    }

    /// Notes the records that are left out now.
    pub(super) fn note_left_out(&mut self, left_out: Vec<(String, LeftOut)>) {
        for item in left_out.iter().filter(|item| !self.left_out.contains(item)) {
            let (name, reason) = item.clone();
            self.untold.push(Report::LeftOut { name, reason });
        }
        self.left_out = left_out;
    }

    /// Notes whether endpoints are kept that nobody lists.
    pub(super) fn note_kept(&mut self, is_kept: bool) {
        if is_kept && !self.is_kept {
            self.untold.push(Report::Kept);
        }
        self.is_kept = is_kept;
    }

    pub(super) fn take(&mut self) -> Vec<Report> {
        std::mem::take(&mut self.untold)
    }
}
