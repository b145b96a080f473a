//! The files that a configuration names. Upstream says what is wrong with them when a probe fails; here it is a warning.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::config::{self, NamedFile};
use crate::os_error;

/// How long all files together are looked at: a mount that hangs must not hold up a start.
const PATIENCE: Duration = Duration::from_secs(1);
/// Most files that are looked at.
const MOST: usize = 1000;
/// Most bytes of a key that are read.
const MOST_BYTES: u64 = 64 << 10;

/// What a file is wrong with.
struct Fault {
    message: String,
    help: Option<&'static str>,
}

/// Warnings about files that cannot be read, and keys that cannot be used.
pub(super) fn warnings(named: Vec<NamedFile>) -> Vec<config::Problem> {
    let names: BTreeSet<String> = named.iter().map(|named| named.file.clone()).take(MOST).collect();
    if names.is_empty() {
        return Vec::new();
    }
    let (sender, receiver) = mpsc::channel();
    let look = move || {
        for name in names {
            let fault = fault(Path::new(&name));
            if sender.send((name, fault)).is_err() {
                return;
            }
        }
    };
    if std::thread::Builder::new()
        .name("files".to_owned())
        .spawn(look)
        .is_err()
    {
        return Vec::new();
    }
    let end = Instant::now() + PATIENCE;
    let mut warnings = Vec::new();
    while let Ok((name, fault)) = receiver.recv_timeout(end.saturating_duration_since(Instant::now())) {
        let Some(fault) = fault else { continue };
        warnings.extend(
            named
                .iter()
                .filter(|named| named.file == name)
                .map(|named| config::Problem {
                    message: fault.message.clone(),
                    help: fault.help.map(str::to_owned),
                    ..named.place.clone()
                }),
        );
    }
    warnings.sort_by_key(|warning| warning.at);
    warnings
}

fn fault(file: &Path) -> Option<Fault> {
    const RELATIVE: &str = "a relative path is resolved in the working directory of the exporter";
    let unreadable = |error: &std::io::Error| Fault {
        message: os_error::describe_file(file, error),
        help: file.is_relative().then_some(RELATIVE),
    };
    match std::fs::metadata(file) {
        Err(error) => return Some(unreadable(&error)),
        Ok(metadata) if metadata.is_dir() => {
            let message = format!("{} is a folder", file.display());
            return Some(Fault { message, help: None });
        }
        // Opening a named pipe would wait for its writer.
        Ok(metadata) if !metadata.is_file() => return None,
        Ok(_) => {}
    }
    let opened = match File::open(file) {
        Ok(opened) => opened,
        Err(error) => return Some(unreadable(&error)),
    };
    let mut begin = Vec::new();
    opened.take(MOST_BYTES).read_to_end(&mut begin).ok()?;
    let is_encrypted = config::is_encrypted_key(&String::from_utf8_lossy(&begin));
    begin.fill(0);
    is_encrypted.then(|| Fault {
        message: format!("{}: {}", file.display(), config::KEY_IS_ENCRYPTED),
        help: Some(config::DECRYPT),
    })
}
