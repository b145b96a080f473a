//! Loading the configuration again: by SIGHUP, by POST, and by itself.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use http::{Method, StatusCode};

use super::answer::Response;
use super::{Exporter, answer};
use crate::config::{LoadError, Problem};
use crate::logging::{Format, Logger};
use crate::memory;
use crate::module::store::{CHANGED, Reload, UNCHANGED};
use crate::probe_log::text;
use crate::say;

/// How long an answer waits for its log lines.
const PATIENCE: Duration = Duration::from_millis(100);

/// How a reload ended: why the configuration cannot be served, if it cannot.
type Reloaded = Result<(), String>;

/// One reload runs at most, and one waits for its end. Whoever asks meanwhile shares the result of the one that waits: the one
/// that runs may have read the files before they were changed. So a file that cannot be read to its end keeps one thread.
#[derive(Debug, Default)]
pub struct Reloads {
    next: Mutex<Option<Shared<BoxFuture<'static, Reloaded>>>>,
    turn: tokio::sync::Mutex<()>,
}

impl Exporter {
    /// Loads the configuration again and says in the log how that went.
    ///
    /// # Errors
    /// Why it cannot be served; what was served before stays.
    pub async fn reload(self: &Arc<Self>) -> Reloaded {
        let next = {
            let mut next = self.reloads.next.lock().unwrap_or_else(PoisonError::into_inner);
            next.get_or_insert_with(|| Arc::clone(self).next_reload()).clone()
        };
        next.await
    }

    /// The reload that begins when the one that runs has ended; it does not need anybody to wait for it.
    fn next_reload(self: Arc<Self>) -> Shared<BoxFuture<'static, Reloaded>> {
        let reload = tokio::spawn(async move {
            let _turn = self.reloads.turn.lock().await;
            // From here on somebody who asks may have changed the files since.
            let next = self
                .reloads
                .next
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            drop(next);
            let result = self.reload_now().await;
            // Whoever asked for it may look into the log at once.
            self.logger.written(PATIENCE).await;
            result
        });
        // A reload that panicked is one that failed.
        let result = reload.map(|ended| ended.unwrap_or_else(|error| Err(error.to_string())));
        result.boxed().shared()
    }

    async fn reload_now(self: &Arc<Self>) -> Result<(), String> {
        let exporter = Arc::clone(self);
        let reloaded = tokio::task::spawn_blocking(move || memory::thrifty(|| exporter.store.reload())).await;
        // A reload that panicked is one that failed.
        let result = match reloaded {
            Ok(result) => {
                result.map_err(|error| (!matches!(error, LoadError::Unreadable { .. }), error.to_string()))
            }
            Err(error) => Err((true, error.to_string())),
        };
        match result {
            Ok(Reload::Unchanged) => say!(self.logger, Info, UNCHANGED),
            Ok(Reload::Changed { warnings }) => {
                say!(self.logger, Info, CHANGED);
                warn(&self.logger, &warnings);
                self.instruments.serve(&self.store.current().modules);
            }
            Err((was_read, error)) => {
                if was_read {
                    say!(self.logger, Info, CHANGED);
                }
                if let Some(trouble) = self.store.trouble() {
                    quote(&self.logger, &trouble);
                }
                say!(self.logger, Error, "Error reloading config", "err" => text(&error));
                return Err(error);
            }
        }
        // The next probe that needs the system's CA certificates reads them again.
        self.network.roots.forget();
        say!(self.logger, Info, "Reloaded config file");
        Ok(())
    }
}

/// Shows people what is wrong with a file: each place quoted, as `check-config` does. The log line that follows is for machines, and
/// so are all lines of JSON.
pub fn quote(logger: &Logger, quoted: &str) {
    if logger.format() == Format::Logfmt {
        logger.write_rendered(quoted);
    }
}

/// Logs what loads but is probably not meant. The message alone is upstream's, where upstream has one.
pub fn warn(logger: &Logger, warnings: &[Problem]) {
    for warning in warnings {
        let module = warning.module.clone().unwrap_or_default();
        let line = warning.at.map_or(0, |at| at.line);
        match &warning.help {
            Some(help) => {
                say!(logger, Warn, &warning.message, "module" => module, "line" => line, "help" => help.clone());
            }
            None => say!(logger, Warn, &warning.message, "module" => module, "line" => line),
        }
    }
}

/// `/-/reload`
pub async fn reload(exporter: &Arc<Exporter>, method: &Method) -> Response {
    if method != Method::POST {
        let message = "This endpoint requires a POST request.\n";
        return answer::text(StatusCode::METHOD_NOT_ALLOWED, answer::PLAIN_UTF8, message);
    }
    match exporter.reload().await {
        Ok(()) => answer::empty(StatusCode::OK),
        Err(error) => answer::error(
            StatusCode::INTERNAL_SERVER_ERROR,
            &format!("failed to reload config: {error}"),
        ),
    }
}
