//! Follows redirects by the rules of Go's `net/http` client.
//!
//! A hop has no timeout of its own: looking up, connecting (`connect`) and waiting for the response (`round_trip`) end with
//! `probe.deadline`, which is the probe's from the first hop on.

use std::borrow::Cow;

use go_http::cookies::{Jar, OwnCookies, add_cookies};
use gostd::address::push_decimal;
use tokio::io::AsyncBufReadExt;
use tokio::time::Instant;

use super::Client;
use super::credentials::is_sensitive;
use super::error::RoundTripError;
use super::request::{HttpRequest, is_same_or_below};
use super::response::{HttpResponse, ResponseBody};
use crate::carried;
use crate::log;
use crate::module::http::BodySource;
use crate::net::TimedOut;
use crate::net::headers::{Headers, canonical};
use crate::net::http1::RequestBody;
use crate::net::proxy::basic;
use crate::net::url::{Url, hostname, idna_ascii};
use crate::probe_log::{EXCERPT, excerpt_of};
use crate::prober::{Answer, Phase, Probe, advice};
use crate::reason::Reason;

/// Most redirects that are followed.
const MOST: usize = 10;

/// How much of a redirect's body is read before the next request, as Go does it.
const SLURP: usize = 2 << 10;

/// How a chain of requests ended.
pub(super) struct Chain {
    /// The last answer, if there is one.
    pub(super) response: Option<Box<HttpResponse>>,
    /// How many redirects came.
    pub(super) redirects: usize,
    /// Whether the last answer is a redirect that was not followed: its body is closed then.
    pub(super) unfollowed: bool,
    /// Whether a proxy was asked to forward the last request.
    pub(super) to_proxy: bool,
    /// Whether the last request went to another host than the target's, and so without credentials.
    pub(super) crossed_hosts: bool,
}

/// What a redirect asks for.
struct Next {
    method: String,
    keeps_body: bool,
}

impl Client<'_> {
    /// Sends `first` and follows redirects; what goes wrong is in the log.
    pub(super) async fn follow(
        &mut self,
        probe: &mut Probe<'_>,
        first: Box<HttpRequest<'_>>,
        first_body: RequestBody,
    ) -> Chain {
        let mut jar = Jar::default();
        let mut own_cookies = OwnCookies::of(&first.headers);
        let mut own_headers = Cow::Borrowed(&self.module.headers);
        let again = match &first_body {
            // A file: that it is empty does not matter to Go.
            RequestBody::Empty if matches!(self.module.body, BodySource::File(_)) => None,
            RequestBody::Empty => Some(None),
            RequestBody::Bytes(bytes) => Some(Some(bytes.clone())),
            RequestBody::File(_) => None,
        };
        let mut chain = Chain {
            response: None,
            redirects: 0,
            unfollowed: false,
            to_proxy: false,
            crossed_hosts: first.crossed_hosts,
        };
        let mut request = first;
        let mut body = first_body;
        let mut keeps_body = true;
        loop {
            let cookies = jar.cookies(&request.url, &request.host);
            if !cookies.is_empty() {
                add_cookies(request.headers.to_mut(), &cookies);
            }
            let sent = self.send(probe, &request, body).await;
            let mut response = match sent {
                Ok(response) => response,
                Err(error) => {
                    probe.timeline.hop().result = Some(error.to_string());
                    let scheme = request.url.scheme.as_str();
                    let leads_elsewhere = chain.redirects > 0 && !matches!(scheme, "http" | "https");
                    let (line, reason) = match leads_elsewhere {
                        true => (advice::http::other_scheme(scheme), Reason::HttpRedirects),
                        false => (
                            advice::http::no_response(&error, scheme, self.trace().to_proxy),
                            error.reason(),
                        ),
                    };
                    probe.advise(line);
                    log_failure(probe, &self.module.method, &request.url, &error.to_string());
                    probe.fail(reason);
                    return chain;
                }
            };
            let hop = probe.timeline.hop();
            hop.result = Some(status_line(&response));
            hop.answer = Some(Answer::Http {
                version: response.version,
                status: response.status,
            });
            chain.to_proxy = self.trace().to_proxy;
            jar.store(&request.url, &request.host, &response.headers);
            let location = response.headers.value("Location").unwrap_or_default().to_vec();
            let Some(next) =
                next(&request.method, response.status, again.is_some()).filter(|_| !location.is_empty())
            else {
                chain.response = Some(response);
                return chain;
            };
            keeps_body = keeps_body && next.keeps_body;
            let reference = match Url::parse(&location) {
                Ok(reference) => reference,
                Err(error) => {
                    let shown = String::from_utf8_lossy(&location);
                    let shown =
                        String::from_utf8_lossy(shown.as_bytes().get(..500).unwrap_or(shown.as_bytes()));
                    let reason =
                        format!("failed to parse Location header {shown:?}: parse {shown:?}: {error}");
                    probe.advise(advice::http::location(&location));
                    log_failure(probe, &self.module.method, &request.url, &reason);
                    probe.fail(Reason::HttpRedirects);
                    return chain;
                }
            };
            let url = request.url.resolve(&reference);
            let crossed_hosts = request.crossed_hosts || !self.is_target(&url);
            if let Some(cookies) = own_cookies.replaced_by(&response.headers) {
                own_headers.to_mut().set("Cookie", cookies);
            }
            let host = match request.host == request.url.host || !reference.scheme.is_empty() {
                true => String::new(),
                false => request.host.clone(),
            };
            let upcoming = HttpRequest {
                method: next.method.into(),
                headers: Cow::Owned(next_headers(
                    &own_headers,
                    crossed_hosts,
                    keeps_body,
                    &request.url,
                    &url,
                )),
                url,
                host,
                crossed_hosts,
            };
            log!(probe.log, Info, "Received redirect", "location" => excerpt_of(shown(&reference, &location), EXCERPT));
            chain.redirects += 1;
            let follows = self.module.follow_redirects && chain.redirects <= MOST;
            if !follows {
                log!(probe.log, Info, "Not following redirect");
            }
            let from = Instant::now();
            let slurped = slurp(probe, &mut response).await;
            response.body.close();
            if !follows {
                chain.response = Some(response);
                chain.unfollowed = true;
                return chain;
            }
            if slurped.is_err() {
                probe.timeline.record(Phase::Transfer, from, Instant::now());
            }
            *request = upcoming;
            chain.crossed_hosts = crossed_hosts;
            body = match &again {
                Some(Some(bytes)) if keeps_body => RequestBody::Bytes(bytes.clone()),
                _ => RequestBody::Empty,
            };
            // Without any time left the next request does not begin: the time went by in this hop.
            if slurped.is_ok() {
                probe
                    .timeline
                    .begin_hop(excerpt_of(&request.url, EXCERPT).to_string());
            }
        }
    }

    /// Sends one request, with the credentials of its URL.
    async fn send(
        &mut self,
        probe: &mut Probe<'_>,
        request: &HttpRequest<'_>,
        body: RequestBody,
    ) -> Result<Box<HttpResponse>, RoundTripError> {
        let Some(user) = &request.url.user else {
            return self.round_trip(probe, request, body).await;
        };
        probe.secrets.hide_user(user);
        let mut with_user = Box::new(request.clone());
        if !with_user.headers.has_text("Authorization") {
            with_user.headers.to_mut().set("Authorization", basic(user));
        }
        self.round_trip(probe, &with_user, body).await
    }

    /// Whether a URL leads to the target's host or one below it, whose credentials it may have.
    fn is_target(&self, url: &Url) -> bool {
        let host = idna_ascii(url.hostname());
        // compat: upstream compares with the address that was chosen only, and so drops credentials when the target
        // redirects to its own name.
        is_same_or_below(&host, hostname(&self.first_host))
            || is_same_or_below(&host, &idna_ascii(&self.target_name))
    }
}

/// A redirect's place for the log: as it came, but without a password.
fn shown<'a>(reference: &Url, location: &'a [u8]) -> Cow<'a, str> {
    let has_password = reference
        .user
        .as_ref()
        .is_some_and(|user| user.password.is_some());
    if has_password {
        Cow::Owned(reference.redacted("xxxxx"))
    } else {
        carried::text(location)
    }
}

/// Protocol and status of an answer.
fn status_line(response: &HttpResponse) -> String {
    let mut line = String::with_capacity(response.protocol.len() + 4);
    line.push_str(&response.protocol);
    line.push(' ');
    push_decimal(&mut line, response.status);
    line
}

/// The method of the request that a redirect with that status leads to.
pub(crate) fn method_after(method: &str, status: u16) -> &str {
    match (status, method) {
        (301..=303, "GET" | "HEAD") => method,
        (301..=303, _) => "GET",
        _ => method,
    }
}

/// What an answer asks for, if it is a redirect that can be followed.
fn next(method: &str, status: u16, body_can_be_sent_again: bool) -> Option<Next> {
    match status {
        301..=303 => Some(Next {
            method: method_after(method, status).to_owned(),
            keeps_body: false,
        }),
        307 | 308 if body_can_be_sent_again => Some(Next {
            method: method.to_owned(),
            keeps_body: true,
        }),
        _ => None,
    }
}

/// The module's headers as far as they may go with the next request, and a `Referer`.
fn next_headers(own: &Headers, crossed_hosts: bool, keeps_body: bool, from: &Url, to: &Url) -> Headers {
    let mut headers = Headers::default();
    for (name, value) in own.iter() {
        let of_body = matches!(
            name,
            b"Content-Encoding" | b"Content-Language" | b"Content-Location" | b"Content-Type"
        );
        if (crossed_hosts && is_sensitive(name)) || (!keeps_body && of_body) {
            continue;
        }
        headers.add(&canonical(&String::from_utf8_lossy(name)), value);
    }
    let downgrade = from.scheme == "https" && to.scheme == "http";
    if !downgrade && !headers.has_text("Referer") {
        headers.set("Referer", from.without_user());
    }
    headers
}

/// Reads a little of a redirect's body, so that a peer that still sends it is not cut off. Errors do not matter: the redirect itself
/// has come.
async fn slurp(probe: &Probe<'_>, response: &mut HttpResponse) -> Result<(), TimedOut> {
    let short = response.told_length <= SLURP as i64;
    let ResponseBody::Stream(body) = &mut response.body else {
        return Ok(());
    };
    if !short {
        return Ok(());
    }
    let read = async {
        let mut left = SLURP;
        while left > 0 {
            let bytes = match body.fill_buf().await {
                Ok(data) => data.len().min(left),
                Err(_) => return,
            };
            if bytes == 0 {
                return;
            }
            body.consume(bytes);
            left -= bytes;
        }
    };
    probe.deadline.within(read).await
}

/// Logs a failed request as Go's `url.Error` prints it.
fn log_failure(probe: &mut Probe<'_>, method: &str, url: &Url, reason: &str) {
    let mut letters = method.chars();
    let operation = letters.next().map_or_else(
        || "Get".to_owned(),
        |first| format!("{first}{}", letters.as_str().to_lowercase()),
    );
    let url = excerpt_of(url.redacted("***"), EXCERPT).to_string();
    log!(probe.log, Error, "Error for HTTP request", "err" => format!("{operation} {url:?}: {reason}"));
}
