//! The system's CA certificates, found where Go finds them.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::sync::Arc;
use std::{env, fs, io};

use arc_swap::ArcSwapOption;

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

/// The system's CA certificates: loaded by the first probe that needs them, shared by all, loaded again on reload.
#[derive(Debug, Default)]
pub struct Roots {
    loaded: ArcSwapOption<SystemRoots>,
    /// Held while loading: many probes that need the certificates at once wait for one of them to read them.
    loading: tokio::sync::Mutex<()>,
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

    fn load() -> Self {
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

    /// What the system trusts: read by the first who asks.
    pub(super) async fn get(&self) -> Arc<SystemRoots> {
        if let Some(loaded) = self.loaded.load_full() {
            return loaded;
        }
        let _alone = self.loading.lock().await;
        if let Some(loaded) = self.loaded.load_full() {
            return loaded;
        }
        let loaded = tokio::task::spawn_blocking(SystemRoots::load).await;
        let loaded = Arc::new(loaded.unwrap_or_else(|_| SystemRoots::load()));
        self.loaded.store(Some(Arc::clone(&loaded)));
        loaded
    }

    /// Forgets what was read, so that the next probe that needs it reads it again.
    pub fn forget(&self) {
        self.loaded.store(None);
    }
}
