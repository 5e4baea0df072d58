//! The files that say how this host resolves names. Reads; what they mean is found out in `dns`.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::ResolverFile;
use crate::config::RESOLVER_FILE_BYTES_MAX;

/// What cannot be read counts as empty, as it does for the C library.
pub(super) fn read(file: ResolverFile) -> Vec<u8> {
    read_from(Path::new(match file {
        ResolverFile::Configuration => "/etc/resolv.conf",
        ResolverFile::Hosts => "/etc/hosts",
    }))
}

fn read_from(path: &Path) -> Vec<u8> {
    let mut text = Vec::new();
    let Ok(file) = File::open(path) else { return text };
    if file.take(RESOLVER_FILE_BYTES_MAX as u64).read_to_end(&mut text).is_err() {
        text.clear();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn no_more_is_read_than_is_kept_and_nothing_where_nothing_is() {
        let path = std::env::temp_dir().join(format!("etcd-gateway-hosts-{}", std::process::id()));
        assert_eq!(read_from(&path), b"");
        fs::write(&path, "127.0.0.1 one\n").expect("a file of our own");
        assert_eq!(read_from(&path), b"127.0.0.1 one\n");
        fs::write(&path, vec![b'#'; RESOLVER_FILE_BYTES_MAX + 1]).expect("a file of our own");
        assert_eq!(read_from(&path).len(), RESOLVER_FILE_BYTES_MAX);
        fs::remove_file(&path).expect("removed");
    }
}
