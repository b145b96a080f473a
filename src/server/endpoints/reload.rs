//! Loading the configuration again: by SIGHUP, by POST, and by itself.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};

use crate::config::codec::problem::TOLD;
use crate::config::{LoadError, Problem};
use crate::logging::{LogFormat, Logger};
use crate::memory;
use crate::module::store::{CHANGED, Reload, UNCHANGED};
use crate::probe_log::{Level, LogValue, text};
use crate::say;
use crate::server::answer::Response;
use crate::server::{Exporter, answer};

/// How long an answer waits for its log lines.
const PATIENCE: Duration = Duration::from_millis(100);

impl Exporter {
    /// Loads the configuration again and says in the log how that went. Reloads are [`Runs`](crate::server::runs::Runs).
    ///
    /// # Errors
    /// Why it cannot be served; what was served before stays.
    pub async fn reload(self: &Arc<Self>) -> Result<(), String> {
        let exporter = Arc::clone(self);
        let reload = self.reloads.share(async move {
            let result = exporter.reload_now().await;
            // Whoever asked for it may look into the log at once.
            exporter.logger.written(PATIENCE).await;
            result
        });
        reload.await
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
                self.instruments.modules.serve(&self.store.current().modules);
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
    if logger.format() == LogFormat::Logfmt {
        logger.write_rendered(quoted);
    }
}

/// Logs what loads but is probably not meant. The message alone is upstream's, where upstream has one.
pub fn warn(logger: &Logger, warnings: &[Problem]) {
    for warning in warnings.iter().take(TOLD) {
        let text = |name, text: &Option<String>| text.clone().map(|text| (name, LogValue::from(text)));
        let path = Some(warning.path.clone()).filter(|path| !path.is_empty());
        let fields = [
            text("module", &warning.module),
            text("field", &path),
            text("file", &warning.file),
            warning.at.map(|at| ("line", at.line.into())),
            text("help", &warning.help),
        ];
        let fields: Vec<_> = fields.into_iter().flatten().collect();
        if logger.enabled(Level::Warn) {
            let place = concat!(file!(), ":", line!());
            logger.write(Level::Warn, place, &warning.message, &fields);
        }
    }
    let more = warnings.len().saturating_sub(TOLD);
    if more > 0 {
        say!(logger, Warn, "The configuration has more warnings", "count" => more);
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
