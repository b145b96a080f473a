//! The system's CA certificates, found where Go finds them.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use std::{env, fs, io};

use arc_swap::ArcSwap;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use tokio::time::Instant;

use crate::net::x509::Pool;
use crate::os_error;
use crate::shortage::{Resource, Shortages};

/// Where distributions keep all CA certificates in one file; the first that can be read counts.
const FILES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Where they keep them one by one; all that can be read count.
const DIRECTORIES: [&str; 2] = ["/etc/ssl/certs", "/etc/pki/tls/certs"];

/// How long the failure of a reading counts which may succeed the next time.
const AGAIN: Duration = Duration::from_secs(1);

/// The system's CA certificates: read when the first probe needs them, shared by all, read again after a reload.
#[derive(Debug)]
pub struct Roots {
    read: fn() -> io::Result<SystemRoots>,
    shortages: Arc<Shortages>,
    /// Another one after each reload: what was begun before it counts only for those who waited for it.
    reading: ArcSwap<OnceLock<Reading>>,
}

/// One reading, for all who need it. It goes on when nobody waits any more, so that a directory that hangs keeps one thread.
type Reading = Shared<BoxFuture<'static, Result<Arc<SystemRoots>, Unread>>>;

/// This machine had none left of something that a reading needs.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", os_error::SystemError(error))]
pub struct Unread {
    error: Arc<io::Error>,
    /// When the reading ended.
    at: Instant,
}

impl Unread {
    /// What there was none left of.
    pub fn resource(&self) -> Option<Resource> {
        shortage(&self.error)
    }
}

/// What a file could not be read for want of, if that is why.
fn shortage(error: &io::Error) -> Option<Resource> {
    Resource::of("open", error)
}

impl Default for Roots {
    fn default() -> Self {
        Self::counting(Arc::default())
    }
}

/// What the system trusts.
#[derive(Debug)]
pub struct SystemRoots {
    pool: Result<Pool, String>,
}

impl SystemRoots {
    /// The certificates, or why there are none.
    pub(super) fn pool(&self) -> Result<&Pool, &str> {
        self.pool.as_ref().map_err(String::as_str)
    }

    fn read() -> io::Result<Self> {
        let mut pool = Pool::default();
        let failure = each_file(|path| {
            pool.add_pem(&fs::read(path)?);
            Ok(())
        })?;
        let pool = match failure {
            Some(why) if pool.is_empty() => Err(why),
            _ => Ok(pool),
        };
        Ok(Self { pool })
    }
}

/// Hands over the files that `SSL_CERT_FILE` and `SSL_CERT_DIR` name, or the usual ones: the first that can be read, and all
/// of the directories. What went wrong first, apart from files that are not there.
///
/// # Errors
/// This machine has no files or memory left: there may be more than what was read.
fn each_file(mut read: impl FnMut(&Path) -> io::Result<()>) -> io::Result<Option<String>> {
    let set = |name| env::var(name).ok().filter(|value| !value.is_empty());
    let files = set("SSL_CERT_FILE").map_or_else(|| FILES.map(str::to_owned).to_vec(), |file| vec![file]);
    let directories = set("SSL_CERT_DIR").map_or_else(
        || DIRECTORIES.map(str::to_owned).to_vec(),
        |list| list.split(':').map(str::to_owned).collect(),
    );
    let mut failure = None;
    let mut failed = |path: &str, error: io::Error| {
        if shortage(&error).is_some() {
            return Err(error);
        }
        if error.kind() != io::ErrorKind::NotFound {
            failure.get_or_insert_with(|| os_error::describe_file(Path::new(path), &error));
        }
        Ok(())
    };
    for file in &files {
        match read(Path::new(file)) {
            Ok(()) => break,
            Err(error) => failed(file, error)?,
        }
    }
    for directory in &directories {
        match fs::read_dir(directory) {
            Ok(entries) => {
                let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
                // The order decides which of several chains is found first.
                paths.sort_unstable();
                for path in paths.iter().filter(|path| !links_beside(path)) {
                    // Not everything in there need be a certificate, or a file.
                    match read(path) {
                        Err(error) if shortage(&error).is_some() => return Err(error),
                        _ => {}
                    }
                }
            }
            Err(error) => failed(directory, error)?,
        }
    }
    Ok(failure)
}

/// Whether a file holds a certificate, by its first line at best: it need not be read to its end for that.
fn holds_certificate(path: &Path) -> io::Result<bool> {
    const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
    let lines = BufReader::new(fs::File::open(path)?).split(b'\n');
    for line in lines {
        if line?.starts_with(BEGIN) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether this is a link to a file of the same directory, as `c_rehash` makes them.
fn links_beside(path: &Path) -> bool {
    fs::read_link(path).is_ok_and(|target| target.components().count() == 1 && !target.has_root())
}

impl Roots {
    /// Nothing is read yet. What this machine has none left of is counted.
    pub fn counting(shortages: Arc<Shortages>) -> Self {
        Self {
            read: SystemRoots::read,
            shortages,
            reading: ArcSwap::default(),
        }
    }

    /// Why no probe will find a CA certificate on this system, if so. Only looks: what parsing takes in time and memory is for
    /// the first probe that needs it. Blocks.
    pub fn why_none() -> Option<String> {
        let mut found = false;
        let failure = each_file(|path| {
            found = found || holds_certificate(path)?;
            Ok(())
        });
        // Probes will say what this machine has none left of.
        let failure = failure.ok()?;
        (!found).then(|| failure.unwrap_or_else(|| "none found".to_owned()))
    }

    /// What the system trusts. Wait for it with a deadline.
    ///
    /// # Errors
    /// This machine has none left of what reading takes, which is counted. A second later it is read again.
    pub async fn get(&self) -> Result<Arc<SystemRoots>, Unread> {
        let read = self.latest().await;
        if let Err(unread) = &read {
            self.shortages.note("open", &unread.error);
        }
        read
    }

    /// The same without counting.
    pub(super) async fn latest(&self) -> Result<Arc<SystemRoots>, Unread> {
        loop {
            let current = self.reading.load_full();
            let reading = current.get_or_init(|| self.begin()).clone();
            match reading.await {
                Err(unread) if unread.at.elapsed() >= AGAIN => {
                    // Of all who find it, one begins another.
                    self.reading.compare_and_swap(&current, Arc::default());
                }
                read => return read,
            }
        }
    }

    fn begin(&self) -> Reading {
        let reading = tokio::task::spawn_blocking(self.read).map(|read| {
            let read = read.unwrap_or_else(|error| Err(error.into()));
            read.map(Arc::new).map_err(|error| Unread {
                error: Arc::new(error),
                at: Instant::now(),
            })
        });
        reading.boxed().shared()
    }

    /// Forgets what was read, so that the next probe that needs it reads it again.
    pub fn forget(&self) {
        self.reading.store(Arc::default());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    static BEGUN: AtomicUsize = AtomicUsize::new(0);
    static BEGINS: Barrier = Barrier::new(2);
    static ENDS: Barrier = Barrier::new(2);

    /// Tells by its error which reading it is. The first one hangs.
    fn numbered() -> io::Result<SystemRoots> {
        let number = BEGUN.fetch_add(1, Ordering::SeqCst);
        if number == 0 {
            BEGINS.wait();
            ENDS.wait();
        }
        Ok(SystemRoots {
            pool: Err(number.to_string()),
        })
    }

    #[tokio::test]
    async fn a_reading_that_hangs_is_the_only_one_and_ends_with_the_reload() {
        let roots = Arc::new(Roots {
            read: numbered,
            ..Roots::default()
        });
        let number = async |roots: &Roots| roots.get().await.unwrap().pool().unwrap_err().to_owned();
        let first = tokio::spawn({
            let roots = Arc::clone(&roots);
            async move { number(&roots).await }
        });
        tokio::task::spawn_blocking(|| BEGINS.wait()).await.unwrap();
        for _ in 0..3 {
            let given_up = tokio::time::timeout(Duration::from_millis(1), roots.get()).await;
            assert!(given_up.is_err());
        }
        assert_eq!(BEGUN.load(Ordering::SeqCst), 1);
        roots.forget();
        assert_eq!(number(&roots).await, "1");
        tokio::task::spawn_blocking(|| ENDS.wait()).await.unwrap();
        assert_eq!(first.await.unwrap(), "0");
        // What was begun before the reload is not what counts after it.
        assert_eq!(number(&roots).await, "1");
    }

    #[tokio::test(start_paused = true)]
    async fn a_reading_for_which_files_were_missing_is_made_again() {
        static READS: AtomicUsize = AtomicUsize::new(0);
        let roots = Roots {
            read: || match READS.fetch_add(1, Ordering::SeqCst) {
                0 => Err(io::Error::from_raw_os_error(libc::EMFILE)),
                _ => Ok(SystemRoots {
                    pool: Ok(Pool::default()),
                }),
            },
            ..Roots::default()
        };
        for _ in 0..3 {
            let unread = roots.get().await.unwrap_err();
            assert_eq!(unread.resource(), Some(Resource::Files));
        }
        assert_eq!(READS.load(Ordering::SeqCst), 1);
        assert_eq!(roots.shortages.count(Resource::Files), 3);
        tokio::time::advance(AGAIN).await;
        for _ in 0..3 {
            assert!(roots.get().await.is_ok());
        }
        assert_eq!(READS.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn what_is_missing_of_a_folder_is_not_passed_over() {
        let mut reads = 0;
        let read = each_file(|_| {
            reads += 1;
            // The file, and what stands in the folders.
            match reads {
                1 => Ok(()),
                _ => Err(io::Error::from_raw_os_error(libc::EMFILE)),
            }
        });
        // A system without CA certificates has nothing to pass over.
        assert!(read.is_err() || reads <= 1, "{reads} {read:?}");
    }
}
