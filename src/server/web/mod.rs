//! What stands between the network and the endpoints when there is a web configuration file: TLS, passwords, security
//! headers, a rate limit. The file is read again when it changes, as are the certificates that it names.

mod auth;
mod limit;
mod tls;
mod turns;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use http::StatusCode;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, WWW_AUTHENTICATE};

use super::answer::{self, Response};
use super::seats::party;
use crate::config::web::{Web, WebError};
use crate::logging::{Logger, OncePerMinute};
use crate::probe_log::text;
use crate::say;
use crate::stamp::Stamp;
use crate::strconv;

pub use tls::Handshake;

use auth::Verdicts;
use limit::Limiter;

/// The guard of the exporter's port.
#[derive(Debug)]
pub struct Gate {
    path: PathBuf,
    /// The latest readable version of the file.
    read: Mutex<(Option<Stamp>, Arc<Policy>)>,
    /// Certificates and what else TLS needs; `None` when the file has no TLS section.
    tls: Option<tls::Acceptor>,
    /// Whether `/-/healthy` is for everybody.
    open_healthy: bool,
    /// As the file said when the exporter started; upstream does not read it again either.
    limiter: Option<Limiter>,
    verdicts: Verdicts,
    trouble: OncePerMinute,
    logger: Logger,
}

/// What the file says about requests.
#[derive(Debug)]
struct Policy {
    web: Web,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Policy {
    fn new(web: Web) -> Self {
        let headers = web
            .http
            .headers
            .iter()
            .filter_map(|(name, value)| {
                let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
                Some((name, HeaderValue::from_str(value).ok()?))
            })
            .collect();
        Self { web, headers }
    }
}

impl Gate {
    /// Reads the file and everything that it names.
    ///
    /// # Errors
    /// Whatever would keep connections from working later.
    pub fn open(path: &Path, open_healthy: bool, logger: &Logger) -> Result<Self, WebError> {
        let stamp = Stamp::of(path);
        let web = Web::load(path)?;
        auth::check_hashes(&web.users).map_err(WebError::Invalid)?;
        let limit = &web.rate_limit;
        let limiter = (limit.interval != 0).then(|| Limiter::new(limit.burst, limit.interval));
        if limiter.is_some() {
            say!(
                logger,
                Info,
                "Rate Limiter is enabled.",
                "burst" => limit.burst,
                "interval" => strconv::duration(limit.interval),
            );
        }
        if tls::no_handshake(&web.tls) {
            say!(
                logger,
                Warn,
                "min_version is above max_version: every TLS handshake will be refused",
                "min_version" => text(&web.tls.min_version),
                "max_version" => text(&web.tls.max_version),
            );
        }
        let tls = tls::Acceptor::open(path, &web, open_healthy).map_err(WebError::Invalid)?;
        Ok(Self {
            path: path.to_owned(),
            read: Mutex::new((stamp, Arc::new(Policy::new(web)))),
            tls,
            open_healthy,
            limiter,
            verdicts: Verdicts::new(),
            trouble: OncePerMinute::default(),
            logger: logger.clone(),
        })
    }

    /// Whether the port speaks TLS, and whether it offers HTTP/2 then.
    pub fn tls(&self) -> Option<Http2> {
        self.tls.as_ref().map(tls::Acceptor::http2)
    }

    /// Whether `/-/healthy` is for everybody.
    pub fn open_healthy(&self) -> bool {
        self.open_healthy
    }

    /// What to shake hands with, by the files as they are now. `None` when the port does not speak TLS.
    ///
    /// # Errors
    /// A file that cannot be used any more.
    pub async fn server_config(self: &Arc<Self>) -> Result<Option<Handshake>, String> {
        let gate = Arc::clone(self);
        let current = tokio::task::spawn_blocking(move || match &gate.tls {
            Some(tls) => tls.current().map(Some),
            None => Ok(None),
        });
        current.await.map_err(|error| error.to_string())?
    }

    /// Lets a request in, with the headers that its answer gets; or answers it.
    ///
    /// # Errors
    /// The answer: the file is broken, too many requests, or no or a wrong password.
    pub async fn admit(
        self: &Arc<Self>,
        headers: &HeaderMap,
        caller: IpAddr,
    ) -> Result<Admitted, Box<Response>> {
        let policy = match self.policy().await {
            Ok(policy) => policy,
            Err(error) => {
                // Once a minute: it would be every request otherwise.
                if self.trouble.due().is_some() {
                    say!(self.logger, Error, "Unable to parse configuration", "err" => text(error));
                }
                return Err(refusal(StatusCode::INTERNAL_SERVER_ERROR));
            }
        };
        if self.limiter.as_ref().is_some_and(|limiter| !limiter.allow()) {
            return Err(refusal(StatusCode::TOO_MANY_REQUESTS));
        }
        if policy.web.users.is_empty() {
            return Ok(Admitted(policy));
        }
        let credentials = headers.get(AUTHORIZATION).and_then(auth::credentials);
        let verdict = match credentials {
            Some(credentials) => {
                let users = &policy.web.users;
                self.verdicts.judge(users, credentials, party(caller)).await
            }
            None => auth::Verdict::Wrong,
        };
        let mut response = match verdict {
            auth::Verdict::Right => return Ok(Admitted(policy)),
            auth::Verdict::Wrong => {
                let mut response = refusal(StatusCode::UNAUTHORIZED);
                let basic = HeaderValue::from_static("Basic");
                response.headers_mut().insert(WWW_AUTHENTICATE, basic);
                response
            }
            auth::Verdict::Busy => refusal(StatusCode::TOO_MANY_REQUESTS),
        };
        Admitted(policy).add_headers(&mut response);
        Err(response)
    }

    /// The file as it is now.
    async fn policy(self: &Arc<Self>) -> Result<Arc<Policy>, String> {
        // One `stat`; the file itself is read only when it changed.
        let stamp = Stamp::of(&self.path);
        {
            let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
            if stamp.is_some() && stamp == read.0 {
                return Ok(Arc::clone(&read.1));
            }
        }
        let gate = Arc::clone(self);
        let reading = tokio::task::spawn_blocking(move || Web::load(&gate.path));
        let web = reading.await.map_err(|error| error.to_string())?;
        let policy = Arc::new(Policy::new(web.map_err(|error| error.to_string())?));
        *self.read.lock().unwrap_or_else(PoisonError::into_inner) = (stamp, Arc::clone(&policy));
        Ok(policy)
    }
}

/// Whether HTTP/2 is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Http2 {
    Offered,
    Off,
}

/// A request that was let in.
#[derive(Debug)]
pub struct Admitted(Arc<Policy>);

impl Admitted {
    /// Adds the configured headers; they win over what an endpoint sets.
    pub fn add_headers(&self, response: &mut Response) {
        for (name, value) in &self.0.headers {
            response.headers_mut().insert(name.clone(), value.clone());
        }
    }
}

fn refusal(status: StatusCode) -> Box<Response> {
    Box::new(answer::error(
        status,
        status.canonical_reason().unwrap_or_default(),
    ))
}
