//! Lists of revoked certificates: fetched over HTTP, and kept until the next one is due, an hour at most.
//!
//! Their URLs come from the peer's certificate. So every address is judged by the policy, on every hop, and size, number and
//! time are bounded.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use go_http::FirstByte;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::dial::{self, Vantage};
use super::headers::Headers;
use super::http1::{self, Body, RequestBody, RequestLine, Response, write_head};
use super::proxy::{self, Proxies, basic};
use super::single_flight::SingleFlight;
use super::tls::{Alpn, ClientTls};
use super::url::{Url, idna_ascii, punycode_host_port};
use super::x509::RevocationList;
use super::{AnyStream, Deadline, Network, join_host_port};
use crate::blocking::holding;
use crate::calendar::unix_now;
use crate::config;
use crate::memory::{self, Use};
use crate::os_error::SystemError;

/// Most bytes of a list, as upstream.
const MAX_LIST: usize = 10 << 20;
/// Most bytes of the lists that are kept.
const MAX_KEPT: usize = 32 << 20;
/// How long a list is kept at most.
const KEPT_FOR: Duration = Duration::from_secs(3600);
/// Most bytes of the head of a response, with the interim responses before it.
const MAX_HEAD: usize = 64 << 10;
/// A list with more bytes is a large one.
const SMALL: usize = 1 << 20;
/// How many large lists are received and parsed at the same time. Servers that do not go on hold up no small ones.
const LARGE: usize = 4;
/// How long a probe waits for a list that another one fetches, and for an OCSP response.
pub(super) const LONGEST: Duration = Duration::from_secs(10);
/// Most redirects that are followed, as Go's client.
const MOST_REDIRECTS: usize = 10;

/// A response whose body is to be read.
pub(super) type Fetched = Response<Body<Box<dyn AnyStream>>>;

/// The lists of all probes.
#[derive(Debug)]
pub struct Lists {
    kept: Mutex<HashMap<String, Arc<Kept>>>,
    flights: SingleFlight<String>,
    large: Arc<Semaphore>,
}

/// A list, and what its server says to know it by.
#[derive(Debug)]
struct Kept {
    list: Arc<RevocationList>,
    asked: Instant,
    validators: [Option<Vec<u8>>; 2],
}

impl Default for Lists {
    fn default() -> Self {
        Self {
            kept: Mutex::default(),
            flights: SingleFlight::default(),
            large: Arc::new(Semaphore::new(LARGE)),
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
        // A server that is slow for one probe is asked by the next one itself.
        let question = url.to_owned();
        let _lead = timeout(LONGEST, self.flights.lead(&question)).await;
        let known = self.find(url);
        if let Some(kept) = known.as_ref().filter(|kept| kept.is_fresh()) {
            return Ok(Arc::clone(&kept.list));
        }
        let kept = Box::pin(self.fetched(url, known, way)).await?;
        let list = Arc::clone(&kept.list);
        self.keep(url, kept);
        Ok(list)
    }

    async fn fetched(&self, url: &str, known: Option<Arc<Kept>>, way: Way<'_>) -> Result<Kept, String> {
        let asked = Instant::now();
        let mut response = way.ask(url, known.as_deref()).await?;
        let headers = &response.head.headers;
        let validators = ["Etag", "Last-Modified"].map(|name| headers.value(name).map(<[u8]>::to_vec));
        match (response.head.status, known) {
            (304, Some(known)) => Ok(Kept {
                list: Arc::clone(&known.list),
                asked,
                validators: known.validators.clone(),
            }),
            (200, _) => {
                let mut bytes = Vec::new();
                let mut permit = None;
                if !read(&mut response.body, &mut bytes, SMALL).await? {
                    // It is never closed.
                    let large = Arc::clone(&self.large).acquire_owned().await;
                    permit = Some(large.map_err(|error| error.to_string())?);
                    if !read(&mut response.body, &mut bytes, MAX_LIST).await? {
                        return Err(format!("the list is larger than {} MiB", MAX_LIST >> 20));
                    }
                }
                let parsed = holding(permit, move || RevocationList::parse(bytes)).await;
                let list = parsed.map_err(|error| error.to_string())?;
                Ok(Kept {
                    list: Arc::new(list.map_err(|error| error.to_string())?),
                    asked,
                    validators,
                })
            }
            (status, _) => Err(format!("unexpected status code {status}")),
        }
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
    async fn ask(&self, url: &str, known: Option<&Kept>) -> Result<Fetched, String> {
        let mut url = Url::parse(url).map_err(|error| error.to_string())?;
        let mut headers = Headers::default();
        for (name, value) in ["If-None-Match", "If-Modified-Since"]
            .into_iter()
            .zip(known.iter().flat_map(|known| &known.validators))
        {
            if let Some(value) = value {
                headers.add(name, value);
            }
        }
        for _ in 0..=MOST_REDIRECTS {
            let response = self
                .send("GET", &url, headers.clone(), RequestBody::Empty)
                .await?;
            let follows = matches!(response.head.status, 301 | 302 | 303 | 307 | 308);
            let location = response.head.headers.value("Location").filter(|_| follows);
            let Some(location) = location else {
                return Ok(response);
            };
            url = url.resolve(&Url::parse(location).map_err(|error| error.to_string())?);
        }
        Err(format!("stopped after {MOST_REDIRECTS} redirects"))
    }

    /// Sends a request, through the proxy for its URL, and reads the head of the response.
    pub(super) async fn send(
        &self,
        method: &str,
        url: &Url,
        mut headers: Headers,
        body: RequestBody,
    ) -> Result<Fetched, String> {
        if !matches!(url.scheme.as_str(), "http" | "https") {
            return Err(format!("unsupported protocol scheme {:?}", url.scheme));
        }
        let is_encrypted = url.scheme == "https";
        let proxy = self.proxies.map_or(Ok(None), |proxies| proxies.for_url(url));
        let proxy = proxy.map_err(|error| error.to_string())?;
        let dialled = proxy.unwrap_or(url);
        let addresses = self.addresses(dialled.hostname(), port_of(dialled)).await?;
        let host = idna_ascii(url.hostname());
        if proxy.is_some() {
            let judged = self.network.policy.check_far(&host, Some(port_of(url)));
            judged.map_err(|refusal| refusal.to_string())?;
        }
        let opened = dial::several(self.network, self.deadline, &addresses, &Vantage::default()).await;
        let opened = opened.map_err(|errors| errors.first().map(ToString::to_string).unwrap_or_default())?;
        let mut stream: Box<dyn AnyStream> = Box::new(opened.opened.stream);
        if dialled.scheme == "https" {
            stream = self.encrypted(stream, dialled.hostname()).await?;
        }
        let forwards = match proxy {
            Some(proxy) if proxy.scheme.starts_with("socks5") => {
                let user = proxy.user.as_ref();
                let made = proxy::socks5(&mut stream, &host, port_of(url), user).await;
                made.map_err(|error| error.to_string())?;
                false
            }
            Some(proxy) if is_encrypted => {
                let authority = join_host_port(&host, port_of(url));
                let with = self
                    .proxies
                    .map(|proxies| proxies.connect_headers(proxy))
                    .unwrap_or_default();
                let made = proxy::connect(&mut stream, &authority, &with);
                made.await.map_err(|error| error.to_string())?;
                false
            }
            Some(_) => true,
            None => false,
        };
        if proxy.is_some() && is_encrypted {
            stream = self.encrypted(stream, url.hostname()).await?;
        }
        headers.set("User-Agent", self.agent);
        headers.set("Accept", "*/*");
        for (name, url) in [
            ("Authorization", Some(url)),
            ("Proxy-Authorization", proxy.filter(|_| forwards)),
        ] {
            if let Some(user) = url.and_then(|url| url.user.as_ref()) {
                headers.set(name, basic(user));
            }
        }
        let host = punycode_host_port(&url.host).map_err(|error| error.to_string())?;
        let mut target = url.request_uri();
        if forwards {
            target = [b"http://", host.as_bytes(), &target].concat().into();
        }
        let line = RequestLine {
            method,
            target: &target,
            host: &host,
        };
        let mut head = Vec::with_capacity(256);
        write_head(&mut head, line, &headers, &body, &[("Connection", "close")]);
        let (has_begun, most) = (&mut FirstByte::default(), MAX_HEAD);
        let response = http1::exchange(stream, method, head, body, false, has_begun, most).await;
        response.map_err(|error| error.to_string())
    }

    /// Speaks TLS with the server called `name`.
    async fn encrypted(&self, stream: Box<dyn AnyStream>, name: &str) -> Result<Box<dyn AnyStream>, String> {
        let tls = ClientTls::new(config::Tls::default());
        let prepared = tls.prepare(&self.network.roots, self.deadline).await;
        let prepared = prepared.map_err(|error| error.to_string())?;
        let session = prepared.handshake(stream, name, Alpn::Http1, self.deadline).await;
        let session = session.map_err(|error| error.to_string())?;
        Ok(Box::new(session.stream))
    }

    /// The addresses of a host that may be dialled.
    async fn addresses(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
        let policy = &self.network.policy;
        policy.check_name(host).map_err(|refusal| refusal.to_string())?;
        let found = self.network.resolver.helper(host, port, self.deadline).await;
        found.map_err(|error| error.to_string())
    }
}

/// The error of a server that takes too long.
pub(super) fn silence() -> String {
    format!("no response within {LONGEST:?}")
}

fn port_of(url: &Url) -> u16 {
    url.port_or_default().parse().unwrap_or_default()
}

/// Reads a body into `bytes` until it ends, or until there are more than `most`; whether it ended.
pub(super) async fn read(
    body: &mut (impl AsyncRead + Unpin),
    bytes: &mut Vec<u8>,
    most: usize,
) -> Result<bool, String> {
    let mut share = memory::take_some(Use::Bodies, 0);
    let mut chunk = vec![0; 16 << 10];
    while bytes.len() <= most {
        let count = body.read(&mut chunk).await;
        let count = count.map_err(|error| SystemError(&error).to_string())?;
        if count == 0 {
            return Ok(true);
        }
        let length = bytes.len() + count;
        // The buffer grows by doubling.
        if length > bytes.capacity() && !share.grow((2 * length).saturating_sub(share.bytes())) {
            return Err(memory::Short.to_string());
        }
        bytes.extend_from_slice(chunk.get(..count).unwrap_or_default());
    }
    Ok(false)
}
