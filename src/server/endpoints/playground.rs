//! `/playground` (`--web.enable-playground`): a module that somebody edits on a page is checked, and probed once. It is compiled for the
//! request and dropped after it; nothing is saved, and nothing goes into the history.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::StreamExt as _;
use gostd::query::Query;
use http::header::{CONTENT_TYPE, HeaderMap};
use http::request::Parts;
use http::{Method, StatusCode};
use tokio::sync::Semaphore;

use super::probe::{self, PAGE_TIMEOUT, ProbeRefusal};
use crate::blocking::holding;
use crate::config::files::targets::DEFAULT_MODULE;
use crate::config::write;
use crate::memory::{self, Use};
use crate::module::draft::{self, Draft};
use crate::prober::{Also, ProbeRequest};
use crate::server::answer::{self, Response};
use crate::server::connections::requests::Requests;
use crate::server::pages::{PlaygroundForm, Tried};
use crate::server::past::entry::{Entry, Subject};
use crate::server::{Exporter, pages};

/// Texts that are read and compiled at the same time, and how long others wait for their turn.
const READERS: usize = 2;
const TURN: Duration = Duration::from_secs(5);
/// Probes of drafts at the same time.
const PROBES: usize = 4;
/// Most bytes of a form: a text whose every byte is escaped, and a long target.
const MOST_BYTES: usize = 3 * draft::MOST_BYTES + (16 << 10);
/// What a request may take: the form, its text and what is compiled of it.
const MEMORY: usize = 4 << 20;
/// How long a form may take to arrive.
const PATIENCE: Duration = Duration::from_secs(10);

/// The limits of the playground.
#[derive(Debug)]
pub struct Playground {
    readers: Arc<Semaphore>,
    probes: Semaphore,
    /// Whether `${…}` is replaced in the configuration.
    expands: bool,
}

impl Playground {
    /// `expands` says whether references are replaced in the configuration of this exporter.
    pub fn new(expands: bool) -> Self {
        Self {
            readers: Arc::new(Semaphore::new(READERS)),
            probes: Semaphore::new(PROBES),
            expands,
        }
    }

    /// Reads and compiles a text off the async threads; `None` when others keep the place for too long.
    async fn read(&self, text: &str) -> Option<Draft> {
        let permit = tokio::time::timeout(TURN, Arc::clone(&self.readers).acquire_owned()).await;
        let permit = permit.ok()?.ok()?;
        let (text, expands) = (text.to_owned(), self.expands);
        holding(permit, move || draft::read(&text, expands)).await.ok()
    }
}

/// The page with a module of the configuration, to be edited.
pub async fn page(exporter: &Exporter, playground: &Playground, query: Query<'_>) -> Response {
    let named = query.first("module");
    let name = if named.is_empty() { DEFAULT_MODULE } else { &named };
    let serving = exporter.store.current();
    let module = serving.config.modules.get(name).and_then(Option::as_ref);
    let form = PlaygroundForm {
        module: name.to_owned(),
        text: module.map_or_else(String::new, |module| write::draft(name, module)),
        target: query.first("target").into_owned(),
        hostname: query.first("hostname").into_owned(),
    };
    let tried = match module {
        Some(_) => Tried::Checked,
        None => Tried::Unknown,
    };
    let Some(draft) = playground.read(&form.text).await else {
        return busy();
    };
    pages::playground(exporter, &form, &draft, tried)
}

/// A form was sent: the text is checked, and probed if it says so.
pub async fn post(exporter: &Exporter, playground: &Playground, request: &Parts, body: Body) -> Response {
    let is_form = request.headers.get(CONTENT_TYPE).is_some_and(|kind| {
        let kind = kind.to_str().unwrap_or_default();
        kind.split(';').next().unwrap_or_default().trim() == "application/x-www-form-urlencoded"
    });
    if !is_form {
        let message = "the playground takes forms: application/x-www-form-urlencoded";
        return answer::error(StatusCode::UNSUPPORTED_MEDIA_TYPE, message);
    }
    let Some(_memory) = memory::take(Use::Bodies, MEMORY) else {
        return answer::no_memory("draft");
    };
    let body = match read(body).await {
        Ok(body) => body,
        Err(response) => return *response,
    };
    if let Some(requests) = request.extensions.get::<Requests>() {
        requests.end_with_caller();
    }
    let query = Query(&body);
    let form = PlaygroundForm {
        module: query.first("module").into_owned(),
        // Browsers send the line breaks of a text as CRLF.
        text: query.first("text").replace("\r\n", "\n"),
        target: query.first("target").into_owned(),
        hostname: query.first("hostname").into_owned(),
    };
    let Some(mut draft) = playground.read(&form.text).await else {
        return busy();
    };
    if pages::wants_problems(&request.headers) {
        return pages::problems(&draft);
    }
    let tried = if query.first("do") == "probe" {
        match try_it(exporter, playground, &form, &mut draft, &request.headers).await {
            Ok(tried) => tried,
            Err(refusal) => return refusal.into_response(),
        }
    } else {
        Tried::Checked
    };
    pages::playground(exporter, &form, &draft, tried)
}

/// Probes a draft once, as any probe that a person starts from a page.
async fn try_it(
    exporter: &Exporter,
    playground: &Playground,
    form: &PlaygroundForm,
    draft: &mut Draft,
    headers: &HeaderMap,
) -> Result<Tried, ProbeRefusal> {
    let Some(module) = draft.module.take() else {
        return Ok(Tried::Refused(
            "Nothing was probed: the text has errors".to_owned(),
        ));
    };
    if form.target.is_empty() {
        return Ok(Tried::Refused("Nothing was probed: enter a target".to_owned()));
    }
    let hostname = Some(form.hostname.as_str()).filter(|hostname| !hostname.is_empty());
    probe::refuse_conflicting_host(&module, hostname)?;
    let Ok(_place) = playground.probes.try_acquire() else {
        return Ok(Tried::Refused(format!(
            "Nothing was probed: {PROBES} drafts are being probed already"
        )));
    };
    let most = Duration::from_secs_f64(PAGE_TIMEOUT);
    let request = ProbeRequest {
        target: &form.target,
        hostname,
        timeout: module.timeout.map_or(most, |timeout| timeout.min(most)),
    };
    let also = Also {
        explain: true,
        ..Also::default()
    };
    let outcome = probe::run(exporter, &module, &request, headers, also).await?;
    let entry = Entry::new(Subject::of(&module), &form.target, hostname, outcome);
    Ok(Tried::Probed(Arc::new(entry)))
}

/// The whole body, if it is no larger and no slower than a form may be.
async fn read(body: Body) -> Result<Bytes, Box<Response>> {
    let (mut pieces, mut whole) = (body.into_data_stream(), Vec::new());
    let too_large = || {
        let message = format!("the form has more than {MOST_BYTES} bytes");
        Box::new(answer::error(StatusCode::PAYLOAD_TOO_LARGE, &message))
    };
    let reading = async {
        while let Some(piece) = pieces.next().await {
            let Ok(data) = piece else {
                return Err(Box::new(answer::error(
                    StatusCode::BAD_REQUEST,
                    "the form did not arrive whole",
                )));
            };
            if whole.len() + data.len() > MOST_BYTES {
                return Err(too_large());
            }
            whole.extend_from_slice(&data);
        }
        Ok(())
    };
    match tokio::time::timeout(PATIENCE, reading).await {
        Ok(read) => read.map(|()| Bytes::from(whole)),
        Err(_) => Err(Box::new(answer::error(
            StatusCode::REQUEST_TIMEOUT,
            "the form took too long to arrive",
        ))),
    }
}

fn busy() -> Response {
    answer::error(
        StatusCode::SERVICE_UNAVAILABLE,
        "Too many drafts are being checked",
    )
}

/// Whether a request is one that has a form to be read.
pub(crate) fn has_form(method: &Method) -> bool {
    *method == Method::POST
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocking::tests::while_and_after;

    #[test]
    fn a_draft_that_nobody_waits_for_keeps_its_place() {
        let playground = Playground::new(false);
        let free = || playground.readers.available_permits();
        assert_eq!(
            while_and_after(playground.read("a"), free),
            (READERS - 1, READERS)
        );
    }
}
