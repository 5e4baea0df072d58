//! The page of the admin side: HTML that is right when it is loaded, with a script that keeps it
//! so, from /status.
//!
//! Pure: owns the page, its style and its script, and the fields of an answer that say what a
//! browser may do with it. Decides nothing about requests, sockets or when a piece is wanted.
//!
//! ```text
//!   page.html ──┬─ {style}, {script} ──► style.css, script.js, as they are
//!               ├─ {up}, … ────────────► process.rs, from the Snapshot
//!               └─ {endpoints}, … ─────► rows.rs, an item of Facts in each row
//!                                           └─► endpoint.html, change.html, …
//! ```
//!
//! Each row has one shape, which the script has, too, as a template, and fills in the same order.
//! All texts come through [`text::write`], which escapes them: names are what a name server or a
//! registry says.

mod process;
mod rows;
mod spark;
#[cfg(test)]
mod tests;
mod text;

use super::facts::{Facts, Snapshot};
use crate::config::ADMIN_PIECE_BYTES;
use rows::List;

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// What a browser may do for the page (Content Security Policy Level 3, W3C): run this script and
/// apply this style, known by their hashes, ask the gateway, and nothing else.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; \
     style-src 'sha256-Sj3UCnpuqFOccJHCOhh4HB5QvfEu2X2G5db3i9ETKtY='; \
     script-src 'sha256-Hekaxd5HC3prd9epCgitxqJ+VIkYNdyBqkk/XNgos2I='; \
     connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

/// Fields of the answer, apart from those that every answer has: name and value.
pub const FIELDS: &[(&str, &str)] = &[
    ("Content-Security-Policy", CONTENT_SECURITY_POLICY),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Frame-Options", "DENY"),
];

/// One page.
pub struct PageRendering {
    /// What is left of the page.
    page: &'static str,
    /// What is left of a text that is sent before the page goes on.
    text: &'static str,
    /// The list that is rendered before the page goes on, and the place in it that is next.
    list: Option<(List, usize)>,
}

impl Default for PageRendering {
    fn default() -> PageRendering {
        PageRendering::new()
    }
}

impl PageRendering {
    /// A page at its beginning.
    pub fn new() -> PageRendering {
        PageRendering { page: PAGE, text: "", list: None }
    }

    /// Appends the next piece, and returns whether it is the last one. It ends as soon as it has
    /// [`ADMIN_PIECE_BYTES`]: it is longer by less than one row, which has at most eight KiB.
    /// `snapshot` is the same one each time.
    pub fn next(&mut self, snapshot: &Snapshot, facts: &dyn Facts, out: &mut Vec<u8>) -> bool {
        let end = out.len() + ADMIN_PIECE_BYTES;
        while out.len() < end {
            if self.text.is_empty() && self.list.is_none() && self.page.is_empty() {
                return true;
            }
            self.advance(snapshot, facts, out);
        }
        false
    }

    fn advance(&mut self, snapshot: &Snapshot, facts: &dyn Facts, out: &mut Vec<u8>) {
        if !self.text.is_empty() {
            self.text = write_line(out, self.text);
        } else if let Some((list, place)) = self.list {
            let next = rows::write_row(list, place, snapshot, facts, out);
            self.list = next.map(|place| (list, place));
        } else {
            let (before, field, after) = split_at_field(self.page);
            (self.text, self.page) = match before {
                "" => (self.field(field, snapshot, facts, out), after),
                before => (before, &self.page[before.len()..]),
            };
        }
    }

    /// Renders a field of the page, or returns the text that it is replaced by.
    fn field(
        &mut self,
        field: &str,
        snapshot: &Snapshot,
        facts: &dyn Facts,
        out: &mut Vec<u8>,
    ) -> &'static str {
        match (field, List::of_field(field)) {
            ("style", _) => return STYLE,
            ("script", _) => return SCRIPT,
            ("more", _) => rows::write_more(facts, out),
            (_, Some((list, true))) => self.list = Some((list, 0)),
            (_, Some((list, false))) => rows::write_template(list, out),
            (_, None) => process::write_field(field, snapshot, out),
        }
        ""
    }
}

/// Appends a line and returns the rest. Comments of the script and indentation are for those who
/// read the source.
fn write_line<'a>(out: &mut Vec<u8>, text: &'a str) -> &'a str {
    let end = text.find('\n').map_or(text.len(), |at| at + 1);
    let (line, rest) = text.split_at(end);
    if !line.starts_with("//") {
        out.extend_from_slice(line.as_bytes());
    }
    rest.trim_start_matches([' ', '\n'])
}

/// A template up to its first field, the name of that, and what follows it. Without a field all of
/// it is before.
fn split_at_field(template: &str) -> (&str, &str, &str) {
    let (before, rest) = template.split_once('{').unwrap_or((template, ""));
    let (field, after) = rest.split_once('}').unwrap_or_default();
    (before, field, after)
}

/// Values of the fields of a row.
trait Values {
    /// Appends the value of a field.
    fn write(&self, field: &str, out: &mut Vec<u8>);
}

/// Appends a template with the values in the place of its fields.
fn fill(template: &str, values: &dyn Values, out: &mut Vec<u8>) {
    let mut rest = template;
    while !rest.is_empty() {
        let (before, field, after) = split_at_field(rest);
        out.extend_from_slice(before.as_bytes());
        if !field.is_empty() {
            values.write(field, out);
        }
        rest = after;
    }
}
