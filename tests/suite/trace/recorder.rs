//! A service that writes down the headers of every request.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::response::{IntoResponse, Redirect};
use http::{HeaderMap, StatusCode, Uri};

use crate::support::spawn;

/// Paths and headers in the order in which they came.
pub type Recorded = Arc<Mutex<Vec<(String, HeaderMap)>>>;

/// The service: `/first` and `/second` redirect to the next one, `/bad` is a 500, every other path a 200.
pub async fn service() -> (SocketAddr, Recorded) {
    let recorded = Recorded::default();
    let record = Arc::clone(&recorded);
    let answer = move |uri: Uri, headers: HeaderMap| {
        record.lock().unwrap().push((uri.path().to_owned(), headers));
        let response = match uri.path() {
            "/first" => Redirect::temporary("/second").into_response(),
            "/second" => Redirect::temporary("/third").into_response(),
            "/bad" => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            _ => "good".into_response(),
        };
        std::future::ready(response)
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    (address, recorded)
}

/// Health checks of gRPC, recorded too.
pub async fn grpc() -> (SocketAddr, Recorded) {
    let recorded = Recorded::default();
    let record = Arc::clone(&recorded);
    let (_, service) = tonic_health::server::health_reporter();
    let incoming = tonic::transport::server::TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = incoming.local_addr().unwrap();
    let interceptor = tonic::service::InterceptorLayer::new(move |request: tonic::Request<()>| {
        let headers = request.metadata().clone().into_headers();
        record.lock().unwrap().push(("Check".to_owned(), headers));
        Ok(request)
    });
    let mut server = tonic::transport::Server::builder().layer(interceptor);
    spawn(server.add_service(service).serve_with_incoming(incoming));
    (address, recorded)
}

/// A header of a request.
pub fn value(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(name)?;
    Some(value.to_str().unwrap().to_owned())
}
