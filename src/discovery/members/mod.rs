//! A source of endpoints: the list of members of etcd, as the members have it.
//!
//! The endpoints are the client URLs of started voters. Those of the other sources are where it
//! begins, and are asked again where no member of the list can be. Pure: who is asked when is in
//! `inquiry.rs`, whether a list is believed in `belief.rs`, the hosts of its URLs in `hosts.rs`,
//! the file that keeps it in `record.rs`.

mod belief;
mod hosts;
mod inquiry;
mod record;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::{Duration, Instant};

pub use belief::{KnownMembers, Refusal};
pub use record::{Record, RecordError, StartingPoints};

use belief::{Belief, Followed, Said};
use hosts::{host, is_resolved, needed};
use inquiry::{Inquiry, Question, Step};

use super::finding::{Excluded, Exclusion, Finding, Item, SourceLabel};
use super::inquiry::{Ask, Heard, Inputs};
use super::names::{Names, Needed};
use super::retiring::{self, RetiringRecords};
use super::source::{Configured, Host, Ranked, Source, State};
use crate::address::Address;
use crate::config::{ABSENCE_MAX, EXCLUSIONS_REPORTED_MAX};
use crate::proto::etcd::SkipReason;
use crate::proto::etcd::members::{self, ClientUrl, MemberList};
use crate::proto::etcd::status::{self, Status};
use crate::proto::http1::{Delivery, Response};
use crate::recent::Recent;

/// The only line.
const LINE: u8 = 0;
/// The kind of this source, in one word.
const KIND: &str = "members";

/// How members are followed.
#[derive(Clone, Debug)]
pub struct FollowMembers {
    /// From one round of questions to the next; above 0.
    pub interval: Duration,
    /// For connecting to a member, and again for each answer.
    pub time_limit: Duration,
    /// Where a list is kept; `None`: nowhere.
    pub file: Option<PathBuf>,
    /// Where members are first asked, as it is kept with the list.
    pub starting_points: StartingPoints,
    /// The list that was kept; `None`: none, or none that could be read.
    pub remembered: Option<KnownMembers>,
}

/// The members of a cluster.
#[derive(Debug)]
pub(super) struct Members {
    time_limit: Duration,
    file: Option<PathBuf>,
    starting_points: StartingPoints,
    belief: Belief,
    /// What the member that is asked has said so far.
    said: Said,
    records: RetiringRecords<ClientUrl>,
    skipped: Vec<(String, SkipReason)>,
    inquiry: Inquiry,
    /// Whether there is something to be kept that was not handed out yet.
    has_record: bool,
    /// Whether what was handed out last could not be written.
    is_unwritten: bool,
    findings: Vec<Finding>,
    /// Refusals that were reported not long ago.
    reported: Recent<(Address, Refusal), ()>,
    /// The refusal of the last member that was asked in this round.
    refusal: Option<Refusal>,
    /// Whether it was reported that no member gives a list.
    is_unknown: bool,
}

impl Configured for FollowMembers {
    fn into_source(self) -> Ranked {
        Ranked::followed(Members::new(self))
    }
}

impl retiring::Record for ClientUrl {
    fn is_like(&self, other: &ClientUrl) -> bool {
        self == other
    }
}

impl Members {
    pub(super) fn new(settings: FollowMembers) -> Members {
        let FollowMembers { interval, time_limit, file, starting_points, remembered } = settings;
        Members {
            time_limit,
            file,
            starting_points,
            belief: Belief::remembered(remembered),
            said: Said::default(),
            records: RetiringRecords::default(),
            skipped: Vec::new(),
            inquiry: Inquiry::new(interval),
            has_record: false,
            is_unwritten: false,
            findings: Vec::new(),
            reported: Recent::new(ABSENCE_MAX, EXCLUSIONS_REPORTED_MAX),
            refusal: None,
            is_unknown: false,
        }
    }

    /// Takes an answer. Returns whether other members are followed.
    fn on_response(&mut self, question: Question, response: &Response, now: Instant) -> bool {
        let is_absent = matches!(response.status, 404 | 405 | 501);
        if is_absent && self.inquiry.ask_as_beta(question) {
            return false;
        }
        if response.status != 200 {
            return self.refuse(Refusal::of_response(response), now);
        }
        match question {
            Question::Status => match status::parse(&response.body) {
                Ok(status) => self.on_status(status, now),
                Err(malformed) => self.refuse(Refusal::Unanswered(malformed.word()), now),
            },
            Question::Glance | Question::List => match members::parse(&response.body) {
                Ok(list) => self.on_list(question, list, now),
                Err(malformed) => self.refuse(Refusal::Unanswered(malformed.word()), now),
            },
        }
    }

    fn on_status(&mut self, status: Status, now: Instant) -> bool {
        if let Err(reason) = status.serving() {
            return self.refuse(Refusal::NotServing(reason), now);
        }
        match std::mem::take(&mut self.said) {
            Said::List(before, list) => return self.conclude(&before, &list, &status, now),
            Said::Nothing | Said::Status(_) => self.said = Said::Status(status),
        }
        self.inquiry.ask(Question::List);
        false
    }

    fn on_list(&mut self, question: Question, list: MemberList, now: Instant) -> bool {
        if question == Question::Glance {
            match self.belief.confirms(&list) {
                Ok(true) => self.finish(),
                Ok(false) => self.inquiry.ask(Question::Status),
                Err(refusal) => return self.refuse(refusal, now),
            }
            return false;
        }
        self.said.add(list);
        self.inquiry.ask(Question::Status);
        false
    }

    /// Follows a list, or not, by the statuses before it and after it.
    fn conclude(
        &mut self,
        before: &Status,
        list: &MemberList,
        after: &Status,
        now: Instant,
    ) -> bool {
        match self.belief.follow([before, after], list, now) {
            Ok(followed) => self.on_followed(list, followed),
            Err(Refusal::NoUsableUrl) => {
                (_, self.skipped) = members::client_endpoints(list);
                self.refuse(Refusal::NoUsableUrl, now);
                // There is nothing else, but the log should show why.
                true
            }
            Err(refusal) => self.refuse(refusal, now),
        }
    }

    fn on_followed(&mut self, list: &MemberList, followed: Followed) -> bool {
        let Followed { is_changed, skipped } = followed;
        let has_skipped = skipped != self.skipped;
        self.skipped = skipped;
        self.has_record = true;
        self.finish();
        if let (true, Some(target), Some(known)) =
            (is_changed, self.inquiry.target(), self.belief.known())
        {
            self.findings.push(Finding::MembersFollowed {
                urls: known.urls.len(),
                cluster_id: list.cluster_id,
                raft_term: list.raft_term,
                endpoint: target.address.clone(),
            });
        }
        is_changed || has_skipped
    }

    fn finish(&mut self) {
        self.inquiry.finish();
        self.refusal = None;
        self.has_record |= self.is_unwritten;
        if std::mem::take(&mut self.is_unknown) {
            self.findings.push(Finding::MembersKnown);
        }
    }

    /// The member that was asked gave no list that is believed.
    fn refuse(&mut self, reason: Refusal, now: Instant) -> bool {
        self.said = Said::default();
        self.refusal = Some(reason);
        self.inquiry.pass_on();
        let Some(target) = self.inquiry.target() else { return false };
        let key = (target.address.clone(), reason);
        if self.reported.take(&key, now).is_none() {
            let endpoint = target.address.clone();
            self.findings.push(Finding::MembersRefused { endpoint, reason });
        }
        self.reported.insert(key, (), now);
        self.reported.forget(now);
        false
    }

    /// Reports once that a round has brought nothing.
    fn note_failure(&mut self) {
        if let Some(reason) = self.refusal
            && self.inquiry.failures() > 0
            && !std::mem::replace(&mut self.is_unknown, true)
        {
            self.findings.push(Finding::MembersUnknown { reason });
        }
    }

    /// The step as an ask; `None` where the request cannot be sent, which counts as an answer.
    fn ask_of(&mut self, step: Step, now: Instant) -> Option<Ask> {
        let (target, question) = match step {
            Step::Close => return Some(Ask::Close),
            Step::Open(target, question) => (Some(target), question),
            Step::Send(question) => (None, question),
        };
        let Ok(request) = self.inquiry.request(question) else {
            self.refuse(Refusal::Unanswered("host_not_sendable"), now);
            return None;
        };
        let time_limit = self.time_limit;
        Some(match target {
            Some(target) => Ask::Open { target, request, delivery: Delivery::Whole, time_limit },
            None => Ask::Send { request, time_limit },
        })
    }
}

impl Source for Members {
    fn label(&self) -> SourceLabel {
        let known = self.belief.known();
        let subject = known.map_or("unknown".into(), |known| format!("{:x}", known.cluster_id));
        SourceLabel { source: KIND, key: "cluster", subject }
    }

    fn names(&self) -> Vec<Needed> {
        self.records.in_effect().filter_map(needed).collect()
    }

    fn update(&mut self, names: &Names, is_interim: bool, now: Instant) -> Vec<Excluded> {
        if let Some(known) = self.belief.known() {
            self.records.replace(known.urls.clone(), is_interim, now);
        }
        if self.records.listed().iter().all(|url| is_resolved(url, names)) {
            self.records.complete();
        }
        let skipped = self.skipped.iter();
        skipped.map(|(url, reason)| (Item::Name(url.clone()), Exclusion::Url(*reason))).collect()
    }

    fn state(&self, _: &Names) -> State {
        match self.records.listed().is_empty() {
            true => State::Learning,
            false => State::Listing,
        }
    }

    fn hosts(&self, names: &Names) -> Vec<Host> {
        self.records.in_effect().map(|url| host(url, names)).collect()
    }

    fn is_in_transition(&self) -> bool {
        self.records.is_under_way()
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.records.deadline().into_iter().chain(self.inquiry.deadline()).min()
    }

    fn expire(&mut self, now: Instant) -> bool {
        self.inquiry.expire(now);
        self.records.expire(now)
    }

    fn may_change(&self) -> bool {
        true
    }

    fn asks_members(&self) -> bool {
        true
    }

    fn is_asking(&self, _: Instant) -> bool {
        self.inquiry.is_under_way()
    }

    fn next_ask(
        &mut self,
        inputs: &Inputs<'_>,
        now: Instant,
        random: &mut dyn FnMut() -> u64,
    ) -> Option<(u8, Ask)> {
        let is_known = self.belief.known().is_some();
        loop {
            let step = self.inquiry.next_step(inputs.members, is_known, now, random);
            self.note_failure();
            if let Some(ask) = self.ask_of(step?, now) {
                return Some((LINE, ask));
            }
        }
    }

    fn on_heard(&mut self, _: u8, heard: Heard, now: Instant) -> bool {
        let Some(question) = self.inquiry.awaited() else {
            self.inquiry.on_closed();
            return false;
        };
        match heard {
            Heard::Response(response) => self.on_response(question, &response, now),
            // It is asked again over a new connection.
            Heard::Closed => {
                self.inquiry.on_closed();
                self.inquiry.ask(question);
                false
            }
            Heard::Failed(word) => {
                self.inquiry.on_closed();
                self.refuse(Refusal::Unanswered(word), now)
            }
            Heard::Head(_) | Heard::Part(_) | Heard::End => {
                debug_assert!(false, "answers come in one piece");
                false
            }
        }
    }

    fn on_doubt(&mut self, _: Instant) {
        self.inquiry.doubt();
    }

    fn take_findings(&mut self) -> Vec<Finding> {
        std::mem::take(&mut self.findings)
    }

    fn take_record(&mut self) -> Option<Record> {
        if !std::mem::take(&mut self.has_record) {
            return None;
        }
        let bytes = record::write(&self.starting_points, self.belief.known()?);
        Some(Record { path: self.file.clone()?, bytes })
    }

    fn on_recorded(&mut self, is_written: bool) -> bool {
        std::mem::replace(&mut self.is_unwritten, !is_written) == is_written
    }
}
