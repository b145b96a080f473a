//! Files that a probe reads: none without an end, no wait beyond the probe's deadline, and few at a time, because a read from a mount
//! that hangs keeps its thread.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};

use tokio::sync::Semaphore;

use super::dial::SystemError;
use super::{Deadline, TimedOut};
use crate::blocking::holding;

/// How many files are read at a time.
const READERS: usize = 16;

/// Most bytes of a file that is read as a whole.
const MOST: usize = 16 << 20;

/// Those who may begin to read.
static FREE: Semaphore = Semaphore::const_new(READERS);

/// Why a file could not be read.
#[derive(Debug)]
pub struct FileError {
    /// Its path.
    path: String,
    cause: FileCause,
}

#[derive(Debug)]
enum FileCause {
    Open(io::Error),
    Read(io::Error),
    /// A named pipe or a block device: reading it may never end.
    Endless,
    TooLong,
    TimedOut {
        timed_out: TimedOut,
        /// Whether as many files were being read as may be.
        busy: bool,
    },
}

impl FileCause {
    fn at(self, path: &str) -> FileError {
        let path = path.to_owned();
        FileError { path, cause: self }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = &self.path;
        match &self.cause {
            FileCause::Open(error) => write!(f, "open {path}: {}", SystemError(error)),
            FileCause::Read(error) => write!(f, "read {path}: {}", SystemError(error)),
            FileCause::Endless => write!(f, "open {path}: not a regular file"),
            FileCause::TooLong => write!(f, "read {path}: the file has more than {MOST} bytes"),
            FileCause::TimedOut {
                timed_out,
                busy: false,
            } => write!(f, "read {path}: {timed_out}"),
            FileCause::TimedOut {
                timed_out,
                busy: true,
            } => write!(
                f,
                "read {path}: {timed_out}; {READERS} files are being read and do not end"
            ),
        }
    }
}

impl std::error::Error for FileError {}

/// Runs `work`, which looks at files, on a thread that may be kept waiting. Give the wait a deadline: the thread goes on without it.
pub(super) async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    let permit = FREE.acquire().await;
    holding(permit, work).await.map_err(io::Error::other)
}

/// Opens a file to read it piece by piece.
///
/// # Errors
/// It cannot be opened, is none that ends, or the deadline comes.
pub async fn open(path: &str, deadline: Deadline) -> Result<tokio::fs::File, FileError> {
    within(path, deadline, open_now)
        .await
        .map(tokio::fs::File::from_std)
}

/// What stands in a file, without Unicode's white space at both ends, as Go's `TrimSpace` cuts it off bytes that need not be text.
///
/// # Errors
/// As [`open`]; it cannot be read or is too long.
pub async fn trimmed(path: &str, deadline: Deadline) -> Result<Vec<u8>, FileError> {
    let text = within(path, deadline, read_now).await?;
    Ok(trim(&text).to_vec())
}

fn trim(text: &[u8]) -> &[u8] {
    let begin = text.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    let spaces = begin.len() - begin.trim_start().len();
    let text = text.get(spaces..).unwrap_or_default();
    let last = text.utf8_chunks().last();
    let end = last
        .filter(|chunk| chunk.invalid().is_empty())
        .map_or("", |chunk| chunk.valid());
    let spaces = end.len() - end.trim_end().len();
    text.get(..text.len() - spaces).unwrap_or_default()
}

async fn within<T: Send + 'static>(
    path: &str,
    deadline: Deadline,
    work: fn(&str) -> Result<T, FileError>,
) -> Result<T, FileError> {
    let owned = path.to_owned();
    match deadline.within(apart(move || work(&owned))).await {
        Ok(done) => done.map_err(|error| FileCause::Read(error).at(path))?,
        Err(timed_out) => {
            let busy = FREE.available_permits() == 0;
            Err(FileCause::TimedOut { timed_out, busy }.at(path))
        }
    }
}

/// Opens a file, without waiting for one to write to a named pipe. Character devices pass: `/dev/null` is empty.
fn open_now(path: &str) -> Result<File, FileError> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
        .map_err(|error| FileCause::Open(error).at(path))?;
    let metadata = file.metadata().map_err(|error| FileCause::Open(error).at(path))?;
    let kind = metadata.file_type();
    // compat: upstream waits for somebody who writes, on a thread, and longer than the probe.
    if kind.is_fifo() || kind.is_block_device() {
        return Err(FileCause::Endless.at(path));
    }
    Ok(file)
}

/// What stands in a file, on a thread that may wait.
pub(super) fn read_now(path: &str) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    open_now(path)?
        .take(MOST as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| FileCause::Read(error).at(path))?;
    // compat: upstream reads on.
    if bytes.len() > MOST {
        return Err(FileCause::TooLong.at(path));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex, mpsc};
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;

    #[tokio::test]
    async fn reads_what_ends_and_tells_of_the_rest() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).display().to_string();
        std::fs::write(path("secret"), " \u{a0}s\n").unwrap();
        std::os::unix::fs::symlink("secret", path("link")).unwrap();
        std::fs::write(path("long"), vec![0; MOST + 1]).unwrap();
        let made = std::process::Command::new("mkfifo").arg(path("fifo")).status();
        assert!(made.unwrap().success());
        let folder = dir.path().display().to_string();
        let rows = [
            (path("secret"), Ok("s")),
            (path("link"), Ok("s")),
            ("/dev/null".to_owned(), Ok("")),
            (path("none"), Err("open PATH: no such file or directory")),
            (path("fifo"), Err("open PATH: not a regular file")),
            (folder, Err("read PATH: is a directory")),
            (
                path("long"),
                Err("read PATH: the file has more than 16777216 bytes"),
            ),
            (
                "/dev/zero".to_owned(),
                Err("read PATH: the file has more than 16777216 bytes"),
            ),
        ];
        let deadline = Deadline::after(Instant::now(), Duration::from_secs(60));
        for (path, want) in rows {
            let got = trimmed(&path, deadline).await.map_err(|error| error.to_string());
            let want = want
                .map(|text| text.as_bytes().to_vec())
                .map_err(|text| text.replace("PATH", &path));
            assert_eq!(got, want, "{path}");
        }
    }

    #[tokio::test]
    async fn reads_that_hang_keep_few_threads() {
        let (release, hang) = mpsc::channel::<()>();
        let hang = Arc::new(Mutex::new(hang));
        let started = Arc::new(AtomicUsize::new(0));
        let hanging: Vec<_> = (0..3 * READERS)
            .map(|_| {
                let (hang, started) = (Arc::clone(&hang), Arc::clone(&started));
                tokio::spawn(apart(move || {
                    started.fetch_add(1, Ordering::Relaxed);
                    let _ = hang.lock().unwrap().recv();
                }))
            })
            .collect();
        while FREE.available_permits() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let budget = Duration::from_millis(200);
        let late = trimmed("/dev/null", Deadline::after(Instant::now(), budget)).await;
        let text = late.unwrap_err().to_string();
        assert_eq!(
            text,
            "read /dev/null: the probe's timeout of 200ms ran out; 16 files are being read and do not end"
        );
        assert!(started.load(Ordering::Relaxed) <= READERS);
        drop(release);
        for one in hanging {
            one.await.unwrap().unwrap();
        }
        let deadline = Deadline::after(Instant::now(), Duration::from_secs(60));
        assert!(trimmed("/dev/null", deadline).await.is_ok());
    }
}
