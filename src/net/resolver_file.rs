//! The files that configure how this host resolves names. Opens and reads them and identifies their
//! versions; `proto::dns` parses them.

use std::fmt;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::libc;

use super::NetError;
use super::errno::{net_error, retry};

/// A file that configures how this host resolves names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResolverFile {
    /// `/etc/resolv.conf`, resolv.conf(5).
    Configuration,
    /// `/etc/hosts`, hosts(5).
    Hosts,
}

impl ResolverFile {
    /// The path of the file.
    pub fn path(self) -> &'static str {
        match self {
            ResolverFile::Configuration => "/etc/resolv.conf",
            ResolverFile::Hosts => "/etc/hosts",
        }
    }
}

/// Identifies a version of a file: another version is another file, or has another size or another
/// time (stat(2)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileVersion {
    /// The size in bytes.
    pub bytes: u64,
    /// The numbers of the device and of the file on it.
    pub file: (u64, u64),
    /// The last change of its bytes, in seconds and nanoseconds.
    pub modified: (i64, i64),
    /// The last change of its bytes or its attributes, in seconds and nanoseconds.
    pub changed: (i64, i64),
}

impl FileVersion {
    fn of(metadata: &Metadata) -> FileVersion {
        FileVersion {
            bytes: metadata.size(),
            file: (metadata.dev(), metadata.ino()),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// Why a file cannot be read. Displays as one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileError {
    /// The file does not exist.
    Missing,
    /// This process may not read the file.
    Denied,
    /// A directory, a pipe, a device or the like is in its place.
    NotAFile,
    /// Another error of the call.
    Failed(NetError),
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FileError::Missing => "missing",
            FileError::Denied => "permission_denied",
            FileError::NotAFile => "not_a_file",
            FileError::Failed(error) => return error.fmt(f),
        })
    }
}

/// The current version of the file.
pub(super) fn version(file: ResolverFile) -> Result<FileVersion, FileError> {
    version_of(Path::new(file.path()))
}

/// Opens the current version of the file.
pub(super) fn open(file: ResolverFile) -> Result<File, FileError> {
    open_at(Path::new(file.path()))
}

/// Reads the next bytes into `buffer`; 0 at the end of the file.
pub(super) fn read(file: &mut File, buffer: &mut [u8]) -> Result<usize, FileError> {
    retry(|| file.read(buffer)).map_err(file_error)
}

fn version_of(path: &Path) -> Result<FileVersion, FileError> {
    let metadata = fs::metadata(path).map_err(file_error)?;
    if metadata.is_file() { Ok(FileVersion::of(&metadata)) } else { Err(FileError::NotAFile) }
}

pub(super) fn open_at(path: &Path) -> Result<File, FileError> {
    // Opening a device may have an effect, so the kind of file is checked first. Another file may
    // take its place between the two calls, so opening must not wait for the other end of a pipe,
    // nor make a terminal the controlling one of this process.
    version_of(path)?;
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(file_error)?;
    let is_file = file.metadata().map_err(file_error)?.is_file();
    if is_file { Ok(file) } else { Err(FileError::NotAFile) }
}

pub(super) fn file_error(error: io::Error) -> FileError {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => FileError::Missing,
        ErrorKind::PermissionDenied => FileError::Denied,
        ErrorKind::IsADirectory => FileError::NotAFile,
        _ => FileError::Failed(net_error(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn path(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("etcd-gateway-{name}-{}", std::process::id()))
    }

    #[test]
    fn a_file_is_read_and_its_versions_differ() {
        let path = path("file");
        assert_eq!(version_of(&path), Err(FileError::Missing));
        assert_eq!(open_at(&path).err(), Some(FileError::Missing));
        fs::write(&path, "127.0.0.1 one").expect("a file of our own");
        let first = version_of(&path).expect("it is there");
        assert_eq!(first.bytes, 13);
        assert_eq!(version_of(&path), Ok(first));
        let mut file = open_at(&path).expect("it is there");
        let mut buffer = [0; 9];
        let counts = [(); 3].map(|()| read(&mut file, &mut buffer));
        assert_eq!(counts, [Ok(9), Ok(4), Ok(0)]);
        fs::write(&path, "127.0.0.1 another").expect("a file of our own");
        assert_ne!(version_of(&path), Ok(first));
        fs::remove_file(&path).expect("our own");
    }

    /// Opening a pipe usually waits for its other end.
    #[test]
    fn other_things_than_files_are_not_opened_and_not_waited_for() {
        let pipe = path("pipe");
        let mode = nix::sys::stat::Mode::S_IRWXU;
        nix::unistd::mkfifo(&pipe, mode).expect("a pipe of our own");
        for path in [&pipe, &std::env::temp_dir(), &PathBuf::from("/dev/zero")] {
            assert_eq!(version_of(path), Err(FileError::NotAFile), "{}", path.display());
            assert_eq!(open_at(path).err(), Some(FileError::NotAFile), "{}", path.display());
        }
        fs::remove_file(&pipe).expect("our own");
        assert_eq!(version_of(Path::new("/dev/null/hosts")), Err(FileError::Missing));
    }
}
