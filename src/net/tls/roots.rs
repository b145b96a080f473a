//! The system's CA certificates, found where Go finds them.

use std::path::Path;
use std::sync::Arc;
use std::{env, fs, io};

use arc_swap::ArcSwapOption;

use crate::net::x509::Pool;

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

/// The system's CA certificates: loaded by the first probe that needs them, shared by all, loaded anew on reload.
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

/// What was found on this system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RootsStatus {
    /// That many CA certificates.
    Found(usize),
    /// None: every certificate will be of an unknown authority, unless a module has its own.
    None,
    /// None, because of this.
    Failed(String),
}

impl SystemRoots {
    /// The certificates, or why there are none.
    pub(super) fn pool(&self) -> Result<&Pool, &str> {
        self.pool.as_ref().map_err(String::as_str)
    }

    /// Reads the files that `SSL_CERT_FILE` and `SSL_CERT_DIR` name, or the usual ones.
    fn load() -> Self {
        let set = |name| env::var(name).ok().filter(|value| !value.is_empty());
        let files = set("SSL_CERT_FILE").map_or_else(|| FILES.map(str::to_owned).to_vec(), |file| vec![file]);
        let directories = set("SSL_CERT_DIR").map_or_else(
            || DIRECTORIES.map(str::to_owned).to_vec(),
            |list| list.split(':').map(str::to_owned).collect(),
        );
        Self::load_from(&files, &directories)
    }

    fn load_from(files: &[String], directories: &[String]) -> Self {
        let mut pool = Pool::default();
        let mut failure = None;
        let mut failed = |path: &str, error: &io::Error| {
            if error.kind() != io::ErrorKind::NotFound {
                failure.get_or_insert_with(|| format!("open {path}: {error}"));
            }
        };
        for file in files {
            match fs::read(file) {
                Ok(text) => {
                    pool.add_pem(&text);
                    break;
                }
                Err(error) => failed(file, &error),
            }
        }
        for directory in directories {
            match fs::read_dir(directory) {
                Ok(entries) => {
                    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
                    // The order decides which of several chains is found first.
                    paths.sort_unstable();
                    for path in paths.iter().filter(|path| !links_beside(path)) {
                        if let Ok(text) = fs::read(path) {
                            pool.add_pem(&text);
                        }
                    }
                }
                Err(error) => failed(directory, &error),
            }
        }
        let pool = match failure {
            Some(why) if pool.is_empty() => Err(why),
            _ => Ok(pool),
        };
        Self { pool }
    }
}

/// Whether this is a link to a file of the same directory, as `c_rehash` makes them.
fn links_beside(path: &Path) -> bool {
    fs::read_link(path).is_ok_and(|target| target.components().count() == 1 && !target.has_root())
}

impl Roots {
    /// What the system trusts. Blocks for some milliseconds the first time.
    pub fn get(&self) -> Arc<SystemRoots> {
        if let Some(loaded) = self.loaded.load_full() {
            return loaded;
        }
        self.refresh();
        self.loaded
            .load_full()
            .unwrap_or_else(|| Arc::new(SystemRoots::load()))
    }

    /// As [`Roots::get`], without blocking an async thread.
    pub(super) async fn get_async(&self) -> Arc<SystemRoots> {
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

    /// Reads the system's certificates again. Blocks for some milliseconds; probes under way keep what they have.
    pub fn refresh(&self) {
        self.loaded.store(Some(Arc::new(SystemRoots::load())));
    }

    /// Forgets what was read, so that the next probe that needs it reads it again.
    pub fn forget(&self) {
        self.loaded.store(None);
    }

    /// What was found on this system. Blocks for some milliseconds the first time.
    pub fn status(&self) -> RootsStatus {
        match self.get().pool() {
            Ok(pool) if pool.is_empty() => RootsStatus::None,
            Ok(pool) => RootsStatus::Found(pool.len()),
            Err(why) => RootsStatus::Failed(why.to_owned()),
        }
    }
}
