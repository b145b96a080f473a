//! From a request to its response: the memory for its head, the gate, the rules of Go's server, the endpoint, and the rest of its body.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use futures_util::FutureExt as _;
use futures_util::future::{Either, ready};
use http::header::CONNECTION;
use http::request::Parts;
use http::{Request, StatusCode};
use hyper::body::{Body as _, Incoming};
use tower_service::Service as _;

use super::Exporter;
use super::answer::{self, Response};
use super::connections::guard::PATIENCE;
use super::connections::heads;
use super::connections::outgoing::{self, Outgoing};
use super::connections::requests::Requests;
use super::connections::unread::Unread;
use super::endpoints::playground;
use super::front::{PlainRefusal, Prefix};
use super::origin::HostNames;
use super::routes::{self, Site};
use super::web::{Admitted, Gate};

/// What responds to requests.
#[derive(Debug)]
pub struct Responder {
    prefix: Prefix,
    names: Arc<HostNames>,
    routes: Router,
    gate: Option<Arc<Gate>>,
    has_playground: bool,
}

impl Responder {
    /// Responds to requests for endpoints below `prefix`, which `gate` lets in.
    pub fn new(exporter: Arc<Exporter>, prefix: Prefix, names: HostNames, gate: Option<Arc<Gate>>) -> Self {
        let names = Arc::new(names);
        let has_playground = exporter.playground.is_some();
        let site = Site {
            exporter,
            names: Arc::clone(&names),
            path: prefix.path().into(),
            has_landing: prefix.has_landing(),
            tls: gate.as_ref().is_some_and(|gate| gate.tls().is_some()),
        };
        Self {
            prefix,
            names,
            routes: routes::routes(site),
            gate,
            has_playground,
        }
    }

    /// Begins to answer a request.
    pub fn respond(
        self: &Arc<Self>,
        request: Request<Incoming>,
        requests: &Requests,
    ) -> impl Future<Output = http::Response<Outgoing>> + Send + use<> {
        let (responder, requests) = (Arc::clone(self), requests.clone());
        let (request, body) = request.into_parts();
        let under_way = requests.begin(!body.is_end_stream());
        let held = heads::hold(&request);
        // Boxed, because each step towards the answer would hold the head's room once more.
        let mut request = Box::new(request);
        let (body, unread) = if responder.reads_form(&request) {
            (Some(Body::new(body)), None)
        } else {
            (None, Unread::of(&request, body, PATIENCE.head))
        };
        request.extensions.insert(requests.clone());
        async move {
            let mut response = match held {
                Ok(_) => match responder.admit(&request, &requests).await {
                    Ok(admitted) => {
                        let mut response = responder.answer(request, body).await;
                        if let Some(admitted) = admitted {
                            admitted.add_headers(&mut response);
                        }
                        response
                    }
                    Err(refusal) => *refusal,
                },
                Err(refusal) => *refusal,
            };
            if let Some(PlainRefusal(words)) = response.extensions().get() {
                requests.refuse(words);
            }
            // As in Go, a response that ends the connection does not wait for a body.
            if let Some(unread) = unread
                && !response.headers().contains_key(CONNECTION)
            {
                // Only the caller is waited for, as for the rest of a head.
                requests.caller().seat.is_idle();
                if !Box::pin(unread.finish()).await {
                    answer::close(&mut response);
                }
            }
            answer::date(&mut response);
            let response = outgoing::send(response, &requests);
            drop(under_way);
            response
        }
    }

    /// Whether the endpoint reads the body of the request: the playground alone does.
    fn reads_form(&self, request: &Parts) -> bool {
        self.has_playground
            && playground::has_form(&request.method)
            && self.prefix.leads_to(request.uri.path(), "playground")
    }

    /// Whom the gate, if there is one, welcomes; else its response.
    async fn admit(&self, request: &Parts, requests: &Requests) -> Result<Option<Admitted>, Box<Response>> {
        let is_open =
            |gate: &&Arc<Gate>| gate.open_healthy() && self.prefix.leads_to(request.uri.path(), "-/healthy");
        let Some(gate) = self.gate.as_ref().filter(|gate| !is_open(gate)) else {
            return Ok(None);
        };
        // Boxed: few exporters have a gate, and every request would hold the room for it.
        Box::pin(gate.admit(&request.headers, requests)).await.map(Some)
    }

    /// Hands a request to its endpoint. Not an `async fn`: that would hold the head's box, empty, for as long as the endpoint takes.
    fn answer(
        &self,
        mut request: Box<Parts>,
        body: Option<Body>,
    ) -> impl Future<Output = Response> + Send + use<> {
        let admitted = self.names.is_asked(&request);
        if let Err(response) = admitted.and_then(|()| self.prefix.route(&mut request)) {
            return Either::Left(ready(*response));
        }
        heads::own(&mut request);
        let answering = self
            .routes
            .clone()
            .call(Request::from_parts(*request, body.unwrap_or_else(Body::empty)));
        Either::Right(
            AssertUnwindSafe(answering)
                .catch_unwind()
                .map(|ended| match ended {
                    Ok(Ok(response)) => response,
                    // A bug; the log says which. The other requests of the connection have nothing to do with it.
                    Err(_panic) => answer::error(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"),
                }),
        )
    }
}
