//! The file of a password. Reads it, which may block, and so runs before the reactor.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::config::limits::PASSWORD_BYTES_MAX;

/// The password in a file: all of it but for one line break at its end.
///
/// # Errors
/// One line with the path, and with nothing of what is in it: for a file that cannot be read, is
/// empty, has more than [`PASSWORD_BYTES_MAX`] bytes, or is not UTF-8, which JSON has to be.
pub fn read(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let mut bytes = Vec::new();
    // One more than there may be, and the line break.
    let most = PASSWORD_BYTES_MAX as u64 + 3;
    let read = File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes));
    read.map_err(|error| format!("cannot read {shown}: {error}"))?;
    let text = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let text = text.strip_suffix(b"\r").filter(|_| text.len() < bytes.len()).unwrap_or(text);
    if text.is_empty() {
        return Err(format!("no password in {shown}"));
    }
    if text.len() > PASSWORD_BYTES_MAX {
        return Err(format!("password in {shown} has more than {PASSWORD_BYTES_MAX} bytes"));
    }
    let text = str::from_utf8(text).map_err(|_| format!("password in {shown} is not UTF-8"))?;
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_break_does_not_count() {
        let name = format!("etcd-gateway-password-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let longest = "x".repeat(PASSWORD_BYTES_MAX);
        let longer = format!("{longest}x");
        for (content, want) in [
            ("pw", Ok("pw")),
            ("pw\n", Ok("pw")),
            ("pw\r\n", Ok("pw")),
            ("pw\r", Ok("pw\r")),
            (" p\u{e9} \n\n", Ok(" p\u{e9} \n")),
            (&format!("{longest}\r\n"), Ok(&*longest)),
            ("", Err("no password in ")),
            ("\n", Err("no password in ")),
            (&longer, Err("has more than 1024 bytes")),
            (&longer.repeat(9), Err("has more than 1024 bytes")),
        ] {
            std::fs::write(&path, content).expect("a file of our own");
            match (read(&path), want) {
                (Ok(found), Ok(want)) => assert_eq!(found, want),
                (Err(found), Err(want)) => {
                    assert!(found.contains(want) && !found.contains("xx"), "{found}");
                    assert!(found.contains("password"), "{found}");
                }
                (found, want) => panic!("{found:?} {want:?}"),
            }
        }
        std::fs::write(&path, b"a\xff").expect("a file of our own");
        assert!(read(&path).is_err_and(|error| error.ends_with("is not UTF-8")));
        std::fs::remove_file(&path).expect("our own");
        let error = read(&path).expect_err("no such file");
        assert!(error.starts_with("cannot read /") && error.contains("No such file"), "{error}");
    }
}
