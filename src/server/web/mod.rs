//! What stands between the network and the endpoints when there is a web configuration file: TLS, passwords, security
//! headers, a rate limit. The file is read again when it changes, as are the certificates that it names.

mod auth;
mod hash;
mod limit;
mod look;
mod tls;
mod turns;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::StatusCode;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::answer::{self, Response};
use super::connections::requests::Requests;
use crate::config::files::disk;
use crate::config::files::web::{Web, WebError};
use crate::logging::{Logger, OncePerMinute};
use crate::probe_log::text;
use crate::say;
use crate::stamp::Stamp;
use crate::strconv;

pub use tls::why_failed;

use auth::Verdicts;
use limit::Limiter;
use look::Looks;
use tls::Handshake;

/// What Go answers to plain HTTP where TLS is spoken.
const PLAIN_HTTP_REFUSED: &[u8] =
    b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

/// The guard of the exporter's port.
#[derive(Debug)]
pub struct Gate {
    path: PathBuf,
    /// The latest readable version of the file.
    read: Mutex<(Option<Stamp>, Arc<WebPolicy>)>,
    policies: Looks<Arc<WebPolicy>>,
    handshakes: Looks<Handshake>,
    /// Certificates and what else TLS needs; `None` when the file has no TLS section.
    tls: Option<Arc<tls::Acceptor>>,
    /// Whether `/-/healthy` is for everybody.
    open_healthy: bool,
    /// As the file said when the exporter started; upstream does not read it again either.
    limiter: Option<Limiter>,
    verdicts: Verdicts,
    trouble: OncePerMinute,
    hang: OncePerMinute,
    logger: Logger,
}

/// What the file says about requests.
#[derive(Debug)]
struct WebPolicy {
    web: Web,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl WebPolicy {
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
        let web = Web::load(path, disk::read)?;
        hash::check(&web.users).map_err(WebError::Invalid)?;
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
            read: Mutex::new((stamp, Arc::new(WebPolicy::new(web)))),
            policies: Looks::default(),
            handshakes: Looks::default(),
            tls: tls.map(Arc::new),
            open_healthy,
            limiter,
            verdicts: Verdicts::new(),
            trouble: OncePerMinute::default(),
            hang: OncePerMinute::default(),
            logger: logger.clone(),
        })
    }

    /// Whether the port speaks TLS, and whether it offers HTTP/2 then.
    pub fn tls(&self) -> Option<Http2> {
        self.tls.as_ref().map(|tls| tls.http2())
    }

    /// Whether `/-/healthy` is for everybody.
    pub fn open_healthy(&self) -> bool {
        self.open_healthy
    }

    /// Shakes hands with a caller: the stream, and whether requests over it need a client's certificate.
    ///
    /// # Errors
    /// There was none.
    pub async fn handshake(
        self: &Arc<Self>,
        mut stream: TcpStream,
    ) -> io::Result<(TlsStream<TcpStream>, bool)> {
        let mut first = [0; 5];
        // Handshakes begin with a record of type 22. Anything else may begin a request of plain HTTP, whose first bytes
        // mostly come at once.
        for _ in 0..20 {
            let seen = stream.peek(&mut first).await?;
            if seen == 0 || seen == first.len() || first.first() == Some(&22) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if [b"GET /", b"HEAD ", b"POST ", b"PUT /", b"OPTIO"].contains(&&first) {
            stream.write_all(PLAIN_HTTP_REFUSED).await?;
            stream.shutdown().await?;
            return Err(io::Error::other("client sent an HTTP request to an HTTPS server"));
        }
        let handshake = self.server_config().await.map_err(io::Error::other)?;
        let handshake = handshake.ok_or_else(|| io::Error::other("TLS was switched off"))?;
        let stream = TlsAcceptor::from(handshake.config).accept(stream).await?;
        Ok((stream, handshake.demands_certificate))
    }

    /// What to shake hands with, by the files as they are now. `None` when the port does not speak TLS.
    async fn server_config(self: &Arc<Self>) -> Result<Option<Handshake>, String> {
        let Some(tls) = &self.tls else {
            return Ok(None);
        };
        let look = {
            let tls = Arc::clone(tls);
            move || tls.current()
        };
        match self.handshakes.latest(look).await {
            Some(Ok(handshake)) => Ok(Some(handshake)),
            Some(Err(error)) => {
                self.say_that_files_are_broken(&error);
                Err(error)
            }
            None => {
                self.say_that_files_hang();
                Ok(Some(tls.latest()))
            }
        }
    }

    /// Lets a request in, with the headers that its answer gets; or answers it.
    ///
    /// # Errors
    /// The answer: the file is broken, too many requests, or no certificate, or no or a wrong password.
    pub async fn admit(
        self: &Arc<Self>,
        headers: &HeaderMap,
        requests: &Requests,
    ) -> Result<Admitted, Box<Response>> {
        let policy = match self.policy().await {
            Ok(policy) => policy,
            Err(error) => {
                self.say_that_files_are_broken(&error);
                return Err(refusal(StatusCode::INTERNAL_SERVER_ERROR));
            }
        };
        if self.limiter.as_ref().is_some_and(|limiter| !limiter.allow()) {
            return Err(refusal(StatusCode::TOO_MANY_REQUESTS));
        }
        if requests.caller().lacks_certificate {
            let mut response = answer::error(StatusCode::FORBIDDEN, "a client certificate is required");
            Admitted(policy).add_headers(&mut response);
            return Err(Box::new(response));
        }
        if policy.web.users.is_empty() {
            return Ok(Admitted(policy));
        }
        let credentials = headers.get(AUTHORIZATION).and_then(auth::credentials);
        let verdict = match credentials {
            Some(credentials) => {
                let users = &policy.web.users;
                self.verdicts.judge(users, credentials, requests).await
            }
            None => auth::PasswordVerdict::Wrong,
        };
        let mut response = match verdict {
            auth::PasswordVerdict::Right => return Ok(Admitted(policy)),
            auth::PasswordVerdict::Wrong => {
                let mut response = refusal(StatusCode::UNAUTHORIZED);
                let basic = HeaderValue::from_static("Basic");
                response.headers_mut().insert(WWW_AUTHENTICATE, basic);
                response
            }
            auth::PasswordVerdict::Busy => refusal(StatusCode::TOO_MANY_REQUESTS),
        };
        Admitted(policy).add_headers(&mut response);
        Err(response)
    }

    /// The file as it is now; as it was last, while a look at it hangs.
    async fn policy(self: &Arc<Self>) -> Result<Arc<WebPolicy>, String> {
        let gate = Arc::clone(self);
        match self.policies.latest(move || gate.policy_now()).await {
            Some(policy) => policy,
            None => {
                self.say_that_files_hang();
                Ok(Arc::clone(&self.read().1))
            }
        }
    }

    /// As [`policy`](Self::policy). Not for an async thread: even a `stat` hangs where the file system does.
    fn policy_now(&self) -> Result<Arc<WebPolicy>, String> {
        // The file itself is read only when it changed.
        let stamp = Stamp::of(&self.path);
        {
            let read = self.read();
            if stamp.is_some() && stamp == read.0 {
                return Ok(Arc::clone(&read.1));
            }
        }
        let web = Web::load(&self.path, disk::read_regular).map_err(|error| error.to_string())?;
        let policy = Arc::new(WebPolicy::new(web));
        *self.read() = (stamp, Arc::clone(&policy));
        Ok(policy)
    }

    fn read(&self) -> MutexGuard<'_, (Option<Stamp>, Arc<WebPolicy>)> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say_that_files_are_broken(&self, error: &str) {
        // Once a minute: it would be every request otherwise.
        if self.trouble.due().is_some() {
            say!(self.logger, Error, "Unable to parse configuration", "err" => text(error));
        }
    }

    fn say_that_files_hang(&self) {
        // Once a minute: it would be every request otherwise.
        if self.hang.due().is_some() {
            say!(
                self.logger,
                Error,
                "Reading the web configuration file, or a file that it names, does not end. What was read last stays in use",
                "file" => text(self.path.display().to_string()),
            );
        }
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
pub struct Admitted(Arc<WebPolicy>);

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
