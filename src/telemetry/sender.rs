//! Posts batches to one endpoint, and tries again when it is told to come back.
//!
//! The endpoint is a flag of the operator's, not a target: the policy is not asked about it, and no proxy is used. It has a client
//! of its own, so that nothing of it is shared with probes.

use std::net::{IpAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use tokio::time::{Instant, sleep, timeout};

use super::SERVICE;
use super::losses::Cause;
use super::protobuf::{attribute, bytes, message, rejected};
use super::queue::Queue;
use crate::config;
use crate::logging::{Logger, OncePerMinute};
use crate::net::fetch;
use crate::net::reqwest_error::cause;
use crate::net::tls::{Alpn, ClientTls, SystemRoots, TlsError};
use crate::net::{Deadline, Network};
use crate::say;
use crate::trace::Endpoint;

/// How long spans wait for others.
const LINGER: Duration = Duration::from_secs(1);
/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(10);
/// How long the rest of the answer to a batch that was taken may take.
const REST: Duration = Duration::from_secs(1);
/// How often a batch is tried.
const ATTEMPTS: u32 = 5;
/// The wait before the second attempt; it doubles with each one.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait that an endpoint can ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Most bytes of an answer that are read.
const ANSWER: usize = 16 << 10;

/// What is posted, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Payload {
    OtlpSpans,
    OtlpLogs,
    DeepFlowLogs,
}

/// Posts the batches of one queue.
pub(super) struct Sender {
    endpoint: Endpoint,
    form: Payload,
    queue: Arc<Queue>,
    network: Arc<Network>,
    logger: Logger,
    told: OncePerMinute,
    client: Option<(Arc<SystemRoots>, reqwest::Client)>,
    /// `Resource` as field 1 and the scope as field 1 of its only part.
    resource: Vec<u8>,
    scope: Vec<u8>,
}

/// Why a batch was not taken.
struct Refused {
    why: String,
    /// Whether another attempt is worth it, and when, if the endpoint says so.
    again: Option<Option<Duration>>,
}

impl Refused {
    fn transient(why: String) -> Self {
        Self {
            why,
            again: Some(None),
        }
    }
}

impl Sender {
    pub(super) fn new(
        endpoint: &Endpoint,
        form: Payload,
        instance: &str,
        queue: &Arc<Queue>,
        network: &Arc<Network>,
        logger: &Logger,
    ) -> Self {
        let version = env!("CARGO_PKG_VERSION");
        let mut resource = Vec::new();
        message(&mut resource, 1, |out| {
            attribute(out, 1, "service.name", SERVICE);
            attribute(out, 1, "service.version", version);
            attribute(out, 1, "service.instance.id", instance);
            if let Some(ip) = own_address() {
                attribute(out, 1, "app.host.ip", ip.to_string().as_str());
            }
        });
        let mut scope = Vec::new();
        message(&mut scope, 1, |out| {
            bytes(out, 1, SERVICE.as_bytes());
            bytes(out, 2, version.as_bytes());
        });
        Self {
            endpoint: endpoint.clone(),
            form,
            queue: Arc::clone(queue),
            network: Arc::clone(network),
            logger: logger.clone(),
            told: OncePerMinute::default(),
            client: None,
            resource,
            scope,
        }
    }

    /// Posts until the queue is closed and empty, and says meanwhile what is lost.
    pub(super) async fn run(mut self) {
        let queue = Arc::clone(&self.queue);
        tokio::select! {
            () = self.post_all(&queue) => {}
            () = queue.losses.watch() => {}
        }
    }

    async fn post_all(&mut self, queue: &Queue) {
        loop {
            queue.gather(LINGER).await;
            while let Some(mut batch) = queue.take() {
                let body = self.body(batch.encoded());
                let records = batch.records();
                if let Err(refused) = self.post(body, records).await {
                    queue.losses.add(records, Cause::Refused(refused.why));
                }
                batch.settle();
            }
            if queue.is_closed() {
                return;
            }
        }
    }

    /// What is posted for these records.
    fn body(&self, records: Vec<u8>) -> Bytes {
        if self.form == Payload::DeepFlowLogs {
            // Each record stands behind a comma, the first behind the bracket.
            let mut list = records;
            if let Some(first) = list.first_mut() {
                *first = b'[';
            }
            list.push(b']');
            return list.into();
        }
        let mut request = Vec::with_capacity(records.len() + self.resource.len() + self.scope.len() + 16);
        message(&mut request, 1, |out| {
            out.extend_from_slice(&self.resource);
            message(out, 2, |out| {
                out.extend_from_slice(&self.scope);
                out.extend_from_slice(&records);
            });
        });
        request.into()
    }

    /// Posts a batch of so many records, several times if it must be.
    async fn post(&mut self, body: Bytes, records: u64) -> Result<(), Refused> {
        let mut wait = FIRST_WAIT;
        for attempt in 1.. {
            let refused = match self.attempt(body.clone(), records).await {
                Ok(()) => return Ok(()),
                Err(refused) => refused,
            };
            let Some(asked) = refused
                .again
                .filter(|_| attempt < ATTEMPTS && !self.queue.is_closed())
            else {
                return Err(refused);
            };
            self.complain(&refused.why);
            let own = wait.mul_f64(rand::random_range(0.5..1.0));
            self.pause(asked.unwrap_or_default().max(own)).await;
            wait *= 2;
        }
        Ok(())
    }

    /// Waits, but not beyond the end.
    async fn pause(&self, wait: Duration) {
        let end = Instant::now() + wait.min(LONGEST_WAIT);
        while Instant::now() < end && !self.queue.is_closed() {
            sleep(Duration::from_millis(100).min(end.saturating_duration_since(Instant::now()))).await;
        }
    }

    async fn attempt(&mut self, body: Bytes, records: u64) -> Result<(), Refused> {
        let client = self.client().await.map_err(Refused::transient)?;
        let kind = match self.form {
            Payload::DeepFlowLogs => "application/json",
            Payload::OtlpSpans | Payload::OtlpLogs => "application/x-protobuf",
        };
        let request = client
            .post(self.endpoint.0.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static(kind))
            .body(body);
        let sent = timeout(ATTEMPT, fetch::send(request)).await;
        let sent = sent.unwrap_or_else(|_| Err("no answer in 10s".to_owned()));
        let mut response = sent.map_err(Refused::transient)?;
        let status = response.status();
        if !status.is_success() {
            let asked = response.headers().get(RETRY_AFTER);
            let asked = asked.and_then(|value| retry_after(value.to_str().ok()?));
            return Err(Refused {
                why: format!("the endpoint answers {status}"),
                again: is_transient(status).then_some(asked),
            });
        }
        let mut answer = Vec::new();
        let reading = async {
            while answer.len() < ANSWER
                && let Ok(Some(chunk)) = response.chunk().await
            {
                answer.extend_from_slice(&chunk);
            }
        };
        // The batch was taken: what is wrong with the rest of the answer is no matter.
        let _ = timeout(REST, reading).await;
        let rejected = rejected(&answer).min(records);
        if self.form != Payload::DeepFlowLogs && rejected > 0 {
            self.queue.losses.add(rejected, Cause::Rejected);
        }
        Ok(())
    }

    /// The client, made when it is needed, as reading CA certificates takes a while, and again when they were read again.
    async fn client(&mut self) -> Result<reqwest::Client, String> {
        let deadline = Deadline::after(Instant::now(), ATTEMPT);
        let roots = deadline.within(self.network.roots.get()).await;
        let roots = roots.map_err(|_| "reading the CA certificates does not end".to_owned())?;
        let roots = roots.map_err(|unread| TlsError::NoRoots(unread).to_string())?;
        if let Some((known, client)) = &self.client
            && Arc::ptr_eq(known, &roots)
        {
            return Ok(client.clone());
        }
        let tls = ClientTls::new(config::Tls::default());
        let prepared = tls.prepare(&self.network.roots, deadline).await;
        let prepared = prepared.map_err(|error| error.to_string())?;
        let (tls, _) = prepared
            .client_config(None, Alpn::Http1)
            .map_err(|error| error.to_string())?;
        let built = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("blackbox_exporter/", env!("CARGO_PKG_VERSION")))
            .pool_max_idle_per_host(1)
            .build();
        let client = built.map_err(cause)?;
        self.client = Some((roots, client.clone()));
        Ok(client)
    }

    /// Says, once per minute, that the endpoint does not take what it is sent, and is sent it again.
    fn complain(&self, why: &str) {
        if self.told.due().is_none() {
            return;
        }
        let what = match self.form {
            Payload::OtlpSpans => "Spans of probes could not be exported, they are posted again",
            Payload::OtlpLogs | Payload::DeepFlowLogs => {
                "Logs of failed probes could not be exported, they are posted again"
            }
        };
        say!(
            self.logger,
            Warn,
            what,
            "endpoint" => self.endpoint.to_string(),
            "err" => why.to_owned(),
        );
    }
}

/// Seconds, or a date (RFC 9110, section 10.2.3).
fn retry_after(value: &str) -> Option<Duration> {
    let seconds = value.parse().map(Duration::from_secs).ok();
    seconds.or_else(|| {
        let date = httpdate::parse_http_date(value).ok()?;
        date.duration_since(SystemTime::now()).ok()
    })
}

/// What OTLP calls retryable.
fn is_transient(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 502 | 503 | 504)
}

/// The address from which this host reaches others: a UDP socket that is connected has it, and sends nothing.
fn own_address() -> Option<IpAddr> {
    let towards = |local: &str, far: &str| {
        let socket = UdpSocket::bind((local, 0)).ok()?;
        socket.connect((far, 9)).ok()?;
        Some(socket.local_addr().ok()?.ip()).filter(|ip| !ip.is_unspecified())
    };
    // Addresses for documentation, which have nobody.
    towards("0.0.0.0", "192.0.2.1").or_else(|| towards("::", "2001:db8::1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_says_when_to_come_back() {
        let later = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(60));
        let left = retry_after(&later).unwrap();
        assert!(
            left > Duration::from_secs(30) && left <= Duration::from_secs(60),
            "{left:?}"
        );
        assert_eq!(retry_after("7"), Some(Duration::from_secs(7)));
        for nothing in ["Sun, 06 Nov 1994 08:49:37 GMT", "-1", "soon"] {
            assert_eq!(retry_after(nothing), None, "{nothing}");
        }
    }
}
