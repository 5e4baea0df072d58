//! The files that say how this host resolves names, handed to those who know what they mean:
//! `/etc/resolv.conf` in one piece, `/etc/hosts` piece by piece over as many turns as it takes.

use std::cell::RefCell;

use super::Reactor;
use crate::config::{HOSTS_BYTES_PER_TURN, RESOLV_CONF_BYTES_MAX};
use crate::net::{FileError, FileVersion, Net, ResolverFile};
use crate::observe::events::Event;
use crate::proto::dns::hosts_file::HostsFile;
use crate::proto::dns::resolv_conf::Problem;

/// `/etc/hosts` as far as it was read.
pub(super) struct HostsReading<N: Net> {
    file: HostsFile<FileVersion>,
    /// What is being read.
    open: Option<N::File>,
    /// Bytes that may still be read in this turn.
    budget: usize,
    /// Why it cannot be read, as far as the log knows.
    problem: Option<FileError>,
}

impl<N: Net> Default for HostsReading<N> {
    fn default() -> HostsReading<N> {
        HostsReading { file: HostsFile::default(), open: None, budget: 0, problem: None }
    }
}

impl<N: Net> HostsReading<N> {
    /// Whether the next turn has to go on with it.
    pub(super) fn is_under_way(&self) -> bool {
        self.file.is_reading()
    }

    /// A new turn begins.
    pub(super) fn begin_turn(&mut self) {
        self.budget = HOSTS_BYTES_PER_TURN;
    }

    /// Nobody wants to know any more.
    pub(super) fn abandon(&mut self) {
        *self = HostsReading::default();
    }
}

impl<N: Net> Reactor<N> {
    /// Begins the look-ups that are due. Those of hosts wait for `/etc/hosts`, if it takes longer
    /// than this turn to read.
    pub(super) fn refresh_names(&mut self) {
        if self.finder.discovery.names().is_configurable() {
            self.configure_resolver();
        }
        let now = self.now;
        let due: Vec<String> = self.finder.discovery.names().host_names(Some(now)).collect();
        if !due.is_empty() && self.finder.hosts.file.table(due.iter(), now).is_none() {
            self.look_at_hosts(&due);
        }
        self.read_hosts();
        let table = self.finder.hosts.file.table(due.iter(), now);
        self.finder.discovery.refresh(table, now);
    }

    fn configure_resolver(&mut self) {
        let text = self.read_configuration();
        let text = text.map_err(|error| Problem::Unread(error.to_string()));
        let host_name = self.net.host_name();
        let net = RefCell::new(&mut self.net);
        let zone = |name: &str| net.borrow_mut().interface_index(name);
        self.finder.discovery.names_mut().configure(text, &host_name, zone, self.now);
    }

    /// What resolv.conf(5) says, and a byte more than counts if it says more.
    fn read_configuration(&mut self) -> Result<Vec<u8>, FileError> {
        let mut file = self.net.open_file(ResolverFile::Configuration)?;
        let mut text = Vec::new();
        while text.len() <= RESOLV_CONF_BYTES_MAX {
            let room = self.scratch.len().min(RESOLV_CONF_BYTES_MAX + 1 - text.len());
            match self.net.read_file(&mut file, &mut self.scratch[..room])? {
                0 => break,
                bytes => text.extend(&self.scratch[..bytes]),
            }
        }
        Ok(text)
    }

    fn look_at_hosts(&mut self, due: &[String]) {
        if self.finder.hosts.is_under_way() {
            return;
        }
        let version = self.hosts_version();
        let Ok(version) = version else { return self.finder.hosts.file.fail(self.now) };
        let discovery = &self.finder.discovery;
        let names = || discovery.names().host_names(None).collect();
        self.finder.hosts.file.look(version, due, names, self.now);
    }

    /// The version of the file; none if there is none, or nothing in it.
    ///
    /// # Errors
    /// When that cannot be told at present.
    fn hosts_version(&mut self) -> Result<Option<FileVersion>, FileError> {
        match self.net.file_version(ResolverFile::Hosts) {
            Ok(version) => {
                self.note_hosts_problem(None);
                Ok((version.bytes > 0).then_some(version))
            }
            Err(error) => {
                self.note_hosts_problem(Some(error));
                if let FileError::Failed(_) = error { Err(error) } else { Ok(None) }
            }
        }
    }

    /// Goes on with the file, as far as this turn may.
    fn read_hosts(&mut self) {
        while self.finder.hosts.is_under_way() && self.finder.hosts.budget > 0 {
            if let Err(error) = self.read_hosts_piece() {
                self.note_hosts_problem(Some(error));
                self.finder.hosts.open = None;
                self.finder.hosts.file.fail(self.now);
            }
        }
    }

    fn read_hosts_piece(&mut self) -> Result<(), FileError> {
        let hosts = &mut self.finder.hosts;
        let mut file = match hosts.open.take() {
            Some(file) => file,
            None => self.net.open_file(ResolverFile::Hosts)?,
        };
        let room = self.scratch.len().min(hosts.budget);
        let bytes = self.net.read_file(&mut file, &mut self.scratch[..room])?;
        hosts.budget -= bytes;
        if bytes > 0 {
            hosts.file.take(&self.scratch[..bytes]);
            hosts.open = Some(file);
            return Ok(());
        }
        drop(file);
        let version = self.hosts_version()?;
        self.finder.hosts.file.end(version, self.now);
        Ok(())
    }

    /// A container may well have no such file; one that we cannot read was meant for somebody.
    fn note_hosts_problem(&mut self, problem: Option<FileError>) {
        let problem = problem.filter(|problem| *problem != FileError::Missing);
        if self.finder.hosts.problem != problem
            && let Some(problem) = problem
        {
            self.log(Event::HostsFileNotRead {
                file: &ResolverFile::Hosts.path(),
                reason: &problem,
            });
        }
        self.finder.hosts.problem = problem;
    }
}
