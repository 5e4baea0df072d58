//! The files that configure how this host resolves names, read for their parsers:
//! `/etc/resolv.conf` in one piece, `/etc/hosts` in pieces, over as many turns as that takes.

use super::discovery::DiscoveryDriver;
use crate::config::{HOSTS_BYTES_PER_TURN, RESOLV_CONF_BYTES_MAX};
use crate::net::{FileError, FileVersion, Host, Net, ResolverFile};
use crate::observe::events::Event;
use crate::proto::dns::hosts_file::HostsFile;
use crate::proto::dns::resolv_conf::Problem;
use crate::reactor::context::Context;

/// The reading of `/etc/hosts`.
pub(super) struct HostsReading<N: Net + Host> {
    file: HostsFile<FileVersion>,
    /// The open file, while it is being read.
    open: Option<N::File>,
    /// Bytes that may still be read in this turn.
    budget: usize,
    /// Why the file cannot be read, as it was logged last.
    problem: Option<FileError>,
}

impl<N: Net + Host> Default for HostsReading<N> {
    fn default() -> HostsReading<N> {
        HostsReading { file: HostsFile::default(), open: None, budget: 0, problem: None }
    }
}

impl<N: Net + Host> HostsReading<N> {
    /// Whether the reading has to go on in the next turn.
    pub(super) fn is_under_way(&self) -> bool {
        self.file.is_reading()
    }

    /// Begins a turn, with a new budget.
    pub(super) fn begin_turn(&mut self) {
        self.budget = HOSTS_BYTES_PER_TURN;
    }

    /// Ends the reading without a result.
    pub(super) fn abandon(&mut self) {
        *self = HostsReading::default();
    }
}

impl<N: Net + Host> DiscoveryDriver<N> {
    /// Begins the look-ups that are due. Those of hosts wait for `/etc/hosts`, if reading it takes
    /// longer than this turn.
    pub(super) fn refresh_names(&mut self, context: &mut Context<N>) {
        if self.discovery.names().is_configurable() {
            self.configure_resolver(context);
        }
        let now = context.now;
        let due: Vec<String> = self.discovery.names().host_names(Some(now)).collect();
        if !due.is_empty() && self.hosts.file.table(due.iter(), now).is_none() {
            self.check_hosts_file(context, &due);
        }
        self.hosts.read(context);
        let table = self.hosts.file.table(due.iter(), now);
        self.discovery.refresh(table, now);
    }

    fn configure_resolver(&mut self, context: &mut Context<N>) {
        let text = read_configuration(context);
        let text = text.map_err(|error| Problem::Unread(error.to_string()));
        let Context { net, now, .. } = context;
        let host_name = net.host_name();
        self.discovery.names_mut().configure(
            text,
            &host_name,
            |name| net.interface_index(name),
            *now,
        );
    }

    fn check_hosts_file(&mut self, context: &mut Context<N>, due: &[String]) {
        if self.hosts.is_under_way() {
            return;
        }
        let version = self.hosts.version(context);
        let Ok(version) = version else { return self.hosts.file.fail(context.now) };
        let discovery = &self.discovery;
        self.hosts.file.look(
            version,
            due,
            || discovery.names().host_names(None).collect(),
            context.now,
        );
    }
}

/// The text of resolv.conf(5), and one byte above the limit if it is longer.
fn read_configuration<N: Net + Host>(context: &mut Context<N>) -> Result<Vec<u8>, FileError> {
    let Context { net, scratch, .. } = context;
    let mut file = net.open_file(ResolverFile::Configuration)?;
    let mut text = Vec::new();
    while text.len() <= RESOLV_CONF_BYTES_MAX {
        let room = scratch.len().min(RESOLV_CONF_BYTES_MAX + 1 - text.len());
        match net.read_file(&mut file, &mut scratch[..room])? {
            0 => break,
            bytes => text.extend(&scratch[..bytes]),
        }
    }
    Ok(text)
}

impl<N: Net + Host> HostsReading<N> {
    /// The version of the file; `None` if it is missing or empty.
    ///
    /// # Errors
    /// [`FileError`] when the version cannot be found out at present.
    fn version(&mut self, context: &mut Context<N>) -> Result<Option<FileVersion>, FileError> {
        match context.net.file_version(ResolverFile::Hosts) {
            Ok(version) => {
                self.note_problem(context, None);
                Ok((version.bytes > 0).then_some(version))
            }
            Err(error) => {
                self.note_problem(context, Some(error));
                if let FileError::Failed(_) = error { Err(error) } else { Ok(None) }
            }
        }
    }

    /// Reads on, within the budget of this turn.
    fn read(&mut self, context: &mut Context<N>) {
        while self.is_under_way() && self.budget > 0 {
            if let Err(error) = self.read_piece(context) {
                self.note_problem(context, Some(error));
                self.open = None;
                self.file.fail(context.now);
            }
        }
    }

    fn read_piece(&mut self, context: &mut Context<N>) -> Result<(), FileError> {
        let Context { net, scratch, .. } = context;
        let mut file = match self.open.take() {
            Some(file) => file,
            None => net.open_file(ResolverFile::Hosts)?,
        };
        let room = scratch.len().min(self.budget);
        let bytes = net.read_file(&mut file, &mut scratch[..room])?;
        self.budget -= bytes;
        if bytes > 0 {
            self.file.take(&scratch[..bytes]);
            self.open = Some(file);
            return Ok(());
        }
        drop(file);
        let version = self.version(context)?;
        self.file.end(version, context.now);
        Ok(())
    }

    /// Logs a new problem. A missing file is not one, as containers often have none; an unreadable
    /// one probably has entries that are needed.
    fn note_problem(&mut self, context: &mut Context<N>, problem: Option<FileError>) {
        let problem = problem.filter(|problem| *problem != FileError::Missing);
        if self.problem != problem
            && let Some(problem) = problem
        {
            let file = &ResolverFile::Hosts.path();
            context.log(Event::HostsFileNotRead { file, reason: &problem });
        }
        self.problem = problem;
    }
}
