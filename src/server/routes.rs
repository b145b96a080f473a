//! The endpoints, as an axum router. [`front`](super::front) has taken the route prefix off a request's path.

use std::convert::Infallible;
use std::future::ready;
use std::mem;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::extract::{FromRef, Request, State};
use axum::routing::any;
use gostd::query::Query;
use http::request::Parts;
use http::{HeaderMap, StatusCode, Uri};
use tower_service::Service;

use super::answer::{self, Response};
use super::connections::requests::Requests;
use super::endpoints::{logs, metrics, playground, probe, reload, targets};
use super::mount::Mount;
use super::origin::HostNames;
use super::{Exporter, pages};

/// What the endpoints share.
#[derive(Clone, Debug)]
pub struct Site {
    /// The exporter.
    pub exporter: Arc<Exporter>,
    /// By which names it is known.
    pub names: Arc<HostNames>,
    /// The route prefix: `/`, or `/something/`.
    pub path: Arc<str>,
    /// Whether paths that no endpoint has lead to the landing page.
    pub has_landing: bool,
    /// Whether the port speaks TLS.
    pub tls: bool,
}

impl FromRef<Site> for Arc<Exporter> {
    fn from_ref(site: &Site) -> Self {
        Self::clone(&site.exporter)
    }
}

impl Site {
    fn mount<'a>(&'a self, request: &'a Parts) -> Mount<'a> {
        Mount {
            path: &self.path,
            tls: self.tls,
            request,
        }
    }
}

/// All endpoints. Any method does, as upstream: only reloading asks for POST, and says so itself.
pub fn routes(site: Site) -> Router {
    let mut routes = Router::new();
    // Without the flag the paths are as unknown as upstream.
    if site.exporter.playground.is_some() {
        routes = routes
            .route("/playground", any(playground))
            .route("/assets/playground.js", any(async || pages::playground_script()));
    }
    routes
        .route_service("/probe", Probes(Arc::new(site.clone())))
        .route("/metrics", any(metrics))
        .route("/logs", any(logs))
        .route("/config", any(config))
        .route("/targets", any(targets))
        .route("/target", any(target))
        .route("/trace", any(trace))
        .route("/events", any(events))
        .route("/assets/style.css", any(async || pages::style()))
        .route("/assets/script.js", any(async || pages::script()))
        .route("/-/healthy", any(healthy))
        .route("/-/reload", any(reload))
        // compat: profiles of the Go runtime upstream. Anything but a 404 would be taken for one.
        .route("/debug/pprof", any(async || answer::not_found()))
        .route("/debug/pprof/", any(async || answer::not_found()))
        .route("/debug/pprof/{*profile}", any(async || answer::not_found()))
        .fallback(landing)
        .with_state(site)
}

/// `/probe`, as a service and not a handler: a handler's future holds the head of its request three times, and probes that wait are what
/// the exporter holds most of. The router copies it for each request, which changes one count of references instead of three.
#[derive(Clone)]
struct Probes(Arc<Site>);

impl Service<Request> for Probes {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let site = Arc::clone(&self.0);
        let (mut request, _) = request.into_parts();
        // The probe that waits holds none of them.
        let extensions = mem::take(&mut request.extensions);
        if let Err(response) = site.names.may_probe(&request) {
            return Box::pin(ready(Ok(*response)));
        }
        if let Some(requests) = extensions.get::<Requests>() {
            requests.end_with_caller();
        }
        Box::pin(async move { Ok(probe::probe(&site.exporter, site.mount(&request)).await) })
    }
}

async fn metrics(State(exporter): State<Arc<Exporter>>, headers: HeaderMap) -> Response {
    metrics::metrics(&exporter, &headers)
}

async fn logs(State(site): State<Site>, request: Request) -> Response {
    let (request, _) = request.into_parts();
    logs::logs(&site.exporter, site.mount(&request))
}

async fn config(State(exporter): State<Arc<Exporter>>, headers: HeaderMap) -> Response {
    pages::config(&exporter, &headers).await
}

async fn targets(State(site): State<Site>, request: Request) -> Response {
    let (request, _) = request.into_parts();
    targets::targets(&site.exporter, site.mount(&request)).await
}

/// For people: to a script the path is as unknown as it is upstream.
async fn target(State(site): State<Site>, request: Request) -> Response {
    let (request, _) = request.into_parts();
    if !pages::wants_html(&request.headers) {
        return pages::landing(&site.exporter, &request.uri, &request.headers).await;
    }
    // As the home page, it looks through all rows.
    let page = move || pages::target(&site.exporter, site.mount(&request));
    answer::aside(page).await
}

/// For people, as `/target`.
async fn trace(State(site): State<Site>, request: Request) -> Response {
    let (request, _) = request.into_parts();
    if !pages::wants_html(&request.headers) {
        return pages::landing(&site.exporter, &request.uri, &request.headers).await;
    }
    let page = move || pages::trace(&site.exporter, &request.method, query(&request.uri));
    answer::aside(page).await
}

/// For people, as `/target`. What it sends is a form, which is nobody's but this page's.
async fn playground(State(site): State<Site>, request: Request) -> Response {
    let (request, body) = request.into_parts();
    let exporter = &site.exporter;
    let Some(playground) = &exporter.playground else {
        return pages::landing(exporter, &request.uri, &request.headers).await;
    };
    if playground::has_form(&request.method) {
        if let Err(response) = site.names.may_change(&request) {
            return *response;
        }
        return Box::pin(playground::post(exporter, playground, &request, body)).await;
    }
    if !pages::wants_html(&request.headers) {
        return pages::landing(exporter, &request.uri, &request.headers).await;
    }
    playground::page(exporter, playground, query(&request.uri)).await
}

/// For open pages: to a script the path is as unknown as it is upstream.
async fn events(State(exporter): State<Arc<Exporter>>, request: Request) -> Response {
    let (request, _) = request.into_parts();
    if !pages::wants_events(&request.headers) {
        return pages::landing(&exporter, &request.uri, &request.headers).await;
    }
    let requests = request.extensions.get::<Requests>();
    if let Some(requests) = requests {
        requests.end_answer_with_caller();
    }
    let party = requests.map(|requests| requests.caller().seat.party());
    let party = party.unwrap_or(Ipv4Addr::UNSPECIFIED.into());
    pages::events(&exporter, party, query(&request.uri), &request.headers)
}

async fn healthy() -> Response {
    answer::text(StatusCode::OK, answer::PLAIN_UTF8, "Healthy")
}

async fn reload(State(site): State<Site>, request: Request) -> Response {
    let (request, _) = request.into_parts();
    if let Err(response) = site.names.may_change(&request) {
        return *response;
    }
    reload::reload(&site.exporter, &request.method).await
}

async fn landing(State(site): State<Site>, uri: Uri, headers: HeaderMap) -> Response {
    if !site.has_landing {
        return answer::not_found();
    }
    pages::landing(&site.exporter, &uri, &headers).await
}

fn query(uri: &Uri) -> Query<'_> {
    Query(uri.query().unwrap_or("").as_bytes())
}
