//! Configuration files, which are read as a whole: of a limited size, and mostly none that hangs.

use std::fs::{File, OpenOptions};
use std::io;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Most MiB of a configuration file, or of a file that it names.
pub const MOST_MIB: u64 = 64;

/// A way to read one: [`read`] or [`read_regular`].
pub type ReadFile = fn(&Path) -> io::Result<Vec<u8>>;

/// The bytes of a file. A named pipe is read until its writer closes it, so one without a writer keeps the thread.
///
/// # Errors
/// It cannot be read, or is too large.
// compat: upstream reads files of any size.
pub fn read(file: &Path) -> io::Result<Vec<u8>> {
    read_all(File::open(file)?)
}

/// As [`read`], of a file that must be one that ends, and so is no pipe and no device.
///
/// # Errors
/// As [`read`], or it is no regular file.
pub fn read_regular(file: &Path) -> io::Result<Vec<u8>> {
    // Opening a pipe would wait for its writer.
    let mut options = OpenOptions::new();
    let file = options.read(true).custom_flags(libc::O_NONBLOCK).open(file)?;
    if !file.metadata()?.is_file() {
        let message = "not a regular file";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    read_all(file)
}

fn read_all(file: File) -> io::Result<Vec<u8>> {
    let (mut bytes, most) = (Vec::new(), MOST_MIB << 20);
    let too_large = || {
        let message = format!("the file has more than {MOST_MIB} MiB");
        io::Error::new(io::ErrorKind::FileTooLarge, message)
    };
    // Known without reading it, where it is a regular file.
    if file.metadata()?.len() > most {
        return Err(too_large());
    }
    let read = file.take(most + 1).read_to_end(&mut bytes)?;
    if read as u64 > most {
        return Err(too_large());
    }
    Ok(bytes)
}
