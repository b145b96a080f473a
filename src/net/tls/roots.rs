//! The system's CA certificates, found where Go finds them.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::{env, fs, io};

use arc_swap::ArcSwap;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};

use crate::net::x509::Pool;
use crate::os_error;

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

/// The system's CA certificates: read when the first probe needs them, shared by all, read again after a reload.
#[derive(Debug)]
pub struct Roots {
    read: fn() -> SystemRoots,
    /// Another one after each reload: what was begun before it counts only for those who waited for it.
    reading: ArcSwap<OnceLock<Reading>>,
}

/// One reading, for all who need it. It goes on when nobody waits any more, so that a directory that hangs keeps one thread.
type Reading = Shared<BoxFuture<'static, Arc<SystemRoots>>>;

impl Default for Roots {
    fn default() -> Self {
        Self {
            read: SystemRoots::read,
            reading: ArcSwap::default(),
        }
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

    fn read() -> Self {
        let mut pool = Pool::default();
        let failure = each_file(|path| {
            pool.add_pem(&fs::read(path)?);
            Ok(())
        });
        let pool = match failure {
            Some(why) if pool.is_empty() => Err(why),
            _ => Ok(pool),
        };
        Self { pool }
    }
}

/// Hands over the files that `SSL_CERT_FILE` and `SSL_CERT_DIR` name, or the usual ones: the first that can be read, and all
/// of the directories. What went wrong first, apart from files that are not there.
fn each_file(mut read: impl FnMut(&Path) -> io::Result<()>) -> Option<String> {
    let set = |name| env::var(name).ok().filter(|value| !value.is_empty());
    let files = set("SSL_CERT_FILE").map_or_else(|| FILES.map(str::to_owned).to_vec(), |file| vec![file]);
    let directories = set("SSL_CERT_DIR").map_or_else(
        || DIRECTORIES.map(str::to_owned).to_vec(),
        |list| list.split(':').map(str::to_owned).collect(),
    );
    let mut failure = None;
    let mut failed = |path: &str, error: &io::Error| {
        if error.kind() != io::ErrorKind::NotFound {
            failure.get_or_insert_with(|| os_error::describe_file(Path::new(path), error));
        }
    };
    for file in &files {
        match read(Path::new(file)) {
            Ok(()) => break,
            Err(error) => failed(file, &error),
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
                    let _ = read(path);
                }
            }
            Err(error) => failed(directory, &error),
        }
    }
    failure
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
    /// Why no probe will find a CA certificate on this system, if so. Only looks: what parsing takes in time and memory is for
    /// the first probe that needs it. Blocks.
    pub fn why_none() -> Option<String> {
        let mut found = false;
        let failure = each_file(|path| {
            found = found || holds_certificate(path)?;
            Ok(())
        });
        (!found).then(|| failure.unwrap_or_else(|| "none found".to_owned()))
    }

    /// What the system trusts. Wait for it with a deadline.
    pub async fn get(&self) -> Arc<SystemRoots> {
        let reading = self
            .reading
            .load()
            .get_or_init(|| {
                tokio::task::spawn_blocking(self.read)
                    .map(|read| {
                        Arc::new(read.unwrap_or_else(|error| SystemRoots {
                            pool: Err(error.to_string()),
                        }))
                    })
                    .boxed()
                    .shared()
            })
            .clone();
        reading.await
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
    fn numbered() -> SystemRoots {
        let number = BEGUN.fetch_add(1, Ordering::SeqCst);
        if number == 0 {
            BEGINS.wait();
            ENDS.wait();
        }
        SystemRoots {
            pool: Err(number.to_string()),
        }
    }

    #[tokio::test]
    async fn a_reading_that_hangs_is_the_only_one_and_ends_with_the_reload() {
        let roots = Arc::new(Roots {
            read: numbered,
            reading: ArcSwap::default(),
        });
        let number = async |roots: &Roots| roots.get().await.pool().unwrap_err().to_owned();
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
}
