//! The files that tell the gateway how names are found: resolv.conf, which is replaced, and
//! /etc/hosts, which is rewritten in place while it is read.

use etcd_gateway::config::HOSTS_READS_MAX;
use etcd_gateway::net::{FileVersion, ResolverFile};

use crate::context::Context;
use crate::faults::Fault;
use crate::plan::Plan;

/// How often /etc/hosts may change in a run: after more than that in a row a part of it is used.
const HOSTS_VERSIONS: u64 = HOSTS_READS_MAX as u64 - 1;

/// A file that the gateway reads.
pub struct SimFile {
    pub file: ResolverFile,
    at: usize,
    /// The text at the moment of opening, of one that is replaced and not rewritten.
    text: Vec<u8>,
    /// The version of /etc/hosts at the moment of opening.
    pub version: u64,
}

#[derive(Debug)]
pub struct ResolverFiles {
    /// The number of the present resolv.conf.
    pub configuration: usize,
    /// The number of the present /etc/hosts, and its text.
    pub hosts_version: u64,
    hosts_text: Vec<u8>,
}

impl ResolverFiles {
    pub fn new(plan: &Plan) -> ResolverFiles {
        let hosts = plan.names.as_ref().map(|names| names.hosts_file(&plan.endpoints, 0));
        let hosts_text = hosts.unwrap_or_default().into_bytes();
        ResolverFiles { configuration: 0, hosts_version: 0, hosts_text }
    }

    pub fn version(&self) -> FileVersion {
        let bytes = self.hosts_text.len() as u64;
        FileVersion { bytes, file: (0, self.hosts_version), ..FileVersion::default() }
    }

    pub fn open(&self, context: &Context, file: ResolverFile) -> SimFile {
        let mut text = Vec::new();
        if let (ResolverFile::Configuration, Some(names)) = (file, &context.plan.names) {
            text = names.configurations[self.configuration].text().into_bytes();
        }
        SimFile { file, at: 0, text, version: self.hosts_version }
    }

    /// The next bytes of a file, which may change behind them.
    pub fn read(&mut self, context: &mut Context, file: &mut SimFile, buffer: &mut [u8]) -> usize {
        let text = match file.file {
            ResolverFile::Hosts => &self.hosts_text,
            ResolverFile::Configuration => &file.text,
        };
        let rest = text.get(file.at..).unwrap_or_default();
        let bytes = rest.len().min(buffer.len());
        buffer[..bytes].copy_from_slice(&rest[..bytes]);
        file.at += bytes;
        if file.file == ResolverFile::Hosts {
            context.progress += 1;
            let may_change = bytes > 0 && self.hosts_version < HOSTS_VERSIONS;
            if may_change && context.strike(Fault::HostsChange) {
                self.change_hosts(context);
            }
        }
        bytes
    }

    /// /etc/hosts is written anew, in place.
    pub fn change_hosts(&mut self, context: &mut Context) {
        self.hosts_version += 1;
        context.note("hosts", 0, self.hosts_version);
        let names = context.plan.names();
        self.hosts_text =
            names.hosts_file(&context.plan.endpoints, self.hosts_version).into_bytes();
    }

    /// Another resolv.conf takes the place of the present one, if that fault strikes.
    pub fn flap_configuration(&mut self, context: &mut Context) {
        if context.strike(Fault::ConfigurationChanges) {
            let count = context.plan.names().configurations.len() as u64;
            self.configuration = context.random.below(count) as usize;
            context.note("configuration", self.configuration, 0);
        }
    }
}
