//! Tests of the list that a file keeps: it is begun with, and written.

use super::*;

#[test]
fn what_was_kept_is_begun_with_and_judged_by() {
    let record = {
        let mut bench = Bench::new(&[1]);
        bench.asked();
        bench.tell(&status(1, 1, 5, 100), &list(1, 5, &[1, 2]));
        bench.members.take_record().expect("it is to be kept")
    };
    assert_eq!(record.path, PathBuf::from("/a"));
    let known = KnownMembers::read(&record.bytes, &settings(None).starting_points)
        .expect("as it was written");
    let mut bench = Bench::with(&[1], Some(known));
    bench.update();
    assert_eq!(bench.endpoints(), ["10.0.0.1:2379", "10.0.0.2:2379"]);
    assert_eq!(bench.asked(), "open 10.0.0.1 list");
    bench.answer(200, &list_of(9, 1, 8, &[1], |_| "http://10.0.0.1:1".to_owned()));
    assert_eq!((bench.asked(), bench.asked()), ("close".to_owned(), "-".to_owned()));
    let want = ["10.0.0.1:2379 other_cluster", "none other_cluster"];
    assert_eq!(bench.refusals(), want);
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
