//! Files that outlive the process: read at the start, and replaced as a whole.
//!
//! A new version is written next to the old one and renamed into its place, so that a reader, or a
//! start after the death of this process at any moment, finds one or the other. It is not forced to
//! the disk (fsync(2)): that takes a second and more on a busy disk, for which the loop would stand
//! still. A loss of power may thus leave an incomplete file, which is found when it is read.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::FileError;
use super::resolver_file::{file_error, open_at};
use crate::config::limits::STATE_FILE_BYTES_MAX;

/// Read and write for this user alone (chmod(2)).
const MODE: u32 = 0o600;
/// The end of the name of a new version.
const SUFFIX: &str = ".new";

/// Whether a file with these bytes is ours to replace.
pub type MayReplace = fn(&[u8]) -> bool;

/// Why a file is not replaced. Displays as one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplaceError {
    /// What is there is not ours.
    Foreign,
    /// The folder that it would be in does not exist.
    FolderMissing,
    /// What is there cannot be read, or the new version cannot be written.
    File(FileError),
}

impl fmt::Display for ReplaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReplaceError::Foreign => f.write_str("foreign_file"),
            ReplaceError::FolderMissing => f.write_str("folder_missing"),
            ReplaceError::File(error) => error.fmt(f),
        }
    }
}

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

/// Replaces a file, or makes it, with mode 0600. One whose bytes `may_replace` refuses stays.
///
/// # Errors
/// [`ReplaceError`]; then what was there stays.
pub(super) fn replace(
    path: &Path,
    bytes: &[u8],
    may_replace: MayReplace,
) -> Result<(), ReplaceError> {
    match read(path, STATE_FILE_BYTES_MAX) {
        Ok(old) if !may_replace(&old) => return Err(ReplaceError::Foreign),
        Ok(_) | Err(FileError::Missing) => {}
        // Nothing shows that it is ours.
        Err(error) => return Err(ReplaceError::File(error)),
    }
    let path = &followed(path);
    let new = new_version(path);
    // Left over where this process died at that moment.
    let _ = fs::remove_file(&new);
    let written = write(&new, bytes).and_then(|()| fs::rename(&new, path).map_err(file_error));
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written.map_err(|error| match error {
        FileError::Missing => ReplaceError::FolderMissing,
        error => ReplaceError::File(error),
    })
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    // Whatever else takes the name is not written to.
    let options = OpenOptions::new().write(true).create_new(true).mode(MODE).open(path);
    let mut file: File = options.map_err(file_error)?;
    file.write_all(bytes).map_err(file_error)
}

/// The file that a link leads to, which may be missing, so that it is replaced and not the link.
fn followed(path: &Path) -> PathBuf {
    if let Ok(followed) = fs::canonicalize(path) {
        return followed;
    }
    match (fs::read_link(path), path.parent()) {
        (Ok(target), Some(folder)) => folder.join(target),
        _ => path.to_owned(),
    }
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

    fn any(_: &[u8]) -> bool {
        true
    }

    #[test]
    fn a_file_is_replaced_as_a_whole() {
        let directory = directory("state");
        let path = directory.join("members");
        assert_eq!(read(&path, 10), Err(FileError::Missing));
        for text in [&b"one"[..], b"another", b""] {
            // Left over, and leading elsewhere.
            symlink("/dev/full", directory.join("members.new")).expect("a link of our own");
            assert_eq!(replace(&path, text, any), Ok(()));
            assert_eq!(read(&path, 10).as_deref(), Ok(text));
            assert_eq!(fs::metadata(&path).expect("it is there").mode() & 0o777, MODE);
        }
        assert_eq!(replace(&path, b"0123456789ab", any), Ok(()));
        assert_eq!(read(&path, 10).as_deref(), Ok(&b"0123456789a"[..]), "one more than the most");
        assert_eq!(fs::read_dir(&directory).expect("a folder").count(), 1, "nothing is left over");
        fs::remove_dir_all(&directory).expect("our own");
    }

    #[test]
    fn what_cannot_be_replaced_stays() {
        let directory = directory("state-kept");
        let path = directory.join("members");
        fs::create_dir(&path).expect("a folder of our own");
        let is_no_file = Err(ReplaceError::File(FileError::NotAFile));
        assert_eq!(replace(&path, b"a", any), is_no_file);
        assert!(read(&path, 10).is_err() && path.is_dir());
        // A rename would take the place of the device that this leads to.
        let link = directory.join("null");
        symlink("/dev/null", &link).expect("a link of our own");
        assert_eq!(replace(&link, b"a", any), is_no_file);
        fs::remove_file(&link).expect("our own");
        let is_missing = Err(ReplaceError::FolderMissing);
        assert_eq!(replace(&directory.join("none/members"), b"a", any), is_missing);
        assert_eq!(fs::read_dir(&directory).expect("a folder").count(), 1, "nothing is left over");
        fs::remove_dir_all(&directory).expect("our own");
    }

    #[test]
    fn a_link_stays_one() {
        let directory = directory("state-link");
        let (path, link) = (directory.join("kept/members"), directory.join("members"));
        fs::create_dir(directory.join("kept")).expect("a folder of our own");
        symlink("kept/members", &link).expect("a link of our own");
        // The first version, and the second one.
        for text in [&b"one"[..], b"another"] {
            assert_eq!(replace(&link, text, any), Ok(()));
            assert_eq!(read(&path, 10).as_deref(), Ok(text));
            assert!(fs::symlink_metadata(&link).expect("it is there").is_symlink());
        }
        fs::remove_dir_all(&directory).expect("our own");
    }

    #[test]
    fn what_is_not_ours_stays() {
        let directory = directory("state-foreign");
        let path = directory.join("members");
        fs::write(&path, "another").expect("a file of our own");
        assert_eq!(replace(&path, b"one", |old| old == b"own"), Err(ReplaceError::Foreign));
        assert_eq!(read(&path, 10).as_deref(), Ok(&b"another"[..]));
        assert_eq!(fs::read_dir(&directory).expect("a folder").count(), 1, "nothing is left over");
        fs::write(&path, "own").expect("a file of our own");
        assert_eq!(replace(&path, b"one", |old| old == b"own"), Ok(()));
        assert_eq!(read(&path, 10).as_deref(), Ok(&b"one"[..]));
        fs::remove_dir_all(&directory).expect("our own");
    }

    #[test]
    fn reasons_are_words() {
        for (error, want) in [
            (ReplaceError::Foreign, "foreign_file"),
            (ReplaceError::FolderMissing, "folder_missing"),
            (ReplaceError::File(FileError::Denied), "permission_denied"),
        ] {
            assert_eq!(error.to_string(), want);
        }
    }
}
