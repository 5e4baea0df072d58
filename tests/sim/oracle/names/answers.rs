//! What a message changes in the books, by what it is worth to who can read it.

use std::collections::BTreeSet;
use std::time::Duration;

use etcd_gateway::config::{DNS_TTL_MAX, DNS_TTL_MIN};

use super::{Answer, Book, NameBooks, Own, Page};
use crate::exchange::Meaning;
use crate::names::SERVICES;
use crate::oracle::{Oracle, Seen};
use crate::world::World;
use crate::zone::Value;

impl Oracle {
    /// The gateway has got a message.
    pub fn has_received(&mut self, world: &World, exchange: usize, meaning: &Meaning) {
        let seen = self.names_mut().has_received(world, exchange, meaning);
        seen.into_iter().for_each(|seen| self.books.saw(seen));
        if matches!(meaning, Meaning::Answer { .. }) {
            let is_stream = world.exchanges.all[exchange].stream.is_some();
            self.books.saw(if is_stream { Seen::AnsweredByStream } else { Seen::Answered });
        }
    }
}

impl NameBooks {
    /// Takes a message over. Gives what was seen of a wildcard.
    fn has_received(&mut self, world: &World, exchange: usize, meaning: &Meaning) -> Option<Seen> {
        let (now, turn) = (world.context.turn_at, world.context.turns);
        let asked = &world.exchanges.all[exchange];
        let is_stream = asked.stream.is_some();
        let (book, page) = self.pages[exchange].expect("an answer to a question");
        let has_edns = asked.question.as_ref().is_some_and(|question| question.has_edns);
        let services = world.context.plan.names().hosts.len();
        let own = match world.context.plan.names().hosts.get(book) {
            Some(host) => host.text.to_ascii_lowercase(),
            None => SERVICES[book - services].to_owned(),
        };
        let is_own = asked.question.as_ref().is_some_and(|question| question.name == own);
        let question = asked.question.as_ref();
        let is_behind = question.is_some_and(|question| is_behind(world, book, &question.name));
        if !matches!(meaning, Meaning::Foreign) || is_stream {
            self.over.push(exchange);
        }
        if let Meaning::Answer { subject, value: Value::Endpoints(endpoints), life, .. } = meaning {
            let answer = Answer::new(now, clamped(*life), true);
            let endpoints = endpoints.iter().copied().collect();
            self.flux_in = turn;
            return self.books[book].named(page, endpoints, answer, subject.is_some());
        }
        let at = &mut self.books[book].pages[page];
        match meaning {
            Meaning::Answer { value, life, .. } => {
                at.answered = Some(Answer::new(now, clamped(*life), true));
                at.may_be_more = false;
                if let Value::Records(records) = value {
                    self.services[book - services] = vec![records.clone()];
                }
                self.flux_in = turn;
            }
            Meaning::Nothing { subject, life, .. } => {
                if is_own {
                    at.own_life = clamped(*life);
                }
                at.answered = Some(Answer::new(now, clamped(*life), false));
                at.may_be_more = false;
                if subject.is_some() {
                    (at.own, at.latest) = (Own::Nothing, None);
                    at.sure.clear();
                    if book >= services {
                        let values = &mut self.services[book - services];
                        values.retain(|value| !value.is_empty());
                        values.push(Vec::new());
                    }
                    self.flux_in = turn;
                }
            }
            Meaning::Cut | Meaning::Part { .. } => {
                at.may_be_more = true;
                at.ends_unsure(is_behind);
                self.cut += usize::from(!is_stream && !has_edns);
                if let Meaning::Part { value, .. } = meaning {
                    self.part_at = Some(now);
                    self.note_part(book, page, services, value);
                }
            }
            Meaning::Failed => at.ends_unsure(is_behind),
            Meaning::Alias | Meaning::Foreign => {}
        }
        None
    }

    /// An answer that is not whole: any part of it may be used, if no whole one comes.
    fn note_part(&mut self, book: usize, page: usize, services: usize, value: &Value) {
        let at = &mut self.books[book].pages[page];
        match value {
            Value::Endpoints(endpoints) => {
                at.may.extend(endpoints.iter().copied());
                at.sure.clear();
            }
            Value::Records(records) if book >= services => {
                self.services[book - services].extend([records.clone(), Vec::new()]);
            }
            Value::Records(_) => {}
        }
    }
}

/// How long the gateway keeps an answer that lives so long.
fn clamped(life: Duration) -> Duration {
    life.clamp(DNS_TTL_MIN, DNS_TTL_MAX)
}

/// Whether it is another name than the host's own, for which that may be taken.
pub(super) fn is_behind(world: &World, book: usize, name: &str) -> bool {
    let host = world.context.plan.names().hosts.get(book);
    host.is_some_and(|host| !name.ends_with(&host.full.to_ascii_lowercase()))
}

impl Book {
    /// A question goes out, for another name than the host's own (`is_behind`) or for that. What a
    /// look-up has heard of the name itself is forgotten with the look-up if that fails: when it
    /// went on though the name may have something and no server said whether it still has, or
    /// when no server answered for the name behind.
    pub(super) fn asks(&mut self, page: usize, is_behind: bool) {
        let at = &mut self.pages[page];
        let was_behind = std::mem::replace(&mut at.is_behind, is_behind);
        if at.answered.is_some() || is_behind == was_behind {
            return;
        }
        if was_behind {
            at.ends_unsure(true);
        } else if at.own != Own::Nothing {
            self.pages.iter_mut().for_each(|page| page.ends_unsure(true));
        }
    }

    /// Endpoints were named: by the name itself (`is_own`), or by a wildcard behind it.
    pub(super) fn named(
        &mut self,
        page: usize,
        endpoints: BTreeSet<usize>,
        answer: Answer,
        is_own: bool,
    ) -> Option<Seen> {
        if is_own {
            self.true_name_answered(page, endpoints, answer);
            return None;
        }
        let is_believed = self.wildcard_answered(page, &endpoints, answer);
        Some(if is_believed { Seen::WildcardBelieved } else { Seen::WildcardPassedOver })
    }

    /// A stranger was named, by a wildcard behind the name itself. Whether that may be believed:
    /// not while the name itself was last heard to have something. Whether that it has nothing was
    /// heard to the end is not always known: then it may be, and need not be.
    fn wildcard_answered(
        &mut self,
        page: usize,
        strangers: &BTreeSet<usize>,
        answer: Answer,
    ) -> bool {
        let is_believed = self.pages.iter().all(|page| page.own != Own::Something);
        let is_sure = self.pages.iter().all(|page| page.own == Own::Nothing);
        let page = &mut self.pages[page];
        page.answered = is_believed.then_some(answer.doubted(!is_sure));
        page.may_be_more = false;
        if is_believed {
            page.may.extend(strangers);
            page.latest = None;
        }
        is_believed
    }

    /// The name itself has an answer. Where a wildcard may have led elsewhere that may wait for the
    /// other family, to know whether the name is back.
    fn true_name_answered(&mut self, page: usize, endpoints: BTreeSet<usize>, answer: Answer) {
        let page = &mut self.pages[page];
        page.answered = Some(answer);
        page.may_be_more = false;
        page.own = Own::Something;
        if self.has_stranger {
            page.may.extend(&endpoints);
            page.sure.retain(|endpoint| endpoints.contains(endpoint));
            page.latest = Some(endpoints);
        } else {
            (page.may, page.sure) = (endpoints.clone(), endpoints);
        }
    }
}

impl Page {
    /// A name behind the name itself only failed (`is_behind`). So the look-up fails, and that the
    /// name itself has nothing may be forgotten with it.
    fn ends_unsure(&mut self, is_behind: bool) {
        if is_behind && self.own == Own::Nothing {
            self.own = Own::Unsure;
        }
    }

    /// The kind is asked for again: by now what was held of the last look-up is taken over.
    pub(super) fn settle(&mut self) {
        if let Some(latest) = self.latest.take() {
            (self.may, self.sure) = (latest.clone(), latest);
        }
    }
}
