//! Facts of the host: its addresses, routes and name, and the files that configure how it resolves
//! names. The trait [`Host`], and its implementation for the real host.

use std::fs::File;
use std::net::IpAddr;
use std::path::Path;

use nix::net::if_::if_nametoindex;
use nix::unistd::gethostname;

use super::local_address::{has_route, is_local};
use super::mio::MioNet;
use super::resolver_file;
use super::state_file::{self, MayReplace, ReplaceError};
use super::telemetry::{ProcessTelemetry, Telemetry};
use super::{FileError, FileVersion, ResolverFile};

/// The facts of the host that the reactor needs.
pub trait Host {
    /// A file that is being read.
    type File;
    /// What is measured and shown of the process itself.
    type Telemetry: Telemetry;

    /// Whether connections to the address arrive at this host itself.
    fn is_local(&mut self, address: IpAddr) -> bool;

    /// Whether the host has a route to the address. Also true where that is unknown.
    fn has_route(&mut self, address: IpAddr) -> bool;

    /// Whether the kernel may choose the port for the local end of a dial.
    fn is_ephemeral(&mut self, port: u16) -> bool;

    /// The current version of the file, without opening it.
    ///
    /// # Errors
    /// [`FileError`] for a file that is missing or not a regular one.
    fn file_version(&mut self, file: ResolverFile) -> Result<FileVersion, FileError>;

    /// Opens the file to read it from its beginning. Does not block, whatever kind of file it is.
    ///
    /// # Errors
    /// [`FileError`] for a file that is missing, not a regular one, or not readable.
    fn open_file(&mut self, file: ResolverFile) -> Result<Self::File, FileError>;

    /// Reads the next bytes into `buffer`, which is not empty; 0 at the end of the file.
    ///
    /// # Errors
    /// [`FileError`] for a failure of the device.
    fn read_file(&mut self, file: &mut Self::File, buffer: &mut [u8]) -> Result<usize, FileError>;

    /// Replaces a file as a whole, or makes it, for this user alone. `may_replace`: whether a file
    /// with these bytes is ours to replace. It blocks for as long as its file system does, so it is
    /// for what changes seldom.
    ///
    /// # Errors
    /// [`ReplaceError`]; then what was there stays.
    fn replace_file(
        &mut self,
        path: &Path,
        bytes: &[u8],
        may_replace: MayReplace,
    ) -> Result<(), ReplaceError>;

    /// The name of this host (gethostname(2)).
    fn host_name(&mut self) -> String;

    /// The number of a network interface, by its name.
    fn interface_index(&mut self, name: &str) -> Option<u32>;

    /// What is measured and shown of the process itself.
    fn telemetry(&mut self) -> &mut Self::Telemetry;
}

impl Host for MioNet {
    type File = File;
    type Telemetry = ProcessTelemetry;

    fn is_local(&mut self, address: IpAddr) -> bool {
        is_local(address)
    }

    fn has_route(&mut self, address: IpAddr) -> bool {
        has_route(address)
    }

    fn is_ephemeral(&mut self, port: u16) -> bool {
        self.ephemeral_ports.contains(port, self.now)
    }

    fn file_version(&mut self, file: ResolverFile) -> Result<FileVersion, FileError> {
        resolver_file::version(file)
    }

    fn open_file(&mut self, file: ResolverFile) -> Result<File, FileError> {
        resolver_file::open(file)
    }

    fn read_file(&mut self, file: &mut File, buffer: &mut [u8]) -> Result<usize, FileError> {
        resolver_file::read(file, buffer)
    }

    fn replace_file(
        &mut self,
        path: &Path,
        bytes: &[u8],
        may_replace: MayReplace,
    ) -> Result<(), ReplaceError> {
        state_file::replace(path, bytes, may_replace)
    }

    fn host_name(&mut self) -> String {
        gethostname().map_or_else(|_| String::new(), |name| name.to_string_lossy().into_owned())
    }

    fn interface_index(&mut self, name: &str) -> Option<u32> {
        if_nametoindex(name).ok()
    }

    fn telemetry(&mut self) -> &mut ProcessTelemetry {
        &mut self.telemetry
    }
}
