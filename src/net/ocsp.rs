//! OCSP responses: asked for over HTTP (RFC 6960, appendix A), and kept until the next one is due, an hour at most.
//!
//! The URLs of responders come from the peer's certificate. They have the checks and limits of those of
//! [lists](super::revocation).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::headers::Headers;
use super::http1::RequestBody;
use super::revocation::{LONGEST, Way, read, silence};
use super::single_flight::{Lead, SingleFlight};
use super::url::Url;
use crate::calendar::unix_now;

/// Most bytes of a response: one with the certificates of its signer has two thousand.
const MAX_RESPONSE: usize = 64 << 10;
/// Larger ones are not kept.
const MAX_KEPT: usize = 16 << 10;
/// How many responses are kept.
const MOST_KEPT: usize = 256;
/// How long one is kept at most.
const KEPT_FOR: Duration = Duration::from_secs(3600);

/// Who is asked for what.
type Question = (String, Vec<u8>);

/// The responses of all probes.
#[derive(Debug, Default)]
pub struct Responses {
    kept: Mutex<HashMap<Question, Kept>>,
    flights: SingleFlight<Question>,
}

/// A response.
#[derive(Debug)]
pub struct OcspResponse {
    /// As it came.
    pub bytes: Arc<[u8]>,
    /// Other probes that ask the same wait until this one is dropped.
    _lead: Option<Lead>,
}

#[derive(Debug)]
struct Kept {
    response: Arc<[u8]>,
    asked: Instant,
    next_update: i64,
}

impl Responses {
    /// The response of the responder at `url` to a request: kept, or asked for. Of several probes that ask the same at the same time,
    /// one asks the responder.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn get(&self, url: &str, request: &[u8], way: Way<'_>) -> Result<OcspResponse, String> {
        let question = (url.to_owned(), request.to_vec());
        if let Some(kept) = self.find(&question) {
            return Ok(kept);
        }
        let asking = async {
            let lead = self.flights.lead(&question).await;
            match self.find(&question) {
                Some(kept) => Ok(kept),
                None => Ok(OcspResponse {
                    bytes: timeout(LONGEST, ask(url, request, way))
                        .await
                        .unwrap_or_else(|_| Err(silence()))?,
                    _lead: lead,
                }),
            }
        };
        let asked = way.deadline.within(Box::pin(asking)).await;
        asked.unwrap_or_else(|timed_out| Err(timed_out.to_string()))
    }

    fn find(&self, question: &Question) -> Option<OcspResponse> {
        let all = self.lock();
        let kept = all.get(question).filter(|kept| kept.is_fresh())?;
        Some(OcspResponse {
            bytes: Arc::clone(&kept.response),
            _lead: None,
        })
    }

    /// Keeps a response that was found good until the next one is due.
    pub fn keep(&self, url: &str, request: &[u8], response: &Arc<[u8]>, next_update: i64) {
        if url.len() + request.len() + response.len() > MAX_KEPT {
            return;
        }
        let mut all = self.lock();
        let question = (url.to_owned(), request.to_vec());
        if all.get(&question).is_some_and(Kept::is_fresh) {
            return;
        }
        if all.len() >= MOST_KEPT {
            all.retain(|_, kept| kept.is_fresh());
        }
        let oldest = all.iter().min_by_key(|(_, kept)| kept.asked);
        if all.len() >= MOST_KEPT
            && let Some((oldest, _)) = oldest
        {
            let oldest = oldest.clone();
            all.remove(&oldest);
        }
        all.insert(
            question,
            Kept {
                response: Arc::clone(response),
                asked: Instant::now(),
                next_update,
            },
        );
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Question, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn ask(url: &str, request: &[u8], way: Way<'_>) -> Result<Arc<[u8]>, String> {
    let url = Url::parse(url).map_err(|error| error.to_string())?;
    let mut headers = Headers::default();
    headers.add("Content-Type", "application/ocsp-request");
    let body = RequestBody::Bytes(request.to_vec().into());
    let mut response = way.send("POST", &url, headers, body).await?;
    if response.head.status != 200 {
        return Err(format!("unexpected status code {}", response.head.status));
    }
    let mut bytes = Vec::new();
    if !read(&mut response.body, &mut bytes, MAX_RESPONSE).await? {
        return Err(format!("the response is larger than {} KiB", MAX_RESPONSE >> 10));
    }
    Ok(bytes.into())
}

impl Kept {
    fn is_fresh(&self) -> bool {
        self.next_update > unix_now() && self.asked.elapsed() < KEPT_FOR
    }
}
