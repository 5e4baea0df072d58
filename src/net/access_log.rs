//! The file of the access log: neither a reader that has stopped reading nor a disk that is full
//! stops the gateway. Lines that cannot be written are dropped and counted.
//!
//! By the rule of [`super::room`], lines are written in pieces of at most PIPE_BUF that end with a
//! line, so that a pipe takes each whole or not at all. A file with a path is opened by us alone,
//! and so is a terminal that is standard output, which poll(2) calls writable when it has less room
//! than a piece: these two have O_NONBLOCK, so that the write itself says whether there is room.
//! Unlike that of the log on standard error, a reader that is behind is not waited for, as there
//! may be thousands of lines a second.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::libc;
use nix::poll::PollTimeout;

use super::NetError;
use super::errno::{net_error, retry};
use super::room::{PIPE_BYTES, has_room};

/// Read by the group, too, which may be that of a collector of logs (chmod(2)).
const MODE: u32 = 0o640;
/// The wait for a reader that is behind, at the end alone.
const PATIENCE_MILLISECONDS: u8 = 100;
/// Standard output, opened anew (proc(5)).
const STDOUT_PATH: &str = "/proc/self/fd/1";

/// Why a line was not written. Displays as one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteError {
    /// The disk or the quota is full.
    DiskFull,
    /// Nothing has the pipe open for reading.
    NoReader,
    /// The file is as large as its file system, or the limit of the process, lets it be.
    FileTooLarge,
    /// Another failure.
    Failed(NetError),
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WriteError::DiskFull => f.write_str("disk_full"),
            WriteError::NoReader => f.write_str("no_reader"),
            WriteError::FileTooLarge => f.write_str("file_too_large"),
            WriteError::Failed(error) => error.fmt(f),
        }
    }
}

/// The writer of the access log.
#[derive(Debug)]
pub struct AccessLog {
    file: File,
    /// Whether a write without room would wait.
    may_block: bool,
    /// The path to open again; `None`: standard output.
    path: Option<PathBuf>,
    /// Words the line for dropped lines, its line end included.
    notice: fn(u64) -> String,
    /// Lines that were dropped since the last notice of them.
    missing: u64,
    /// Lines that were dropped since the start.
    dropped: u64,
    /// Whether the last thing in the file is a part of a line.
    is_torn: bool,
    /// Whether the last write failed, so that the next failure is not another one.
    is_failing: bool,
}

impl AccessLog {
    /// Opens the file, or makes it, with mode 0640. Does not block, whatever kind of file it is.
    ///
    /// # Errors
    /// A message with the path, for a file that cannot be opened or made. A pipe without a reader
    /// is one: its writer would have to wait for it.
    pub fn open(path: &Path, notice: fn(u64) -> String) -> Result<AccessLog, String> {
        let file = open_at(path).map_err(|error| refusal(path, &error))?;
        Ok(AccessLog::new(file, false, Some(path.to_owned()), notice))
    }

    /// The log on standard output.
    ///
    /// # Errors
    /// A message, where there is no standard output.
    pub fn stdout(notice: fn(u64) -> String) -> Result<AccessLog, String> {
        let stdout = io::stdout();
        // A description of our own: others share that of standard output.
        let own = match stdout.is_terminal() {
            true => open_at(Path::new(STDOUT_PATH)).ok(),
            false => None,
        };
        if let Some(file) = own {
            return Ok(AccessLog::new(file, false, None, notice));
        }
        let descriptor: io::Result<OwnedFd> = stdout.as_fd().try_clone_to_owned();
        let opened = descriptor.map(File::from);
        let file = opened.map_err(|error| format!("cannot use standard output: {error}"))?;
        Ok(AccessLog::new(file, true, None, notice))
    }

    fn new(
        file: File,
        may_block: bool,
        path: Option<PathBuf>,
        notice: fn(u64) -> String,
    ) -> AccessLog {
        let (missing, dropped, is_torn, is_failing) = (0, 0, false, false);
        AccessLog { file, may_block, path, notice, missing, dropped, is_torn, is_failing }
    }

    /// Lines that were dropped since the start.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The path; `None`: standard output.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Appends whole lines, each with its line end, as far as they fit. The rest is dropped and
    /// counted, and so is a line of more than PIPE_BUF bytes. What comes next begins with a notice
    /// of the number.
    ///
    /// # Errors
    /// [`WriteError`] for the first failure after a success. A reader that is behind is none.
    pub fn write(&mut self, lines: &[u8]) -> Result<(), WriteError> {
        debug_assert!(lines.last().is_none_or(|byte| *byte == b'\n'), "a part of a line");
        let mut rest = lines;
        while !rest.is_empty() {
            let notice = match self.missing {
                0 => String::new(),
                missing => (self.notice)(missing),
            };
            let Some(piece) = first_piece(rest, PIPE_BYTES.saturating_sub(notice.len())) else {
                let (long, others) = rest.split_at(line_length(rest));
                self.drop_lines(long);
                rest = others;
                continue;
            };
            let (written, failure) = match notice.is_empty() {
                true => self.put(piece),
                // In one piece: a pipe of a single page has no room for a second one.
                false => self.put(&[notice.as_bytes(), piece].concat()),
            };
            if written >= notice.len() {
                self.missing = 0;
            }
            let written = written.saturating_sub(notice.len());
            if written < piece.len() {
                self.drop_lines(&rest[written..]);
                return self.noted(failure);
            }
            rest = &rest[written..];
            self.is_failing = false;
        }
        Ok(())
    }

    /// Writes the notice of lines that were dropped last, which nothing follows, if there is room
    /// for it soon.
    pub fn finish(&mut self) {
        if self.missing > 0 && has_room(&self.file, PollTimeout::from(PATIENCE_MILLISECONDS)) {
            let notice = (self.notice)(self.missing);
            let (written, _) = self.put(notice.as_bytes());
            if written == notice.len() {
                self.missing = 0;
            }
        }
    }

    /// Opens the path again, for one whose file was renamed. Standard output stays. Returns whether
    /// there is a path.
    ///
    /// # Errors
    /// A message with the path, for a file that cannot be opened; then the old one is kept.
    pub fn reopen(&mut self) -> Result<bool, String> {
        let Some(path) = &self.path else { return Ok(false) };
        let file = open_at(path).map_err(|error| refusal(path, &error))?;
        let is_same = match (self.file.metadata(), file.metadata()) {
            (Ok(old), Ok(new)) => (old.dev(), old.ino()) == (new.dev(), new.ino()),
            _ => false,
        };
        self.file = file;
        self.is_torn &= is_same;
        Ok(true)
    }

    /// Writes as much of a piece as fits. Returns the number of bytes, and the failure if there was
    /// one.
    fn put(&mut self, piece: &[u8]) -> (usize, Option<io::Error>) {
        if self.is_torn {
            match self.put_once(b"\n") {
                Ok(1..) => self.is_torn = false,
                Ok(0) => return (0, None),
                Err(error) => return (0, Some(error)),
            }
        }
        let (mut written, mut failure) = (0, None);
        // More than once only where a disk is almost full: it takes a part, and fails then.
        while written < piece.len() && failure.is_none() {
            match self.put_once(&piece[written..]) {
                Ok(0) => break,
                Ok(bytes) => written += bytes,
                Err(error) => failure = Some(error),
            }
        }
        self.is_torn = written > 0 && piece[written - 1] != b'\n';
        (written, failure)
    }

    /// 0: there is no room.
    fn put_once(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.may_block && !has_room(&self.file, PollTimeout::ZERO) {
            return Ok(0);
        }
        match retry(|| self.file.write(bytes)) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
            outcome => outcome,
        }
    }

    fn drop_lines(&mut self, lines: &[u8]) {
        let count = lines.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.missing += count;
        self.dropped += count;
    }

    /// The failure, if it is the first one of a series.
    fn noted(&mut self, failure: Option<io::Error>) -> Result<(), WriteError> {
        let Some(error) = failure else { return Ok(()) };
        match std::mem::replace(&mut self.is_failing, true) {
            true => Ok(()),
            false => Err(write_error(error)),
        }
    }
}

/// As many whole lines as have at most `bytes_max` bytes; `None` where the first one has more.
fn first_piece(lines: &[u8], bytes_max: usize) -> Option<&[u8]> {
    let window = &lines[..lines.len().min(bytes_max)];
    let end = window.iter().rposition(|byte| *byte == b'\n')?;
    Some(&lines[..=end])
}

/// Bytes of the first line with its line end, or of all where there is none.
fn line_length(lines: &[u8]) -> usize {
    lines.iter().position(|byte| *byte == b'\n').map_or(lines.len(), |end| end + 1)
}

/// Opens a file for appending, without waiting for the other end of a pipe, and so that no terminal
/// becomes that of this process (open(2)). Descriptors of Rust are closed on exec.
fn open_at(path: &Path) -> io::Result<File> {
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    OpenOptions::new().append(true).create(true).mode(MODE).custom_flags(flags).open(path)
}

fn refusal(path: &Path, error: &io::Error) -> String {
    let path = path.display();
    match error.raw_os_error() {
        Some(libc::ENXIO) => {
            format!("cannot open {path}: a pipe that nothing reads, or a socket")
        }
        _ => format!("cannot open {path}: {error}"),
    }
}

fn write_error(error: io::Error) -> WriteError {
    match error.raw_os_error() {
        Some(libc::ENOSPC | libc::EDQUOT) => WriteError::DiskFull,
        Some(libc::EPIPE) => WriteError::NoReader,
        Some(libc::EFBIG) => WriteError::FileTooLarge,
        _ => WriteError::Failed(net_error(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read;
    use std::os::unix::fs::PermissionsExt;

    use nix::sys::stat;
    use nix::unistd::mkfifo;

    use super::*;

    fn notice(count: u64) -> String {
        format!("dropped={count}\n")
    }

    /// A folder that is removed at the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let name = format!("etcd-gateway-access-log-{name}-{}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::create_dir(&path).expect("a folder of our own");
            Folder(path)
        }

        fn path(&self) -> PathBuf {
            self.0.join("log")
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// A log on a pipe with a reader, which is full after one page.
    fn on_small_pipe() -> (io::PipeReader, AccessLog) {
        let (reader, writer) = io::pipe().expect("a pipe");
        nix::fcntl::fcntl(&writer, nix::fcntl::FcntlArg::F_SETPIPE_SZ(1)).expect("a small one");
        (reader, AccessLog::new(File::from(OwnedFd::from(writer)), true, None, notice))
    }

    fn read(reader: &mut io::PipeReader, bytes: usize) -> String {
        let mut buffer = vec![0; bytes];
        reader.read_exact(&mut buffer).expect("there is as much");
        String::from_utf8(buffer).expect("text")
    }

    #[test]
    fn lines_are_appended_and_a_renamed_file_is_left_when_it_is_opened_again() {
        let folder = Folder::new("rotation");
        let (path, old) = (folder.path(), folder.0.join("log.1"));
        fs::write(&path, "before\n").expect("a file");
        let mut log = AccessLog::open(&path, notice).expect("it can be opened");
        assert_eq!(log.write(b"a=1\na=2\n"), Ok(()));
        fs::rename(&path, &old).expect("in the same folder");
        assert_eq!(log.write(b"a=3\n"), Ok(()));
        assert_eq!(log.reopen(), Ok(true));
        assert_eq!(log.write(b"a=4\n"), Ok(()));
        assert_eq!(fs::read_to_string(&old).expect("text"), "before\na=1\na=2\na=3\n");
        assert_eq!(fs::read_to_string(&path).expect("text"), "a=4\n");
        let mode = fs::metadata(&path).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777 & !0o640, 0, "{mode:o}");
        assert_eq!((log.dropped(), log.path()), (0, Some(&*path)));
    }

    #[test]
    fn a_file_that_cannot_be_opened_again_is_kept() {
        let folder = Folder::new("kept");
        let path = folder.0.join("sub/log");
        fs::create_dir(folder.0.join("sub")).expect("a folder");
        let mut log = AccessLog::open(&path, notice).expect("it can be opened");
        let moved = folder.0.join("moved");
        fs::rename(folder.0.join("sub"), &moved).expect("in the same folder");
        let error = log.reopen().expect_err("the folder is gone");
        assert!(error.starts_with(&format!("cannot open {}: No such", path.display())), "{error}");
        assert_eq!(log.write(b"a=1\n"), Ok(()));
        assert_eq!(fs::read_to_string(moved.join("log")).expect("text"), "a=1\n");
        let error = AccessLog::open(&moved, notice).expect_err("a folder");
        assert!(error.contains("Is a directory"), "{error}");
    }

    #[test]
    fn a_pipe_without_a_reader_is_refused_and_one_that_loses_it_is_a_failure() {
        let folder = Folder::new("fifo");
        let path = folder.path();
        mkfifo(&path, stat::Mode::S_IRWXU).expect("a pipe");
        let error = AccessLog::open(&path, notice).expect_err("nothing reads");
        assert!(error.ends_with("a pipe that nothing reads, or a socket"), "{error}");
        let mut options = OpenOptions::new();
        let mut reader = options.read(true).custom_flags(libc::O_NONBLOCK).open(&path);
        let reader = reader.as_mut().expect("it can be read");
        let mut log = AccessLog::open(&path, notice).expect("it has a reader");
        assert_eq!(log.write(b"a=1\n"), Ok(()));
        let mut buffer = [0; 64];
        let length = reader.read(&mut buffer).expect("a line");
        assert_eq!(&buffer[..length], b"a=1\n");
        // The reader itself goes with its variable.
        let (other, writer) = io::pipe().expect("a pipe");
        drop(other);
        let mut log = AccessLog::new(File::from(OwnedFd::from(writer)), true, None, notice);
        assert_eq!(log.write(b"a=1\na=2\n"), Err(WriteError::NoReader));
        assert_eq!((log.write(b"a=3\n"), log.dropped()), (Ok(()), 3));
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_counted_in_the_next_line_that_fits() {
        let (mut reader, mut log) = on_small_pipe();
        let page = [&vec![b'x'; PIPE_BYTES - 1][..], b"\n"].concat();
        assert_eq!(log.write(&page), Ok(()));
        for _ in 0..3 {
            assert_eq!(log.write(b"a=1\na=2\n"), Ok(()), "no failure, and no wait");
        }
        assert_eq!(log.dropped(), 6);
        read(&mut reader, PIPE_BYTES);
        assert_eq!(log.write(b"a=3\n"), Ok(()));
        assert_eq!(log.dropped(), 6);
        drop(log);
        let mut rest = String::new();
        reader.read_to_string(&mut rest).expect("the end");
        assert_eq!(rest, "dropped=6\na=3\n", "together, as there is one page");
    }

    #[test]
    fn a_batch_is_cut_between_lines() {
        let (mut reader, mut log) = on_small_pipe();
        let line = [&vec![b'x'; 2999][..], b"\n"].concat();
        assert_eq!(log.write(&line.repeat(3)), Ok(()));
        assert_eq!(log.dropped(), 2, "each piece has one line, and one piece fits");
        assert_eq!(read(&mut reader, 3000).as_bytes(), line);
        drop(log);
        let mut rest = String::new();
        reader.read_to_string(&mut rest).expect("the end");
        assert_eq!(rest, "", "nothing of the next one");
    }

    #[test]
    fn a_line_that_no_pipe_takes_in_one_piece_is_dropped_alone() {
        let folder = Folder::new("long");
        let mut log = AccessLog::open(&folder.path(), notice).expect("it can be opened");
        let long = [&vec![b'x'; PIPE_BYTES][..], b"\n"].concat();
        let lines = [b"a=1\n", &long[..], b"a=2\n"].concat();
        assert_eq!((log.write(&lines), log.dropped()), (Ok(()), 1));
        assert_eq!(log.write(b"a=3\n"), Ok(()));
        let text = fs::read_to_string(folder.path()).expect("text");
        assert_eq!(text, "a=1\ndropped=1\na=2\na=3\n");
    }

    #[test]
    fn a_full_disk_is_one_failure_a_series() {
        let mut log = AccessLog::open(Path::new("/dev/full"), notice).expect("Linux has it");
        assert_eq!(log.write(b"a=1\n"), Err(WriteError::DiskFull));
        assert_eq!(log.write(b"a=2\na=3\n"), Ok(()));
        assert_eq!(log.dropped(), 3);
        let folder = Folder::new("series");
        log.file = open_at(&folder.path()).expect("it can be opened");
        assert_eq!(log.write(b"a=4\n"), Ok(()));
        let text = fs::read_to_string(folder.path()).expect("text");
        assert_eq!(text, "dropped=3\na=4\n");
        log.file = open_at(Path::new("/dev/full")).expect("Linux has it");
        assert_eq!(log.write(b"a=5\n"), Err(WriteError::DiskFull), "another series");
    }

    #[test]
    fn a_part_of_a_line_is_ended_before_the_next_one() {
        let folder = Folder::new("torn");
        let mut log = AccessLog::open(&folder.path(), notice).expect("it can be opened");
        // As after a short write on a disk that is almost full.
        log.file.write_all(b"a=").expect("a part");
        (log.is_torn, log.missing) = (true, 1);
        assert_eq!(log.reopen(), Ok(true), "the same file");
        assert_eq!(log.write(b"a=2\n"), Ok(()));
        let text = fs::read_to_string(folder.path()).expect("text");
        assert_eq!(text, "a=\ndropped=1\na=2\n");
        log.is_torn = true;
        fs::remove_file(folder.path()).expect("ours");
        assert_eq!(log.reopen(), Ok(true), "another file");
        assert_eq!(log.write(b"a=3\n"), Ok(()));
        assert_eq!(fs::read_to_string(folder.path()).expect("text"), "a=3\n");
    }

    #[test]
    fn standard_output_is_not_opened_again() {
        let mut log = AccessLog::stdout(notice).expect("tests have it");
        assert_eq!((log.reopen(), log.path()), (Ok(false), None));
    }
}
