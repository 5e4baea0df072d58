//! What answers say, against the truth: what is of the process as it was at the end of a turn
//! between the request and the first byte of the answer, what is of endpoints as it was meanwhile.

use etcd_gateway::reactor::Reactor;

use super::answers::WholeAnswer;
use super::book::Stage;
use super::documents::{Samples, Status, readiness};
use super::views::View;
use super::{Hosting, Seen};
use crate::guests::requests::Subject;
use crate::net::SimNet;
use crate::world::World;

/// An answer that was given.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) guest: usize,
    pub(super) subject: Subject,
    pub(super) has_body: bool,
    /// The turns in which it was asked for, its first byte was written, and its last one.
    pub(super) turns: (u64, u64, u64),
    pub(super) answer: WholeAnswer,
}

impl Hosting<'_> {
    /// A turn has ended: what was said in it is looked at.
    pub(in crate::oracle) fn check_after_turn(&mut self, world: &World, reactor: &Reactor<SimNet>) {
        let (mut asked_in, mut is_awaited) = (u64::MAX, !self.admin.said.is_empty());
        for book in self.admin.all.values() {
            if let Stage::Answering { since: (turn, _) } = book.stage {
                asked_in = asked_in.min(turn);
                // One that has begun tells of no later moment, until it is whole.
                is_awaited |= !book.reader.is_within() || book.begun_in == world.context.turns;
            }
        }
        if is_awaited {
            self.look(world, reactor);
        }
        for said in std::mem::take(&mut self.admin.said) {
            self.check_said(world, &said);
        }
        self.admin.views.retain(|view| view.turn >= asked_in);
    }

    /// Notes the truth.
    fn look(&mut self, world: &World, reactor: &Reactor<SimNet>) {
        let connections = &world.network.connections;
        let came_at = self.admin.clients.iter();
        let came_at = came_at.map(|(id, listener)| (*listener, connections[*id].closed.is_none()));
        let view = View::new(self.books, world, reactor, came_at);
        self.admin.views.push(view);
    }

    fn check_said(&mut self, world: &World, said: &Said) {
        let Said { guest, subject, has_body, turns, answer } = said;
        let text = String::from_utf8(answer.body.clone()).expect("UTF-8");
        if !has_body {
            return assert_eq!(text, "", "{guest}: a body for HEAD");
        }
        match subject {
            Subject::Page => {
                let is_whole = text.starts_with("<!DOCTYPE html>") && text.ends_with("</html>\n");
                assert!(is_whole, "{guest}: half a page: {text}");
            }
            Subject::Metrics { is_open } => {
                let samples = Samples::read(&text, *is_open);
                samples.check_sums();
                self.check_views(*guest, *turns, &|view| samples.difference(view));
                let endpoints = world.context.plan.endpoints.iter();
                let addresses: Vec<_> = endpoints.map(|one| one.address.to_string()).collect();
                self.check_payload(*guest, *turns, samples.payload(&addresses));
                self.books.saw(Seen::GuestGotMetrics);
            }
            Subject::Status => {
                let status = Status::read(&answer.body);
                self.check_views(*guest, *turns, &|view| status.difference(view));
            }
            Subject::Readiness => {
                let found = (answer.head.status, text);
                self.check_views(*guest, *turns, &|view| {
                    (found != readiness(view)).then(|| format!("{found:?}"))
                });
                let seen = if found.0 == 200 { Seen::FoundReady } else { Seen::FoundNotReady };
                self.books.saw(seen);
            }
            Subject::Health => assert_eq!(text, "ok\n", "{guest}"),
            _ => {
                let is_line = text.ends_with('\n') && text.lines().count() == 1;
                assert!(is_line, "{guest}: not a line of text: {text:?}");
            }
        }
    }

    /// One of the views is told of that an answer may tell of.
    fn check_views(
        &self,
        guest: usize,
        (asked_in, begun_in, _): (u64, u64, u64),
        difference: &dyn Fn(&View) -> Option<String>,
    ) {
        let views = self.admin.views.iter();
        let mut views = views.filter(|view| (asked_in..=begun_in).contains(&view.turn)).peekable();
        assert!(views.peek().is_some(), "{guest}: no view of {asked_in} to {begun_in}");
        let mut differences = Vec::new();
        for view in views {
            match difference(view) {
                None => return,
                Some(said) => differences.push((said, view)),
            }
        }
        panic!("{guest}: an answer tells of no moment: {differences:#?}");
    }

    /// Payload is what was delivered: never more, at most a second behind, and never less than was
    /// said before.
    fn check_payload(
        &mut self,
        guest: usize,
        (asked_in, begun_in, ended_in): (u64, u64, u64),
        payload: Vec<[u64; 2]>,
    ) {
        let views = &self.admin.views;
        let [first, last] = [asked_in, ended_in].map(|turn| {
            views.iter().find(|view| view.turn == turn).expect("a turn that was noted")
        });
        let (known_in, known) = &self.admin.payload;
        for (endpoint, said) in payload.iter().enumerate() {
            let [least, most] = [first.payload[endpoint].least, last.payload[endpoint].most];
            let before = known.get(endpoint).filter(|_| *known_in < begun_in);
            let before = before.copied().unwrap_or_default();
            for side in 0..2 {
                let (said, most) = (said[side], most[side]);
                assert!(said <= most, "{guest}: {endpoint} has {said} bytes of {most}");
                // Of one that has gone nothing is told.
                let least = if first.is_fixed { least[side].max(before[side]) } else { 0 };
                assert!(said >= least, "{guest}: {endpoint} has {said} bytes, at least {least}");
            }
        }
        if first.open.iter().all(|open| *open == 0) && first.closed == last.closed {
            self.books.saw(Seen::PayloadExact);
        }
        self.admin.payload = (ended_in, payload);
    }
}
