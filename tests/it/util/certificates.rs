//! Certificates of an authority made for the occasion, and servers that show them.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Process, output_of};

/// A key of the usual kind, for req(1).
pub const P256: &str = "ec -pkeyopt ec_paramgen_curve:prime256v1";
pub const P384: &str = "ec -pkeyopt ec_paramgen_curve:secp384r1";
/// The strongest curve that TLS has a name for.
pub const P521: &str = "ec -pkeyopt ec_paramgen_curve:secp521r1";
/// The configuration that `openssl ca` wants. It can date a certificate at will, `openssl x509` not
/// before version 3.4.
const SETTINGS: &str = "\
[ca]
default_ca = own
[own]
dir = .
database = issued
new_certs_dir = .
rand_serial = yes
string_mask = utf8only
policy = any
unique_subject = no
[any]
commonName = supplied
";

/// When a certificate holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    Valid,
    Expired,
    NotYet,
}

impl Validity {
    /// The first and the last moment, so far away that the clock of no machine matters.
    fn period(self) -> [&'static str; 2] {
        match self {
            Validity::Valid => ["20200101000000Z", "20491231000000Z"],
            Validity::Expired => ["20200101000000Z", "20200201000000Z"],
            Validity::NotYet => ["20491201000000Z", "20491231000000Z"],
        }
    }
}

/// An authority in a directory of its own.
pub struct Authority {
    directory: PathBuf,
    /// What it signs certificates over.
    hash: &'static str,
}

/// A certificate and its key.
#[derive(Clone)]
pub struct Certificate {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Authority {
    /// A new authority in a new directory of that name, under its parent's.
    pub fn new(parent: &Path, name: &str) -> Authority {
        let own = "basicConstraints=critical,CA:TRUE keyUsage=critical,keyCertSign";
        Authority::of_kind(parent, name, [P256, "sha256"], own)
    }

    /// One with another key or hash, or that says something else of itself.
    pub fn of_kind(
        parent: &Path,
        name: &str,
        [key, hash]: [&'static str; 2],
        extensions: &str,
    ) -> Authority {
        let authority = Authority { directory: parent.join(name), hash };
        fs::create_dir(&authority.directory).expect("a new directory in our own");
        authority.write("settings", SETTINGS);
        authority.write("issued", "");
        // The usual settings would make an authority of all.
        authority.write("plain", "[req]\ndistinguished_name=none\n[none]\n");
        let added: Vec<String> =
            extensions.split_whitespace().map(|one| format!("-addext {one}")).collect();
        authority.openssl(&format!(
            "req -x509 -config plain -newkey {key} -nodes -{hash} -keyout ca.key -out ca.pem \
             -days 2 -subj /CN={name} {}",
            added.join(" ")
        ));
        authority
    }

    /// What those need who are to trust it.
    pub fn certificate(&self) -> PathBuf {
        self.directory.join("ca.pem")
    }

    /// Issues a certificate that serves both sides of a connection. The subject is its file name;
    /// what counts are `names`, such as `DNS:example.test,IP:127.0.0.11`.
    pub fn issue(&self, subject: &str, names: &str, validity: Validity) -> Certificate {
        self.issue_with([subject, P256], names, validity)
    }

    /// The same, for a key of that kind.
    pub fn issue_with(
        &self,
        [subject, key]: [&str; 2],
        names: &str,
        validity: Validity,
    ) -> Certificate {
        let usage = "extendedKeyUsage=serverAuth,clientAuth";
        self.issue_as([subject, key], &format!("{usage}\nsubjectAltName={names}"), validity)
    }

    /// One that is valid, and not for clients.
    pub fn issue_for_servers(&self, subject: &str) -> Certificate {
        self.issue_as([subject, P256], "extendedKeyUsage=serverAuth", Validity::Valid)
    }

    fn issue_as(
        &self,
        [subject, key]: [&str; 2],
        extensions: &str,
        validity: Validity,
    ) -> Certificate {
        let [start, end] = validity.period();
        let extensions = format!("basicConstraints=CA:FALSE\n{extensions}\n");
        self.write(&format!("{subject}.ext"), &extensions);
        let files = format!("-keyout {subject}.key -out {subject}.csr");
        self.openssl(&format!("req -newkey {key} -nodes {files} -subj /CN={subject}"));
        let dates = format!("-startdate {start} -enddate {end}");
        let files = format!("-extfile {subject}.ext -in {subject}.csr -out {subject}.pem");
        let by = format!("-md {} -cert ca.pem -keyfile ca.key", self.hash);
        self.openssl(&format!("ca -batch -notext -config settings {by} {dates} {files}"));
        let file = |end: &str| self.directory.join(format!("{subject}.{end}"));
        Certificate { certificate: file("pem"), key: file("key") }
    }

    /// Another authority next to this one, whose certificate, by itself, is in force then.
    pub fn renewed_as(&self, name: &str, validity: Validity) -> Authority {
        let directory = self.directory.with_file_name(name);
        fs::create_dir(&directory).expect("a new directory in our own");
        let authority = Authority { directory, hash: self.hash };
        authority.write("settings", SETTINGS);
        authority.write("issued", "");
        authority.write("ca.ext", "basicConstraints=critical,CA:TRUE");
        let [start, end] = validity.period();
        let files = format!("-keyout ca.key -out ca.csr -subj /CN={name}");
        authority.openssl(&format!("req -newkey {P256} -nodes {files}"));
        let dates = format!("-startdate {start} -enddate {end}");
        let files = "-keyfile ca.key -extfile ca.ext -in ca.csr -out ca.pem";
        authority.openssl(&format!(
            "ca -batch -notext -md {} -config settings -selfsign {dates} {files}",
            self.hash
        ));
        authority
    }

    /// The authority's own certificate, as that of a server.
    pub fn own(&self) -> Certificate {
        Certificate { certificate: self.certificate(), key: self.directory.join("ca.key") }
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.directory.join(name), text).expect("write to our own directory");
    }

    fn openssl(&self, arguments: &str) {
        let mut command = Command::new("openssl");
        output_of(command.current_dir(&self.directory).args(arguments.split_whitespace()));
    }
}

/// A server that speaks TLS and knows nothing besides; killed by its own pid on drop.
pub struct TlsServer {
    process: Process,
}

impl TlsServer {
    /// Listens, with further arguments of s_server(1).
    pub fn start(address: SocketAddr, own: &Certificate, arguments: &[&str]) -> TlsServer {
        let mut command = Command::new("openssl");
        // A page for every client: otherwise it would talk on its terminal, and it has none.
        command.args(["s_server", "-www", &format!("-accept={address}")]);
        command.arg("-cert").arg(&own.certificate).arg("-key").arg(&own.key).args(arguments);
        let process = Process::spawn("openssl s_server", &mut command);
        process.wait_for_log("ACCEPT");
        TlsServer { process }
    }

    /// Ends it at once; its port refuses from here on.
    pub fn kill(mut self) {
        self.process.kill();
    }
}
