//! Certificates and keys for the tests, made by the command `openssl`.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::NAME;

/// A temporary directory that is gone after the test.
pub(super) struct Scratch {
    pub(super) path: PathBuf,
}

impl Scratch {
    pub(super) fn new() -> Scratch {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("etcd-gateway-tls-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).expect("a directory of our own");
        Scratch { path }
    }

    pub(super) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path.join(name);
        std::fs::write(&path, text).expect("write to our own directory");
        path
    }

    pub(super) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path.join(name)).expect("what openssl wrote")
    }

    pub(super) fn openssl(&self, arguments: &str) {
        let mut command = Command::new("openssl");
        command.current_dir(&self.path).args(arguments.split_whitespace());
        let output = command.output().expect("openssl runs");
        assert!(output.status.success(), "{arguments}: {output:?}");
    }

    /// A certificate that is signed by its own key.
    pub(super) fn self_signed(&self, out: &str, key: &str, subject: &str, more: &str) -> String {
        let subject = format!("-days 2 -subj /CN={subject}");
        self.openssl(&format!("req -x509 -key {key} -out {out} {subject} {more}"));
        self.read(out)
    }

    /// A certificate for the file `request`.
    pub(super) fn signed(&self, out: &str, by: &str, extensions: &str) -> String {
        self.write("extensions", extensions);
        let input = "-req -in request -days 2 -extfile extensions";
        self.openssl(&format!("x509 {input} {by} -out {out}"));
        self.read(out)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// Certificates and keys as PEM. All servers have the same key.
pub(super) struct Made {
    pub(super) authority: String,
    pub(super) authority_key: String,
    pub(super) other_authority: String,
    pub(super) key: String,
    pub(super) other_key: String,
    /// For [`NAME`], `*.wild.test` and 127.0.0.1, by `authority`.
    pub(super) server: String,
    /// For [`NAME`] in the subject alone.
    pub(super) common_name: String,
    /// For [`NAME`], but for clients to use.
    pub(super) client: String,
    /// For [`NAME`], by itself.
    pub(super) self_signed: String,
    /// For [`NAME`], by itself, and an authority at that.
    pub(super) self_signed_authority: String,
}

pub(super) fn made() -> &'static Made {
    static MADE: OnceLock<Made> = OnceLock::new();
    MADE.get_or_init(|| {
        let scratch = Scratch::new();
        for key in ["authority.key", "key", "other.key"] {
            let curve = "-algorithm EC -pkeyopt ec_paramgen_curve:prime256v1";
            scratch.openssl(&format!("genpkey {curve} -out {key}"));
        }
        let named = format!("-addext subjectAltName=DNS:{NAME}");
        let authority = scratch.self_signed("authority", "authority.key", "authority", "");
        let other_authority = scratch.self_signed("other", "other.key", "other", "");
        let self_signed_authority = scratch.self_signed("self", "key", NAME, &named);
        scratch.openssl(&format!("req -new -key key -out request -subj /CN={NAME}"));
        let by_authority = "-CA authority -CAkey authority.key -CAcreateserial";
        let names = format!("subjectAltName=DNS:{NAME},DNS:*.wild.test,IP:127.0.0.1\n");
        Made {
            authority,
            authority_key: scratch.read("authority.key"),
            other_authority,
            key: scratch.read("key"),
            other_key: scratch.read("other.key"),
            server: scratch.signed("server", by_authority, &names),
            common_name: scratch.signed("common", by_authority, "basicConstraints=CA:FALSE"),
            client: scratch.signed(
                "client",
                by_authority,
                &(names.clone() + "extendedKeyUsage=clientAuth"),
            ),
            self_signed: scratch.signed(
                "self",
                "-signkey key",
                &(names + "basicConstraints=CA:FALSE"),
            ),
            self_signed_authority,
        }
    })
}
