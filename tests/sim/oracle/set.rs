//! How the set of endpoints changes, wherever they come from.

use std::time::Duration;

use etcd_gateway::upstream::Endpoint;

use super::rotation::Watches;
use super::{Books, Seen};

impl Books {
    /// A dial was given up before its time, because its endpoint is gone.
    pub(super) fn dial_was_abandoned(&mut self, endpoint: usize) {
        self.abandoned.push(endpoint);
        self.record.saw(Seen::DialMovedOn);
    }

    /// Between two turns: dials that were given up were to endpoints that are gone.
    pub(super) fn check_abandoned(&mut self, present: &[Option<Endpoint>], is_over: bool) {
        for endpoint in std::mem::take(&mut self.abandoned) {
            let is_gone = present[endpoint].is_none();
            assert!(is_gone || is_over, "{endpoint}: a dial was given up before its time");
        }
    }
}

impl Watches {
    /// An endpoint that came begins anew; one that went is remembered for a while if it was ill.
    pub(super) fn change_set(
        &mut self,
        books: &mut Books,
        now: Duration,
        present: &[Option<Endpoint>],
    ) -> Vec<(&'static str, usize)> {
        let mut changes = Vec::new();
        for (endpoint, found) in present.iter().enumerate() {
            let (is_in, was_in) = (found.is_some(), self.all[endpoint].is_in);
            let watch = &mut self.all[endpoint];
            if let Some(found) = found
                && std::mem::take(&mut watch.may_be_well)
                && !was_in
                && found.health().is_active()
            {
                watch.begin_anew();
            }
            if is_in == was_in {
                continue;
            }
            changes.push((if is_in { "comes" } else { "goes" }, endpoint));
            self.rotation_changed();
            if is_in {
                if self.all[endpoint].come(now) {
                    books.record.saw(Seen::CameBackIll);
                }
                books.record.saw(Seen::EndpointCame);
                continue;
            }
            self.all[endpoint].go(now);
            books.record.saw(Seen::EndpointWent);
            for id in books.accounts.clients.clone() {
                let client = books.accounts.of_mut(id);
                if client.turn_lost_at == Some(endpoint) {
                    client.turn_lost_at = None;
                }
            }
        }
        changes
    }
}
