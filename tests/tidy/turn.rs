//! The rule of the turn: the header of the reactor lists its steps, all of them and in their order.
//!
//! A step is a statement of `fn turn` that calls a method of `self` or of a part, as in
//! `self.front.accept(…);`. What only computes a value is not one.

use crate::finding::{Finding, finding};
use crate::lexer::{Token, is_word, item_end, line_of, tokens};
use crate::source::Source;

const REACTOR: &str = "src/reactor/mod.rs";

pub fn turn(source: &Source) -> Vec<Finding> {
    if source.path != REACTOR {
        return Vec::new();
    }
    if let Some(line) = hidden_step(&source.code) {
        let message = "a step that the list cannot show: call it by `self` in a statement instead";
        return vec![finding(line, message)];
    }
    let listed = listed_steps(&source.text);
    let called = called_steps(&source.code);
    let same = listed.iter().zip(&called).take_while(|((_, a), b)| a == *b).count();
    if same == listed.len() && same == called.len() && same > 0 {
        return Vec::new();
    }
    let line = listed.get(same).or(listed.last()).map_or(1, |(line, _)| *line);
    let message = format!("the header of the turn: list its steps, {called:?}, instead");
    vec![finding(line, message)]
}

/// The steps of the header, as in `//! 2. `expire_timers``, with their lines.
fn listed_steps(text: &str) -> Vec<(usize, &str)> {
    let header = text.lines().enumerate().take_while(|(_, line)| line.starts_with("//!"));
    header
        .filter_map(|(number, line)| {
            let (digits, rest) = line.strip_prefix("//! ")?.split_once(". `")?;
            let is_item = digits.chars().all(|c| c.is_ascii_digit());
            is_item.then_some((number + 1, rest.split_once('`')?.0))
        })
        .collect()
}

/// The line of a `let` in `fn turn` that takes the reactor to pieces or drops a result: a call of a
/// part would follow, or be within.
fn hidden_step(code: &str) -> Option<usize> {
    let at = code.find("fn turn(")?;
    let (end, _) = item_end(code, at);
    let tokens = tokens(&code[at..end]);
    let statements = tokens.windows(3).filter(|three| three[0].text == "let");
    let mut hiding = statements.filter(|three| {
        ["_", "("].contains(&three[1].text) || ["{", "(", "<"].contains(&three[2].text)
    });
    hiding.next().map(|three| line_of(code, at) - 1 + three[0].line)
}

/// The methods that statements of `fn turn` call.
fn called_steps(code: &str) -> Vec<&str> {
    let Some(at) = code.find("fn turn(") else { return Vec::new() };
    let (end, _) = item_end(code, at);
    let tokens = tokens(&code[at..end]);
    let statements = tokens
        .windows(2)
        .enumerate()
        .filter(|(_, pair)| ["{", "}", ";"].contains(&pair[0].text) && pair[1].text == "self");
    statements.filter_map(|(before, _)| method(&tokens[before + 2..])).collect()
}

/// The last name of `.part.method(`.
fn method<'a>(path: &[Token<'a>]) -> Option<&'a str> {
    let mut last = None;
    for pair in path.chunks(2) {
        match pair {
            [dot, name] if dot.text == "." && name.text.chars().all(is_word) => {
                last = Some(name.text);
            }
            [open, ..] if open.text == "(" => return last,
            _ => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::{fires, keeps_still};

    const TURN: &str = "
        impl R {
            fn turn(&mut self) {
                let a = self.wait();
                for b in a { self.on_event(b); }
                self.events = a;
                self.front.accept(&mut self.c, |d| self.e(d));
                self.reap();
            }
            fn f(&self) { self.g(); }
        }";

    fn with_header(header: &str) -> String {
        format!("//! A turn:\n{header}\n{TURN}")
    }

    #[test]
    fn rule_turn() {
        let whole =
            "//! 1. `on_event`, for each\n//! 2. `accept`\n//! 3. `reap`\n//!\n//! More, 4. `f`.";
        keeps_still(turn, REACTOR, &with_header(whole));
        keeps_still(turn, "src/reactor/relays/pump.rs", TURN);
        fires(
            turn,
            REACTOR,
            &with_header("//! 1. `on_event`\n//! 2. `accept`"),
            3,
            "list its steps",
        );
        let another_order = "//! 1. `on_event`\n//! 2. `reap`\n//! 3. `accept`";
        fires(turn, REACTOR, &with_header(another_order), 3, "list its steps");
        let one_more = format!("{whole}\n//! 4. `rest`");
        fires(turn, REACTOR, &with_header(&one_more), 7, "list its steps");
        fires(turn, REACTOR, &with_header("//! no list"), 1, "list its steps");
        fires(turn, REACTOR, "//! 1. `reap`", 1, "list its steps");
        for hidden in
            ["let Reactor { a, .. } = self;", "let _ = self.a();", "let (a, b) = self.c();"]
        {
            let text = with_header(whole).replace("self.reap();", hidden);
            fires(turn, REACTOR, &text, 14, "call it by `self`");
        }
    }
}
