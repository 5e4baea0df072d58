//! The files that say how this host resolves names. Reads; what they mean is found out in `dns`.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::ResolverFile;
use crate::config::RESOLVER_FILE_BYTES_MAX;

/// The lines of the file; `None` if it is not there or cannot be read.
pub(super) fn read(file: ResolverFile) -> Option<Vec<u8>> {
    read_from(Path::new(match file {
        ResolverFile::Configuration => "/etc/resolv.conf",
        ResolverFile::Hosts => "/etc/hosts",
    }))
}

fn read_from(path: &Path) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    let file = File::open(path).ok()?;
    file.take(RESOLVER_FILE_BYTES_MAX as u64).read_to_end(&mut text).ok()?;
    if text.len() == RESOLVER_FILE_BYTES_MAX {
        // The first part of a name would be another name.
        let lines = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        text.truncate(lines);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn whole_lines_are_read_up_to_a_bound() {
        let path = std::env::temp_dir().join(format!("etcd-gateway-hosts-{}", std::process::id()));
        assert_eq!(read_from(&path), None);
        fs::write(&path, "127.0.0.1 one").expect("a file of our own");
        assert_eq!(read_from(&path).as_deref(), Some(&b"127.0.0.1 one"[..]));
        let line = b"127.0.0.1 one-of-many\n";
        let many = line.repeat(RESOLVER_FILE_BYTES_MAX / line.len() + 1);
        fs::write(&path, many).expect("a file of our own");
        let text = read_from(&path).expect("it is there");
        assert!(text.ends_with(line) && text.len() > RESOLVER_FILE_BYTES_MAX - line.len());
        fs::remove_file(&path).expect("removed");
    }
}
