//! The pages of one range: how many keys each has, and what they say together. Pure.

use super::store::Listed;
use crate::config::{ETCD_PAGE_KEYS, REGISTRY_KEYS_MAX};
use crate::proto::etcd::kv::{Range, RangeQuery};
use crate::proto::etcd::{Header, Malformed};

/// The size of pages.
#[derive(Debug)]
pub(super) struct Pages {
    prefix: Vec<u8>,
    keys_max: u32,
}

/// A page that is asked for, and those before it.
#[derive(Debug)]
pub(super) struct Page {
    query: RangeQuery,
    /// The header of the first page, whose revision is that of all.
    header: Option<Header>,
    keys: Vec<Listed>,
}

/// What follows a page.
#[derive(Debug)]
pub(super) enum Turned {
    /// A further page.
    Next(Page),
    /// The range is whole.
    Whole(Whole),
}

/// The keys of a whole range.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) header: Header,
    pub(super) keys: Vec<Listed>,
    /// There are further keys, more than are kept.
    pub(super) is_cut: bool,
}

impl Pages {
    /// Pages of the usual size.
    pub(super) fn new(prefix: &[u8]) -> Pages {
        Pages { prefix: prefix.to_vec(), keys_max: ETCD_PAGE_KEYS }
    }

    /// The first page of a range.
    pub(super) fn first(&self) -> Page {
        let query = RangeQuery::with_keys_max(&self.prefix, self.keys_max);
        Page { query, header: None, keys: Vec::new() }
    }

    /// Makes pages smaller, as an answer was too long; whether they can be. They stay so: values
    /// that are long as a rule belong to a registry that describes much in them. Where a single key
    /// is too long already, the length is not that of values, and pages are large again.
    pub(super) fn shrink(&mut self) -> bool {
        let can_shrink = self.keys_max > 1;
        self.keys_max = if can_shrink { self.keys_max / 2 } else { ETCD_PAGE_KEYS };
        can_shrink
    }
}

impl Page {
    /// The body of the request.
    pub(super) fn body(&self) -> String {
        self.query.body()
    }

    /// Takes the body of an answer with status 200.
    pub(super) fn turn(mut self, body: &[u8]) -> Result<Turned, Malformed> {
        let Range { header, kvs, next } = self.query.parse(body)?;
        let header = *self.header.get_or_insert(header);
        let room = REGISTRY_KEYS_MAX - self.keys.len();
        let is_cut = kvs.len() > room || kvs.len() == room && next.is_some();
        self.keys.extend(kvs.iter().take(room).map(Listed::of));
        Ok(match next.filter(|_| !is_cut) {
            Some(query) => Turned::Next(Page { query, header: Some(header), keys: self.keys }),
            None => Turned::Whole(Whole { header, keys: self.keys, is_cut }),
        })
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::BASE64;

    use super::*;

    /// A page with these keys at the latest revision `revision`.
    fn answer(keys: std::ops::Range<usize>, revision: u64, is_last: bool) -> String {
        let kvs: Vec<String> = keys
            .map(|at| {
                let key = BASE64.encode(format!("k{at:05}").as_bytes());
                format!(r#"{{"key":"{key}","mod_revision":"1"}}"#)
            })
            .collect();
        let (kvs, more) = (kvs.join(","), !is_last);
        let header = format!(r#"{{"cluster_id":"1","member_id":"1","revision":"{revision}"}}"#);
        format!(r#"{{"header":{header},"kvs":[{kvs}],"more":{more}}}"#)
    }

    #[test]
    fn a_range_is_of_the_revision_of_its_first_page() {
        let mut pages = Pages::new(b"k");
        while pages.keys_max > 2 {
            assert!(pages.shrink());
        }
        let page = pages.first();
        assert!(page.body().contains(r#""limit":2"#));
        let Ok(Turned::Next(page)) = page.turn(answer(0..2, 5, false).as_bytes()) else {
            panic!("a further page")
        };
        assert!(page.body().contains(r#""revision":"5""#));
        let Ok(Turned::Whole(whole)) = page.turn(answer(2..3, 9, true).as_bytes()) else {
            panic!("the last page")
        };
        assert_eq!((whole.header.revision, whole.keys.len(), whole.is_cut), (5, 3, false));
        assert!(pages.shrink() && !pages.shrink());
        assert!(pages.first().body().contains(r#""limit":512"#), "no key was to blame");
    }

    #[test]
    fn no_more_keys_are_asked_for_than_are_kept() {
        let size = ETCD_PAGE_KEYS as usize;
        for (is_last, want) in [(true, false), (false, true)] {
            let mut page = Pages::new(b"k").first();
            for at in 0..REGISTRY_KEYS_MAX / size {
                let is_last = is_last && at + 1 == REGISTRY_KEYS_MAX / size;
                let body = answer(at * size..(at + 1) * size, 5, is_last);
                match page.turn(body.as_bytes()) {
                    Ok(Turned::Next(next)) => page = next,
                    Ok(Turned::Whole(whole)) => {
                        assert_eq!((whole.keys.len(), whole.is_cut), (REGISTRY_KEYS_MAX, want));
                        break;
                    }
                    Err(error) => panic!("{error}"),
                }
                assert!(at + 1 < REGISTRY_KEYS_MAX / size, "it goes on");
                page.header = None;
            }
        }
    }
}
