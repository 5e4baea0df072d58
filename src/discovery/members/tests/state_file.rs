//! Tests of a list that a file had: what it is worth, and when it is left for that of others.

use super::*;

fn starting_point(number: u8) -> Candidate {
    Candidate { is_starting_point: true, ..candidate(number, Standing::Failing) }
}

fn status_of(cluster: u64, member: u64) -> String {
    let header = r#""cluster_id":"1""#;
    status(member, member, 5, 100).replace(header, &format!(r#""cluster_id":"{cluster}""#))
}

#[test]
fn what_was_kept_is_begun_with_and_judged_by() {
    let record = {
        let mut bench = Bench::new(&[1]);
        bench.asked();
        bench.tell(&status(1, 1, 5, 100), &list(1, 5, &[1, 2]));
        bench.members.take_record().expect("it is to be kept")
    };
    assert_eq!(record.path, PathBuf::from("/a"));
    let known = KnownMembers::read(&record.bytes).expect("as it was written");
    let mut bench = Bench::with(&[1], Some(known));
    bench.update();
    assert_eq!(bench.endpoints(), ["10.0.0.1:2379", "10.0.0.2:2379"]);
    assert_eq!(bench.asked(), "open 10.0.0.1 list");
    bench.answer(200, &list_of(9, 1, 8, &[1], |_| "http://10.0.0.1:1".to_owned()));
    assert_eq!((bench.asked(), bench.asked()), ("close".to_owned(), "-".to_owned()));
    let want = ["10.0.0.1:2379 other_cluster", "none other_cluster"];
    assert_eq!(bench.refusals(), want);
}

/// A source that was started with members 1 and 2 of cluster 1 in its file.
fn remembered(starting_points: &[u8]) -> Bench {
    let mut before = Bench::new(&[1]);
    before.asked();
    before.tell(&status(1, 1, 5, 100), &list(1, 5, &[1, 2]));
    let record = before.members.take_record().expect("it is to be kept");
    let known = KnownMembers::read(&record.bytes).expect("as it was written");
    let mut bench = Bench::with(&[1, 2], Some(known));
    bench.candidates.extend(starting_points.iter().map(|number| starting_point(*number)));
    bench.update();
    bench
}

/// What is asked next, with what comes before it skipped.
fn opened(bench: &mut Bench) -> String {
    loop {
        let asked = bench.ask_when_due();
        if asked.starts_with("open") {
            return asked;
        }
    }
}

/// Has a starting point of cluster 9 answer all questions of a round that comes to it.
#[track_caller]
fn contest(bench: &mut Bench, number: u8) -> bool {
    let theirs = list_of(9, number.into(), 5, &[number.into()], url);
    assert_eq!(opened(bench), format!("open 10.0.0.{number} list"), "before those of the file");
    assert!(!bench.answer(200, &theirs));
    assert_eq!(bench.asked(), "send status");
    bench.tell(&status_of(9, number.into()), &theirs)
}

#[test]
fn a_file_of_another_cluster_is_left_for_that_of_all_starting_points() {
    let mut bench = remembered(&[7]);
    let begun_at = bench.now;
    assert!(!contest(&mut bench, 7));
    // The old cluster runs on.
    assert_eq!(opened(&mut bench), "open 10.0.0.1 list");
    assert!(!bench.answer(200, &list(1, 5, &[1, 2])));
    assert_eq!(bench.endpoints(), ["10.0.0.1:2379", "10.0.0.2:2379"]);
    assert!(contest(&mut bench, 7));
    assert!(bench.now <= begun_at + 2 * SECOND, "{:?}", bench.now - begun_at);
    assert_eq!(bench.endpoints(), ["10.0.0.7:2379"]);
    let want = ["10.0.0.7:2379 other_cluster", "10.0.0.7:2379 1 left for 9"];
    assert_eq!(bench.refusals(), want);
    assert!(bench.members.take_record().is_some());
    // It is beyond doubt now.
    bench.candidates.push(candidate(7, Standing::Serving));
    assert_eq!(opened(&mut bench), "open 10.0.0.1 list");
    assert!(!bench.answer(200, &list(1, 5, &[1, 2])));
    assert_eq!(bench.refusals(), ["10.0.0.1:2379 other_cluster"]);
}

#[test]
fn a_starting_point_of_the_cluster_in_the_file_ends_the_doubt() {
    // One of the starting points was restarted as a cluster of its own.
    let mut bench = remembered(&[7, 2]);
    assert!(!contest(&mut bench, 7));
    assert_eq!(opened(&mut bench), "open 10.0.0.2 list");
    assert!(!bench.answer(200, &list(2, 5, &[1, 2])));
    for _ in 0..3 {
        assert_eq!(opened(&mut bench), "open 10.0.0.1 list", "in the order of their standing");
        assert!(!bench.answer(200, &list(1, 5, &[1, 2])));
    }
    bench.candidates = vec![starting_point(7)];
    assert_eq!(opened(&mut bench), "open 10.0.0.7 list");
    assert!(!bench.answer(200, &list_of(9, 7, 5, &[7], url)));
    assert_eq!((bench.asked(), bench.asked()), ("close".to_owned(), "-".to_owned()));
    assert_eq!(bench.endpoints(), ["10.0.0.1:2379", "10.0.0.2:2379"]);
}

#[test]
fn members_that_confirm_the_file_for_a_minute_end_the_doubt() {
    let mut bench = remembered(&[]);
    let begun_at = bench.now;
    while bench.now < begun_at + 61 * SECOND {
        assert_eq!(opened(&mut bench), "open 10.0.0.1 list");
        assert!(!bench.answer(200, &list(1, 5, &[1, 2])));
    }
    bench.candidates.insert(0, starting_point(7));
    bench.candidates.truncate(1);
    for _ in 0..3 {
        assert_eq!(opened(&mut bench), "open 10.0.0.7 list");
        assert!(!bench.answer(200, &list_of(9, 7, 5, &[7], url)));
    }
    assert_eq!(bench.endpoints(), ["10.0.0.1:2379", "10.0.0.2:2379"]);
    // Where no member of the file has answered, it counts whenever it comes.
    let mut bench = remembered(&[]);
    bench.now += 3600 * SECOND;
    bench.candidates = vec![starting_point(7)];
    assert!(!contest(&mut bench, 7));
    assert!(contest(&mut bench, 7));
}

#[test]
fn starting_points_that_turn_up_late_are_asked_soon() {
    let mut bench = remembered(&[]);
    assert_eq!(bench.asked(), "open 10.0.0.1 list");
    assert!(!bench.answer(200, &list(1, 5, &[1, 2])));
    assert_eq!((bench.asked(), bench.asked()), ("close".to_owned(), "-".to_owned()));
    let begun_at = bench.now;
    bench.candidates.push(starting_point(7));
    assert!(!contest(&mut bench, 7));
    assert!(bench.now <= begun_at + SECOND, "{:?}", bench.now - begun_at);
}

#[test]
fn a_file_that_could_not_be_written_is_written_with_the_next_list() {
    let mut bench = followed();
    assert!(bench.members.on_recorded(false) && !bench.members.on_recorded(false), "once");
    assert_eq!(bench.members.take_record(), None, "not again at once");
    while ["-", "close"].contains(&&*bench.ask_when_due()) {}
    bench.answer(200, &list(1, 5, &[1, 2, 3]));
    assert!(bench.members.take_record().is_some());
    assert!(bench.members.on_recorded(true), "news of a kind that is not told");
}
