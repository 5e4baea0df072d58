//! The properties that the fuzzer checks, over the committed corpus and over mutations of it: an
//! input that once broke one is kept as a file and tried again with every run.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::CommandExt;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::process::Command;

use etcd_gateway::config::Config;
use etcd_gateway::config::flags::{Invocation, parse};

#[path = "../../fuzz/src/lib.rs"]
mod properties;

use properties::command_line::arguments;
use properties::{TARGETS, Target};

use crate::util::finish;

/// Mutations of the corpus of one target: all together take about a second.
const MUTATIONS: usize = 4_000;
/// The same of whole answers, each of which takes as long as twenty other inputs.
const MUTATIONS_OF_RENDER: usize = 200;
/// The corpus is a part of the repository that is not read by people: it stays small.
const CORPUS_FILES_MAX: usize = 430;
const CORPUS_BYTES_MAX: usize = 100 * 1024;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(name)
}

/// The names in a folder, sorted.
fn names(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let name = |entry: fs::DirEntry| entry.file_name().into_string().expect("names are UTF-8");
    let mut names: Vec<String> = entries.map(|entry| name(entry.expect("readable"))).collect();
    names.sort_unstable();
    names
}

/// The inputs of one target with their names: never none.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let path = folder("corpus").join(target);
    let read = |name: String| {
        let bytes = fs::read(path.join(&name)).expect("a file of the corpus");
        (name, bytes)
    };
    let files: Vec<_> = names(&path).into_iter().map(read).collect();
    assert!(!files.is_empty(), "{}: no inputs: run `make fuzz` and commit some", path.display());
    files
}

fn check(target: &Target, name: &str, input: &[u8]) {
    let held = catch_unwind(|| (target.check)(input));
    assert!(
        held.is_ok(),
        "the property `{target}` does not hold of {name}. Once it does, keep the input:\n  \
         printf '%b' '{octal}' >fuzz/corpus/{target}/regression-NAME",
        target = target.name,
        octal = input.iter().map(|byte| format!("\\0{byte:03o}")).collect::<String>(),
    );
}

#[test]
fn every_property_holds_of_the_corpus() {
    let (mut files, mut bytes) = (0, 0);
    for target in &TARGETS {
        for (name, input) in corpus(target.name) {
            check(target, &name, &input);
            (files, bytes) = (files + 1, bytes + input.len());
        }
    }
    assert!(
        files <= CORPUS_FILES_MAX,
        "{files} files: delete what adds nothing, as `cargo fuzz cmin` does"
    );
    assert!(
        bytes <= CORPUS_BYTES_MAX,
        "{bytes} bytes: delete what adds nothing, as `cargo fuzz cmin` does"
    );
}

#[test]
fn every_property_holds_of_mutations_of_the_corpus() {
    for target in &TARGETS {
        let corpus: Vec<Vec<u8>> = corpus(target.name).into_iter().map(|file| file.1).collect();
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        let is_slow = target.name == "render";
        for _ in 0..if is_slow { MUTATIONS_OF_RENDER } else { MUTATIONS } {
            let mut input = random.one_of(&corpus).clone();
            for _ in 0..=random.below(3) {
                let other = random.one_of(&corpus).clone();
                mutate(&mut input, &other, &mut random);
            }
            check(target, "this mutation", &input);
        }
    }
}

/// A property without a target, or a target without a property, is a failure.
#[test]
fn properties_targets_and_corpus_belong_together() {
    let want: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    let files = names(&folder("fuzz_targets"));
    let stems: Vec<&str> = files.iter().filter_map(|name| name.strip_suffix(".rs")).collect();
    assert_eq!(stems, want, "fuzz/fuzz_targets");
    assert_eq!(names(&folder("corpus")), want, "fuzz/corpus");
    assert_eq!(names(&folder("dictionaries")), want, "fuzz/dictionaries");
    let manifest = fs::read_to_string(folder("Cargo.toml")).expect("the manifest");
    let declared: BTreeSet<&str> =
        manifest.lines().filter_map(|line| line.strip_prefix("path = \"fuzz_targets/")).collect();
    let declared: Vec<&str> =
        declared.iter().filter_map(|name| name.strip_suffix(".rs\"")).collect();
    assert_eq!(declared, want, "fuzz/Cargo.toml");
}

/// The binary makes of a refusal what the properties cannot see: status 2 and that one line.
#[test]
fn refused_command_lines_of_the_corpus_end_with_status_2() {
    let mut refused = 0;
    for (name, input) in corpus("command_line") {
        let line = arguments(&input);
        let reason = match parse(line.iter().cloned()) {
            Ok(Invocation::Run(typed)) => match Config::from_typed(&typed) {
                Ok(_) => continue, // it would run
                Err(error) => error.to_string(),
            },
            Ok(_) => continue,
            Err(error) => error.to_string(),
        };
        let mut command = Command::new(env!("CARGO_BIN_EXE_etcd-gateway"));
        command.arg0(&line[0]).args(&line[1..]);
        let output = finish(&mut command, "");
        assert_eq!(output.status.code(), Some(2), "{name}");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(stderr, format!("etcd-gateway: {reason}\n"), "{name}");
        refused += 1;
    }
    assert!(refused >= 10, "only {refused} command lines of the corpus are refused");
}

/// Cuts, doubles, swaps and splices, as a fuzzer does, but blindly.
fn mutate(input: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let at = random.below(input.len() + 1);
    let end = at + random.below(input.len() - at + 1);
    match random.below(6) {
        0 => drop(input.drain(at..end)),
        1 => input.insert(at, *random.one_of(b"0123456789.:,=-+/?&%@[] \0\n\x7f\xc2\xff")),
        2 if at < input.len() => input[at] ^= 1 << random.below(8),
        3 if at < input.len() => input[at] = *random.one_of(b"019.:,=-+/?&[]numsh"),
        4 => {
            let piece = input[at..end].to_vec();
            input.splice(end..end, piece);
        }
        _ => {
            let from = random.below(other.len() + 1);
            let to = from + random.below(other.len() - from + 1);
            input.splice(at..end, other[from..to].iter().copied());
        }
    }
}

/// Marsaglia's xorshift: the same inputs in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound
    }

    fn one_of<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}
