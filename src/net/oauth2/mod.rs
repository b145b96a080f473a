//! OAuth2 tokens for requests: client credentials (RFC 6749, section 4.4) and JWT bearer assertions (RFC 7523).
//!
//! A token is kept until shortly before it expires. compat: upstream asks for a new one in every probe. One that does not say when it
//! expires is good for the requests of its probe, as upstream's. Without a kept token each probe asks for its own, as upstream: no probe
//! waits for the request of another one.

mod answer;
mod jwt;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flate2::read::MultiGzDecoder;
use tokio::time::Instant;

use super::fetch;
use super::file::{self, FileError};
use super::policy::{Policy, PolicyRefusal};
use super::proxy::{Proxies, basic_of};
use super::reqwest_error::cause;
use super::resolve::Resolver;
use super::secrets::Secrets;
use super::tls::{Alpn, ClientTls, TlsError};
use super::url::{Url, UrlError, query_escape};
use super::{Deadline, Network, Preference, TimedOut};
use crate::config;
use answer::Grant;

/// How long before its end a token is not used any more.
const MARGIN: Duration = Duration::from_secs(10);

/// Most bytes of an answer of a token endpoint.
const MAX_ANSWER: usize = 1 << 20;

/// Most requests to an endpoint and to where it redirects.
const MOST_REQUESTS: usize = 10;

const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// Where tokens come from; the tokens of one module.
pub struct TokenSource {
    raw: Arc<config::OAuth2>,
    proxies: Proxies,
    tls: ClientTls,
    kept: Mutex<Kept>,
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSource").finish_non_exhaustive()
    }
}

/// A token for requests. Never printed.
pub struct Granted {
    /// The value of the `Authorization` field.
    pub authorization: String,
    /// Whether the endpoint does not say when it expires: all requests of this probe may use it, and those of no other.
    pub is_for_the_probe: bool,
}

/// What is remembered between probes.
#[derive(Default)]
struct Kept {
    token: Option<Token>,
    /// Whether the endpoint wants the client's credentials in the form, and not in a header.
    wants_form: Option<bool>,
}

struct Token {
    /// Value of the `Authorization` field.
    authorization: String,
    /// When it is not used any more.
    until: Instant,
    /// The secret that it was got with.
    secret: Vec<u8>,
}

/// Why there is no token. Never shows a secret.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum OAuth2Error {
    /// The secret or key file.
    #[error("unable to read oauth2 client secret: unable to read file {path}: {error}")]
    Secret { path: String, error: FileError },
    /// The private key cannot be used.
    #[error("oauth2: the private key cannot be used: {0}")]
    Key(String),
    /// A claim that JSON does not have.
    #[error("oauth2: claims: {0}")]
    Claims(String),
    /// A parameter that is set already.
    #[error("oauth2: cannot overwrite parameter {0:?}")]
    Parameter(String),
    #[error("oauth2: token endpoint: {0}")]
    Tls(TlsError),
    /// The endpoint could not be asked.
    #[error("oauth2: cannot fetch token: {0}")]
    Unreachable(String),
    /// The endpoint refused.
    #[error("oauth2: {0}")]
    Refused(String),
    /// The response is not a valid token response.
    #[error("oauth2: {0}")]
    Answer(String),
    #[error("oauth2: context deadline exceeded: {0} while waiting for the token endpoint")]
    TimedOut(TimedOut),
}

/// Names and values; a secret may be of any bytes.
type Form<'a> = BTreeMap<&'a str, Cow<'a, [u8]>>;

impl TokenSource {
    /// Compiles the `oauth2` section.
    ///
    /// # Errors
    /// Its `proxy_url` is no URL.
    pub fn new(raw: &Arc<config::OAuth2>) -> Result<Self, UrlError> {
        Ok(Self {
            raw: Arc::clone(raw),
            proxies: Proxies::new(&raw.proxy)?,
            tls: ClientTls::new(raw.tls_config.clone()),
            kept: Mutex::default(),
        })
    }

    /// A token: a kept one, or a new one.
    ///
    /// # Errors
    /// See [`OAuth2Error`].
    pub async fn authorization(
        &self,
        network: &Network,
        agent: &[u8],
        secrets: &Secrets,
        deadline: Deadline,
    ) -> Result<Granted, OAuth2Error> {
        let work = async {
            let secret = self.secret(deadline).await?;
            self.hide(secrets, &secret);
            if let Some(authorization) = self.kept_for(&secret) {
                secrets.hide_authorization(authorization.as_bytes());
                return Ok(Granted {
                    authorization,
                    is_for_the_probe: false,
                });
            }
            let asked = Instant::now();
            let client = self.client(network, deadline).await?;
            if let Ok(url) = reqwest::Url::parse(&self.raw.token_url) {
                let judged = judge(&network.policy, &self.proxies, &url);
                judged
                    .map_err(|refusal| OAuth2Error::Unreachable(format!("the token endpoint: {refusal}")))?;
            }
            let grant = self.ask(&secret, &client, agent, secrets).await?;
            // As upstream's two kinds of grants read a number below zero.
            let lifetime = grant
                .lifetime
                .filter(|lifetime| !self.is_jwt() || !lifetime.is_zero());
            let authorization = grant.authorization();
            secrets.hide_authorization(authorization.as_bytes());
            self.lock().token = lifetime.map(|lifetime| Token {
                authorization: authorization.clone(),
                until: asked + lifetime.saturating_sub(MARGIN),
                secret,
            });
            Ok(Granted {
                authorization,
                is_for_the_probe: lifetime.is_none(),
            })
        };
        deadline.within(work).await.map_err(OAuth2Error::TimedOut)?
    }

    /// Forgets the kept token, because somebody did not accept it.
    pub fn forget(&self) {
        self.lock().token = None;
    }

    /// The kept token that was got with this secret.
    fn kept_for(&self, secret: &[u8]) -> Option<String> {
        let kept = self.lock();
        let token = kept.token.as_ref()?;
        (token.secret == secret && token.until > Instant::now()).then(|| token.authorization.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which secret is only named, in a secret manager that nobody has.
    pub fn only_named(&self) -> Option<&'static str> {
        let (name, what) = if self.is_jwt() {
            (&self.raw.client_certificate_key_ref, "client certificate")
        } else {
            (&self.raw.client_secret_ref, "client secret")
        };
        (!name.is_empty()).then_some(what)
    }

    fn is_jwt(&self) -> bool {
        self.raw.grant_type == JWT_BEARER
    }

    async fn secret(&self, deadline: Deadline) -> Result<Vec<u8>, OAuth2Error> {
        let (inline, path) = if self.is_jwt() {
            (
                &self.raw.client_certificate_key,
                &self.raw.client_certificate_key_file,
            )
        } else {
            (&self.raw.client_secret, &self.raw.client_secret_file)
        };
        if !inline.is_empty() || path.is_empty() {
            return Ok(inline.expose().as_bytes().to_vec());
        }
        let text = file::trimmed(path, deadline).await;
        text.map_err(|error| OAuth2Error::Secret {
            path: path.clone(),
            error,
        })
    }

    /// Hides what goes to the token endpoint and to the proxy before it.
    fn hide(&self, secrets: &Secrets, secret: &[u8]) {
        secrets.hide(secret);
        for (name, value) in &self.raw.endpoint_params {
            secrets.hide_if_named(name, value.as_bytes());
        }
        secrets.hide_proxies(&self.proxies);
        if let Some(user) = Url::parse(&*self.raw.token_url).ok().and_then(|url| url.user) {
            secrets.hide_user(&user);
        }
    }

    async fn ask(
        &self,
        secret: &[u8],
        client: &reqwest::Client,
        agent: &[u8],
        secrets: &Secrets,
    ) -> Result<Grant, OAuth2Error> {
        if self.is_jwt() {
            let mut form = Form::new();
            let assertion = jwt::assertion(&self.raw, secret)?;
            secrets.hide(assertion.as_bytes());
            form.insert("grant_type", JWT_BEARER.as_bytes().into());
            form.insert("assertion", assertion.as_bytes().into());
            let form = self.completed(form)?;
            return self.post(client, &form, None, agent).await;
        }
        let mut form = Form::new();
        form.insert("grant_type", b"client_credentials".into());
        let form = self.completed(form)?;
        let mut with_secret = form.clone();
        for (name, value) in [
            ("client_id", self.raw.client_id.as_bytes()),
            ("client_secret", secret),
        ] {
            if !value.is_empty() {
                with_secret.insert(name, value.into());
            }
        }
        let id = query_escape(&self.raw.client_id);
        let in_header = basic_of(id.as_bytes(), query_escape(secret).as_bytes());
        secrets.hide_authorization(in_header.as_bytes());
        let attempt = async |in_form| {
            if in_form {
                self.post(client, &with_secret, None, agent).await
            } else {
                self.post(client, &form, Some(&in_header), agent).await
            }
        };
        // Only a grant settles it: what fails is found out again by the next probe.
        let known = self.lock().wants_form;
        let ended = match known {
            Some(in_form) => attempt(in_form).await.map(|grant| (grant, in_form)),
            // Nobody says how an endpoint wants it: the header first, as the RFC has it, then the form.
            None => match attempt(false).await {
                Ok(grant) => Ok((grant, false)),
                Err(_) => attempt(true).await.map(|grant| (grant, true)),
            },
        };
        self.lock().wants_form = ended.as_ref().ok().map(|(_, in_form)| *in_form);
        ended.map(|(grant, _)| grant)
    }

    /// The form with scopes and endpoint parameters.
    fn completed<'a>(&'a self, mut form: Form<'a>) -> Result<Form<'a>, OAuth2Error> {
        if !self.raw.scopes.is_empty() {
            form.insert("scope", self.raw.scopes.join(" ").into_bytes().into());
        }
        for (name, value) in &self.raw.endpoint_params {
            if form.contains_key(name.as_str()) && name != "grant_type" {
                return Err(OAuth2Error::Parameter(name.clone()));
            }
            form.insert(name, value.as_bytes().into());
        }
        Ok(form)
    }

    /// The endpoint is named without the credentials and the path of its URL.
    fn unreachable(&self, reason: &str) -> OAuth2Error {
        let url = Url::parse(&*self.raw.token_url);
        let place = url.map_or_else(|_| String::new(), |url| format!(" {}", url.host));
        OAuth2Error::Unreachable(format!(
            "the token endpoint{place} could not be reached: {reason}"
        ))
    }

    async fn client(&self, network: &Network, deadline: Deadline) -> Result<reqwest::Client, OAuth2Error> {
        let prepared = self.tls.prepare(&network.roots, deadline).await;
        let prepared = prepared.map_err(OAuth2Error::Tls)?;
        let (tls, _) = prepared
            .client_config(self.tls.server_name(), Alpn::Http1)
            .map_err(OAuth2Error::Tls)?;
        let proxies = self.proxies.clone();
        let proxy = reqwest::Proxy::custom(move |url| {
            let url = Url::parse(url.as_str()).ok()?;
            let proxy = proxies.for_url(&url).ok().flatten()?;
            String::from_utf8(proxy.to_bytes()).ok()
        });
        let (policy, proxies) = (network.policy.clone(), self.proxies.clone());
        let redirects = reqwest::redirect::Policy::custom(move |attempt| {
            if attempt.previous().len() >= MOST_REQUESTS {
                return attempt.error(format!("stopped after {MOST_REQUESTS} redirects"));
            }
            if let Err(error) = Url::parse(attempt.url().as_str()) {
                return attempt.error(format!("failed to parse Location header: {error}"));
            }
            match judge(&policy, &proxies, attempt.url()) {
                Ok(()) => attempt.follow(),
                Err(refusal) => attempt.error(refusal),
            }
        });
        reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .proxy(proxy)
            .redirect(redirects)
            .dns_resolver(Names {
                resolver: Arc::clone(&network.resolver),
                deadline,
            })
            // Of several addresses each gets a share of it.
            .connect_timeout(deadline.left())
            .pool_max_idle_per_host(0)
            .build()
            .map_err(|error| self.unreachable(&cause(error)))
    }

    async fn post(
        &self,
        client: &reqwest::Client,
        form: &Form<'_>,
        authorization: Option<&str>,
        agent: &[u8],
    ) -> Result<Grant, OAuth2Error> {
        let pairs: Vec<String> = form
            .iter()
            .map(|(name, value)| format!("{}={}", query_escape(name), query_escape(value)))
            .collect();
        // Why is not told: it would quote what could be a part of the password.
        let no_url = || OAuth2Error::Unreachable("token_url is not a URL".to_owned());
        Url::parse(&*self.raw.token_url).map_err(|_| no_url())?;
        let mut url = reqwest::Url::parse(&self.raw.token_url).map_err(|_| no_url())?;
        if authorization.is_some() {
            // Credentials of the URL are for requests that have no others. A URL that cannot have any has none.
            let _ = url.set_username("");
            let _ = url.set_password(None);
        }
        let mut request = client
            .post(url)
            .header("Content-Type", "application/x-www-form-urlencoded")
            .header("User-Agent", agent)
            .header("Accept-Encoding", "gzip")
            .header("Connection", "close")
            .body(pairs.join("&"));
        if let Some(authorization) = authorization {
            request = request.header("Authorization", authorization);
        }
        let response = fetch::send(request).await;
        let mut response = response.map_err(|reason| self.unreachable(&reason))?;
        let mut body = Vec::new();
        while body.len() <= MAX_ANSWER
            && let Some(chunk) = response
                .chunk()
                .await
                .map_err(|error| self.unreachable(&cause(error)))?
        {
            body.extend_from_slice(&chunk);
        }
        let coding = response.headers().get("Content-Encoding");
        if body.len() <= MAX_ANSWER
            && coding.is_some_and(|coding| coding.as_bytes().eq_ignore_ascii_case(b"gzip"))
        {
            // Off this thread: what is compressed best takes longest.
            let plain = tokio::task::spawn_blocking(move || gunzipped(&body)).await;
            let plain = plain.unwrap_or_else(|error| Err(error.into()));
            body = plain.map_err(|error| OAuth2Error::Answer(format!("cannot fetch token: {error}")))?;
        }
        if body.len() > MAX_ANSWER {
            let text = "the token endpoint's response is larger than 1 MiB";
            return Err(OAuth2Error::Answer(text.to_owned()));
        }
        let kind = response.headers().get("Content-Type");
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        answer::read(response.status(), kind, &body)
    }
}

/// What was compressed, but a byte more than an answer may have at most.
fn gunzipped(body: &[u8]) -> io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    let decoder = MultiGzDecoder::new(body);
    decoder.take(MAX_ANSWER as u64 + 1).read_to_end(&mut plain)?;
    Ok(plain)
}

/// Looks up the endpoint, or the proxy before it, as targets are: by the system's `getaddrinfo`, a thread would wait for a silent name
/// server long after the probe has ended, and nobody would know which server it was.
struct Names {
    resolver: Arc<Resolver>,
    deadline: Deadline,
}

impl reqwest::dns::Resolve for Names {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let (resolver, deadline) = (Arc::clone(&self.resolver), self.deadline);
        Box::pin(async move {
            let preference = Preference::new("", true);
            let found = resolver
                .candidates(name.as_str(), preference, deadline, None)
                .await?;
            let with_ports = found.into_iter().map(|address| address.with_port(0));
            Ok(Box::new(with_ports) as reqwest::dns::Addrs)
        })
    }
}

/// Asks the policy about an endpoint and the proxy before it, as far as they can be judged before names are looked up.
fn judge(policy: &Policy, proxies: &Proxies, url: &reqwest::Url) -> Result<(), PolicyRefusal> {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    policy.check_far(host, url.port_or_known_default())?;
    let proxy = Url::parse(url.as_str())
        .ok()
        .and_then(|url| proxies.for_url(&url).ok().flatten().cloned());
    match proxy {
        Some(proxy) => policy.check_far(proxy.hostname(), proxy.port_or_default().parse().ok()),
        None => Ok(()),
    }
}
