//! A registry followed through a life of etcd, played by chance: whenever nothing is under way,
//! what is known is what etcd holds.

#[cfg(test)]
mod names;
#[cfg(test)]
mod play;
#[cfg(test)]
mod refusals;

use std::time::Duration;

use play::{Chance, Play};

/// Plays `steps` steps of a life, with checks whenever the follower is at rest, and at the end.
fn live(seed: u64, steps: usize, loses_changes: bool) {
    let mut chance = Chance::new(seed);
    let mut play = Play::new(seed);
    for step in 0..steps {
        match chance.below(20) {
            0..=5 => play.etcd.put_some(&mut chance),
            6..=8 => play.etcd.delete_one(&mut chance),
            9 => play.etcd.compact(&mut chance),
            10 => play.cut(&mut chance),
            11 => play.turn_member(&mut chance),
            12 if loses_changes => play.lose_bytes(),
            12 if chance.below(4) == 0 => play.stop_watched(),
            12 | 13 => play.pass(Duration::from_millis(chance.below(4000))),
            14 => play.answer_range(),
            _ => play.deliver(&mut chance),
        }
        play.drive();
        if !loses_changes && play.is_at_rest() {
            play.check(&format!("seed {seed}, step {step}"));
        }
    }
    play.settle();
    play.check(&format!("seed {seed}, end"));
}

#[test]
fn what_is_known_is_what_etcd_holds() {
    for seed in 0..400 {
        live(seed, 120, false);
    }
}

/// Changes that a watch has lost are found by the next range.
#[test]
fn a_range_is_the_net_below_a_watch() {
    for seed in 0..200 {
        live(seed, 80, true);
    }
}

/// A member that is stopped leaves the watch open, and says nothing of what changes.
#[test]
fn a_member_that_is_stopped_is_left_within_three_seconds() {
    for seed in 0..40 {
        let mut play = Play::new(seed);
        play.settle();
        play.stop_watched();
        play.etcd.put_some(&mut Chance::new(seed));
        for _ in 0..31 {
            play.pass(Duration::from_millis(100));
            play.drive();
            (0..20).for_each(|_| play.answer_range());
            play.deliver_all();
        }
        play.check(&format!("seed {seed}"));
    }
}

/// Whatever etcd does, members are not asked without a pause.
#[test]
fn there_are_no_storms() {
    for (seed, members_up, refuses_watches, refuses_ranges) in
        [(1, false, false, false), (2, true, true, false), (3, true, false, true)]
    {
        let mut play = Play::new(seed);
        play.settle();
        play.etcd.members = [members_up; 3];
        play.etcd.refuses_watches = refuses_watches;
        play.etcd.refuses_ranges = refuses_ranges;
        if !refuses_ranges {
            play.cut_watch();
        }
        let before = play.asked;
        for _ in 0..1200 {
            play.pass(Duration::from_millis(100));
            play.drive();
            play.answer_range();
            play.deliver_all();
        }
        let asked = play.asked - before;
        assert!((10..150).contains(&asked), "{asked} requests in two minutes of failures");
        play.etcd.members = [true; 3];
        (play.etcd.refuses_watches, play.etcd.refuses_ranges) = (false, false);
        play.settle();
        play.check("after that");
    }
}
