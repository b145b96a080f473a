//! The system's errors in Go's words: `connection refused`, where Rust says `Connection refused (os error 111)`.

use std::fmt;
use std::io;
use std::path::Path;

/// What the system says, in lower case and without its number.
pub fn describe(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error ").next().unwrap_or_default();
    let mut letters = text.chars();
    match letters.next() {
        // `RPC …` and the like stay.
        Some(first) if !letters.clone().next().is_some_and(char::is_uppercase) => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => text.to_owned(),
    }
}

/// Why a file could not be opened or read: `open /none.pem: no such file or directory`.
pub fn describe_file(path: &Path, error: &io::Error) -> String {
    let operation = match error.kind() {
        io::ErrorKind::IsADirectory | io::ErrorKind::FileTooLarge => "read",
        _ => "open",
    };
    format!("{operation} {}: {}", path.display(), describe(error))
}

/// An error of the system in the words of Go (`connection refused`), with what to do about it where the machine ran out
/// of something.
#[derive(Clone, Copy, Debug)]
pub struct SystemError<'a>(pub &'a io::Error);

impl fmt::Display for SystemError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.kind() {
            io::ErrorKind::UnexpectedEof => f.write_str("unexpected EOF")?,
            _ => f.write_str(&describe(self.0))?,
        }
        match self.0.raw_os_error() {
            Some(libc::EMFILE) => f.write_str(
                ": this process has as many files open as it may; raise its limit (ulimit -n, LimitNOFILE=)",
            ),
            Some(libc::ENFILE) => {
                f.write_str(": this machine has as many files open as it may; raise fs.file-max")
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_read_as_in_go() {
        for (number, text) in [
            (libc::ENOENT, "no such file or directory"),
            (libc::ECONNREFUSED, "connection refused"),
            (libc::EADDRINUSE, "address already in use"),
            (libc::EISDIR, "is a directory"),
        ] {
            assert_eq!(describe(&io::Error::from_raw_os_error(number)), text);
        }
        assert_eq!(describe(&io::Error::other("own words")), "own words");
    }
}
