//! Lists of revoked certificates: fetched over HTTP, and kept until the next one is due, an hour at most.
//!
//! Their URLs come from the peer's certificate. So every address is judged by the policy, on every hop, and size, number and
//! time are bounded.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::header::{ETAG, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, LOCATION};
use http::{HeaderMap, StatusCode};
use reqwest::Response;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::fetch;
use super::proxy::Proxies;
use super::reqwest_error::cause;
use super::single_flight::SingleFlight;
use super::tls::{Alpn, ClientTls};
use super::url::Url;
use super::x509::RevocationList;
use super::{Deadline, Network};
use crate::blocking::holding;
use crate::calendar::unix_now;
use crate::config;
use crate::memory::{self, Use};

/// Most bytes of a list, as upstream.
const MAX_LIST: usize = 10 << 20;
/// Most bytes of the lists that are kept.
const MAX_KEPT: usize = 32 << 20;
/// How long a list is kept at most.
const KEPT_FOR: Duration = Duration::from_secs(3600);
/// How many lists are fetched at the same time.
const FETCHES: usize = 4;
/// Most redirects that are followed, as Go's client.
const MOST_REDIRECTS: usize = 10;

/// The lists of all probes.
#[derive(Debug)]
pub struct Lists {
    kept: Mutex<HashMap<String, Arc<Kept>>>,
    flights: SingleFlight<String>,
    fetches: Arc<Semaphore>,
}

/// A list, and what its server says to know it by.
#[derive(Debug)]
struct Kept {
    list: Arc<RevocationList>,
    asked: Instant,
    validators: [Option<HeaderValue>; 2],
}

impl Default for Lists {
    fn default() -> Self {
        Self {
            kept: Mutex::default(),
            flights: SingleFlight::default(),
            fetches: Arc::new(Semaphore::new(FETCHES)),
        }
    }
}

/// How a probe fetches.
#[derive(Clone, Copy, Debug)]
pub struct Way<'a> {
    /// What probes share.
    pub network: &'a Network,
    /// The proxies of the module, if it has any.
    pub proxies: Option<&'a Proxies>,
    /// The name that requests give.
    pub agent: &'a str,
    /// When the probe must have ended.
    pub deadline: Deadline,
}

impl Lists {
    /// The list at this URL: kept, or fetched again.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn get(&self, url: &str, way: Way<'_>) -> Result<Arc<RevocationList>, String> {
        let got = way
            .deadline
            .within(Box::pin(self.kept_or_fetched(url, way)))
            .await;
        got.unwrap_or_else(|timed_out| Err(timed_out.to_string()))
    }

    async fn kept_or_fetched(&self, url: &str, way: Way<'_>) -> Result<Arc<RevocationList>, String> {
        if let Some(kept) = self.find(url).filter(|kept| kept.is_fresh()) {
            return Ok(Arc::clone(&kept.list));
        }
        let _lead = self.flights.lead(&url.to_owned()).await;
        // It is never closed.
        let fetches = Arc::clone(&self.fetches);
        let permit = fetches.acquire_owned().await.map_err(|error| error.to_string())?;
        let known = self.find(url);
        if let Some(kept) = known.as_ref().filter(|kept| kept.is_fresh()) {
            return Ok(Arc::clone(&kept.list));
        }
        let asked = Instant::now();
        let response = way.ask(url, known.as_deref()).await?;
        let validators = [ETAG, LAST_MODIFIED].map(|name| response.headers().get(name).cloned());
        let kept = match (response.status(), known) {
            (StatusCode::NOT_MODIFIED, Some(known)) => Kept {
                list: Arc::clone(&known.list),
                asked,
                validators: known.validators.clone(),
            },
            (StatusCode::OK, _) => {
                let body = read(response, MAX_LIST, "list").await?;
                let parsed = holding(permit, move || RevocationList::parse(body)).await;
                let list = parsed.map_err(|error| error.to_string())?;
                Kept {
                    list: Arc::new(list.map_err(|error| error.to_string())?),
                    asked,
                    validators,
                }
            }
            (status, _) => return Err(format!("unexpected status code {}", status.as_u16())),
        };
        let list = Arc::clone(&kept.list);
        self.keep(url, kept);
        Ok(list)
    }

    fn find(&self, url: &str) -> Option<Arc<Kept>> {
        self.lock().get(url).cloned()
    }

    /// Keeps a list in the place of those that were asked for the longest time ago.
    fn keep(&self, url: &str, kept: Kept) {
        let mut lists = self.lock();
        lists.insert(url.to_owned(), Arc::new(kept));
        // Beside the list stands its URL, from a certificate as well.
        let size = |url: &str, kept: &Kept| url.len() + kept.list.size() + 512;
        let mut sizes: usize = lists.iter().map(|(url, kept)| size(url, kept)).sum();
        let most = memory::most(Use::Bodies).map_or(MAX_KEPT, |most| most.min(MAX_KEPT));
        if sizes <= most {
            return;
        }
        let mut by_age: Vec<_> = lists
            .iter()
            .map(|(url, kept)| (kept.asked, url.clone()))
            .collect();
        by_age.sort_unstable();
        for (_, oldest) in by_age {
            if sizes <= most {
                break;
            }
            if let Some(kept) = lists.remove(&oldest) {
                sizes -= size(&oldest, &kept);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Kept>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn is_fresh(&self) -> bool {
        let is_due = self.list.next_update.is_some_and(|next| next <= unix_now());
        !is_due && self.asked.elapsed() < KEPT_FOR
    }
}

impl Way<'_> {
    /// Asks for a list, following redirects.
    async fn ask(&self, url: &str, known: Option<&Kept>) -> Result<Response, String> {
        let mut url = reqwest::Url::parse(url).map_err(|error| error.to_string())?;
        let mut validators = HeaderMap::new();
        if let Some(known) = known {
            for (name, value) in [IF_NONE_MATCH, IF_MODIFIED_SINCE]
                .into_iter()
                .zip(&known.validators)
            {
                validators.extend(value.clone().map(|value| (name, value)));
            }
        }
        for _ in 0..=MOST_REDIRECTS {
            let client = self.client(&url).await?;
            let request = client.get(url.clone()).headers(validators.clone());
            let response = fetch::send(request).await?;
            let follows = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
            let location = response.headers().get(LOCATION).filter(|_| follows);
            let Some(location) = location else {
                return Ok(response);
            };
            let location = String::from_utf8_lossy(location.as_bytes());
            url = url.join(&location).map_err(|error| error.to_string())?;
        }
        Err(format!("stopped after {MOST_REDIRECTS} redirects"))
    }

    /// A client for one request, which connects to addresses that the policy is not against.
    pub(super) async fn client(&self, url: &reqwest::Url) -> Result<reqwest::Client, String> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("unsupported protocol scheme {:?}", url.scheme()));
        }
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let port = url.port_or_known_default().unwrap_or_default();
        let proxy = match self.proxies.zip(Url::parse(url.as_str()).ok()) {
            Some((proxies, url)) => proxies.for_url(&url).map_err(|error| error.to_string())?.cloned(),
            None => None,
        };
        let (dialled, dialled_port) = match &proxy {
            Some(proxy) => (
                proxy.hostname(),
                proxy.port_or_default().parse().unwrap_or_default(),
            ),
            None => (host, port),
        };
        let addresses = self.addresses(dialled, dialled_port).await?;
        if proxy.is_some() {
            let judged = self.network.policy.check_far(host, Some(port));
            judged.map_err(|refusal| refusal.to_string())?;
        }
        let is_encrypted =
            url.scheme() == "https" || proxy.as_ref().is_some_and(|proxy| proxy.scheme == "https");
        let tls = ClientTls::new(config::Tls {
            // Without TLS nobody is trusted, and no certificates need be loaded.
            insecure_skip_verify: !is_encrypted,
            ..config::Tls::default()
        });
        let prepared = tls.prepare(&self.network.roots, self.deadline).await;
        let config = prepared.and_then(|prepared| prepared.client_config(None, Alpn::Http1));
        let (config, _) = config.map_err(|error| error.to_string())?;
        let builder = reqwest::Client::builder()
            .tls_backend_preconfigured(config)
            .redirect(reqwest::redirect::Policy::none())
            .resolve_to_addrs(dialled, &addresses)
            .user_agent(self.agent)
            .pool_max_idle_per_host(0);
        let builder = match proxy {
            Some(proxy) => {
                let proxy = String::from_utf8_lossy(&proxy.to_bytes()).into_owned();
                builder.proxy(reqwest::Proxy::all(proxy).map_err(cause)?)
            }
            None => builder.no_proxy(),
        };
        builder.build().map_err(cause)
    }

    /// The addresses of a host that may be dialled.
    async fn addresses(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
        let policy = &self.network.policy;
        policy.check_name(host).map_err(|refusal| refusal.to_string())?;
        let found = self.network.resolver.helper(host, port, self.deadline).await;
        found.map_err(|error| error.to_string())
    }
}

/// The body of a response, which has at most `most` bytes.
pub(super) async fn read(mut response: Response, most: usize, what: &str) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    let mut share = memory::take_some(Use::Bodies, 0);
    while let Some(chunk) = response.chunk().await.map_err(cause)? {
        let length = body.len() + chunk.len();
        // The buffer grows by doubling.
        if length > body.capacity() && !share.grow((2 * length).saturating_sub(share.bytes())) {
            return Err(memory::Short.to_string());
        }
        body.extend_from_slice(&chunk);
        if body.len() > most {
            let (size, unit) = if most < 1 << 20 {
                (most >> 10, "KiB")
            } else {
                (most >> 20, "MiB")
            };
            return Err(format!("the {what} is larger than {size} {unit}"));
        }
    }
    Ok(body)
}
