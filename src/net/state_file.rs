//! Files that outlive the process: read at the start, and replaced as a whole.
//!
//! A new version is written next to the old one and renamed into its place, so that a reader, or a
//! start after the death of this process at any moment, finds one or the other. It is not forced to
//! the disk (fsync(2)): that takes a second and more on a busy disk, for which the loop would stand
//! still. A loss of power may thus leave an incomplete file, which is found when it is read.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::FileError;
use super::resolver_file::{file_error, open_at};

/// Read and write for this user alone (chmod(2)).
const MODE: u32 = 0o600;
/// The end of the name of a new version.
const SUFFIX: &str = ".new";

/// All bytes of a file, or those up to one more than `bytes_max`. Does not block, whatever kind of
/// file it is.
///
/// # Errors
/// [`FileError`] for a file that is missing, not a regular one, or not readable.
pub fn read(path: &Path, bytes_max: usize) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    let file = open_at(path)?.take(bytes_max as u64 + 1);
    { file }.read_to_end(&mut bytes).map_err(file_error)?;
    Ok(bytes)
}

/// Replaces a file, or makes it, with mode 0600.
///
/// # Errors
/// [`FileError`]; then what was there stays.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let new = new_version(path);
    // Left over where this process died at that moment.
    let _ = fs::remove_file(&new);
    let written = write(&new, bytes).and_then(|()| fs::rename(&new, path).map_err(file_error));
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    // Whatever else takes the name is not written to.
    let options = OpenOptions::new().write(true).create_new(true).mode(MODE).open(path);
    let mut file: File = options.map_err(file_error)?;
    file.write_all(bytes).map_err(file_error)
}

fn new_version(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(SUFFIX);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;

    fn directory(name: &str) -> PathBuf {
        let name = format!("etcd-gateway-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("a folder of our own");
        path
    }

    #[test]
    fn a_file_is_replaced_as_a_whole() {
        let directory = directory("state");
        let path = directory.join("members");
        assert_eq!(read(&path, 10), Err(FileError::Missing));
        for text in [&b"one"[..], b"another", b""] {
            // Left over, and leading elsewhere.
            symlink("/dev/full", directory.join("members.new")).expect("a link of our own");
            assert_eq!(replace(&path, text), Ok(()));
            assert_eq!(read(&path, 10).as_deref(), Ok(text));
            assert_eq!(fs::metadata(&path).expect("it is there").mode() & 0o777, MODE);
        }
        assert_eq!(replace(&path, b"0123456789ab"), Ok(()));
        assert_eq!(read(&path, 10).as_deref(), Ok(&b"0123456789a"[..]), "one more than the most");
        assert_eq!(fs::read_dir(&directory).expect("a folder").count(), 1, "nothing is left over");
        fs::remove_dir_all(&directory).expect("our own");
    }

    #[test]
    fn what_cannot_be_replaced_stays() {
        let directory = directory("state-kept");
        let path = directory.join("members");
        fs::create_dir(&path).expect("a folder of our own");
        assert!(replace(&path, b"a").is_err());
        assert!(read(&path, 10).is_err() && path.is_dir());
        assert_eq!(replace(&directory.join("none/members"), b"a"), Err(FileError::Missing));
        assert_eq!(fs::read_dir(&directory).expect("a folder").count(), 1, "nothing is left over");
        fs::remove_dir_all(&directory).expect("our own");
    }
}
