//! Directories in the place of others, for one child or one thread alone.
//!
//! unshare(1) makes the mounts of a new namespace private by their root, and so wants the root of
//! this process to be a mount point. In a chroot(2) it is not, and no path leads to the mount that
//! it is part of: the child leaves the chroot for as long as it takes to make that mount private.
//!
//! ```text
//!   fork ──► unshare(2) ──► setns(2): out of a chroot ──► private ──► chroot(2) back
//!                                                                        └─► binds ──► exec
//! ```

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io, thread};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::stat::Mode;
use nix::unistd::{chdir, chroot, fchdir};

use super::namespace::Namespace;
use super::{TemporaryDirectory, finish, needs_privilege};

/// What mount(2) is not given: a device, a kind of file system, data.
const NONE: Option<&str> = None;

/// A directory, and the one in whose place it is to be seen.
pub type Bind = (PathBuf, PathBuf);

/// Lets a command see directories in the place of others, in that order. No other process does, and
/// the mounts end with it. Takes CAP_SYS_ADMIN and CAP_SYS_CHROOT, which root has.
pub fn bind_for(command: &mut Command, binds: &[Bind]) {
    let path = |path: &Path| CString::new(path.as_os_str().as_bytes()).expect("no path has a NUL");
    let binds: Vec<_> = binds.iter().map(|(from, to)| (path(from), path(to))).collect();
    let prepare = move || {
        leave_the_mounts_of_others()?;
        for (from, to) in &binds {
            let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
            mount(Some(from.as_c_str()), to.as_c_str(), NONE, flags, NONE)?;
        }
        io::Result::Ok(())
    };
    // SAFETY: between fork(2) and exec this makes system calls and nothing else: it takes no lock
    // and allocates no memory, since paths as short as these are copied to the stack.
    unsafe { command.pre_exec(prepare) };
}

/// Does something where a file system in memory of that size is mounted on a directory. No thread
/// but those that begin within sees it, nor do processes but theirs, and it ends with the last of
/// them. `None`, said aloud, where it cannot be mounted: that takes CAP_SYS_ADMIN.
pub fn on_small_disk<T: Send>(
    directory: &Path,
    bytes: usize,
    action: impl FnOnce() -> T + Send,
) -> Option<T> {
    let done = thread::scope(|scope| {
        let inside = scope.spawn(|| {
            mount_small_disk(directory, bytes)?;
            Some(action())
        });
        inside.join()
    });
    done.unwrap_or_else(|panic| resume_unwind(panic))
}

/// Mounts the file system for this thread alone.
fn mount_small_disk(directory: &Path, bytes: usize) -> Option<()> {
    match leave_the_mounts_of_others() {
        Ok(()) => {}
        Err(Errno::EPERM) => {
            needs_privilege("a disk that is full: mounts need CAP_SYS_ADMIN");
            return None;
        }
        Err(error) => panic!("no mounts of a thread's own: {error}"),
    }
    let (kind, size) = (Some("tmpfs"), format!("size={bytes}"));
    mount(kind, directory, kind, MsFlags::empty(), Some(size.as_str()))
        .expect("a file system in memory");
    Some(())
}

/// Gives this thread mounts of its own, which does not share them with another one from then on.
/// Root and working directory stay where they are.
fn leave_the_mounts_of_others() -> nix::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    // Not before: a descriptor would lead to the mounts of the others.
    let [root, here, own] = ["/", ".", "/proc/thread-self/ns/mnt"]
        .map(|path| open(path, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()));
    let (root, here) = (root?, here?);
    // The root becomes that of the namespace, although it is the namespace we are in.
    setns(own?, CloneFlags::CLONE_NEWNS)?;
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE)?;
    fchdir(root)?;
    chroot(".")?;
    fchdir(here)
}

/// A directory that looks like the root, but into which a process has come by chroot(2) alone.
#[test]
fn a_machine_is_to_be_had_in_a_chroot() {
    if Namespace::if_allowed("a chroot").is_none() {
        return;
    }
    let directory = TemporaryDirectory::new();
    let root = directory.path().to_owned();
    let mut binds = Vec::new();
    for entry in fs::read_dir("/").expect("every system has a root") {
        let path = entry.expect("an entry of the root").path();
        let copy = root.join(path.strip_prefix("/").expect("a path in the root"));
        if let Ok(target) = fs::read_link(&path) {
            symlink(target, copy).expect("a link of our own");
        } else if path.is_dir() {
            fs::create_dir(&copy).expect("a new directory in our own");
            binds.push((path, copy));
        }
    }
    let mut command = Command::new(env::current_exe().expect("the path of this program"));
    command.args(["--exact", "util::machine::a_command_sees_the_etc_of_its_machine"]);
    bind_for(&mut command, &binds);
    let enter = move || {
        chroot(&root)?;
        Ok(chdir("/")?)
    };
    // SAFETY: as in `bind_for`.
    unsafe { command.pre_exec(enter) };
    let output = finish(&mut command, "");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains(" 1 passed"), "{text}");
}
