//! Health checks that did not come to SERVING.

use super::name;
use crate::prober::grpc::status::GrpcStatus;
use crate::reason::Reason;

/// The service is not SERVING.
pub(in crate::prober) fn not_serving(service: &str, status: &str) -> String {
    let which = match service {
        "" => "The server as a whole".to_owned(),
        service => format!("The service {}", name(service)),
    };
    match status {
        "SERVICE_UNKNOWN" => format!(
            "{which} is unknown to the health server: the name is that of the proto package and service, package.Service. `grpcurl HOST:PORT list`"
        ),
        _ => format!(
            "{which} reports {status}: it is up and reports itself that it cannot serve: it is starting or draining, or a dependency is down. Its log says why."
        ),
    }
}

/// A status other than OK.
pub(in crate::prober) fn status(status: &GrpcStatus, service: &str, is_tls: bool) -> Option<String> {
    if let Some(line) = status.alert.and_then(super::tls::after_handshake) {
        return Some(line);
    }
    if let Some(http) = status.http
        && let Some(line) = page(http)
    {
        return Some(line);
    }
    Some(match status.code.0 {
        5 => format!("The health server does not know the service {:?} (NOT_FOUND): the name is that of the proto package and service, package.Service; empty asks for the server as a whole.", name(service)),
        12 => "The server does not implement grpc.health.v1.Health (UNIMPLEMENTED): register the health service there, or probe the port with prober: tcp.".to_owned(),
        16 => "The call needs credentials (UNAUTHENTICATED): set metadata with an authorization entry.".to_owned(),
        7 => "The call is forbidden (PERMISSION_DENIED): the credentials in metadata do not suffice, or a proxy blocks it.".to_owned(),
        8 => "The server has no resources left (RESOURCE_EXHAUSTED): it limits calls, or is overloaded.".to_owned(),
        4 => "The server accepted the call and did not respond in time: it hangs, or is overloaded.".to_owned(),
        14 if !is_tls && status.reason != Reason::GrpcStatus => "The connection broke before the response: the port expects TLS (tls: true), is no gRPC server, or the server is shutting down.".to_owned(),
        _ if status.reason == Reason::GrpcStatus => format!(
            "The server ended the health check with the status {}, {}: its log says why.",
            status.code,
            super::quoted(status.message.as_bytes())
        ),
        _ => return None,
    })
}

/// What a web server or a proxy responded instead of a gRPC server, where its status does not mean the same in gRPC.
fn page(http: u16) -> Option<String> {
    Some(match http {
        401 | 403 | 429 => return None,
        502..=504 => format!(
            "This response comes from a proxy or load balancer, not from the gRPC server (HTTP {http}): its backend is down, starting or out of rotation, or it does not speak HTTP/2 to it."
        ),
        300..=399 => format!(
            "A web server or proxy redirects the call (HTTP {http}), which gRPC does not follow: a login page, or a redirect to https (tls: true)."
        ),
        _ => format!(
            "A web server or proxy responds with HTTP {http}, no gRPC server: it has no route for /grpc.health.v1.Health/Check, or it is another port."
        ),
    })
}

/// Nothing came on a connection that was made.
pub(in crate::prober) fn silence(is_tls: bool) -> String {
    let more = if is_tls { "" } else { ", expects TLS (tls: true)" };
    format!(
        "The port accepts connections and sent nothing, not even the SETTINGS frame that HTTP/2 begins with: it speaks another protocol{more}, or the service hangs."
    )
}

/// What answers is not HTTP/2.
pub(in crate::prober) fn not_http2(is_tls: bool, first: &[u8]) -> String {
    if super::is_http(first) {
        return "The port responds in HTTP/1, so that no gRPC server listens there, or a proxy before it does not pass HTTP/2 on: use the port of gRPC, or a module with prober: http.".to_owned();
    }
    if !is_tls && matches!(first, [0x15 | 0x16, 3, ..]) {
        return "The port speaks TLS: set tls: true in the module.".to_owned();
    }
    format!(
        "The port does not speak HTTP/2; it sent {}.",
        super::quoted(first)
    )
}

/// TLS without HTTP/2.
pub(in crate::prober) fn no_alpn() -> String {
    "The server did not agree on HTTP/2 within TLS (ALPN): no gRPC there, or a load balancer ends TLS without HTTP/2. `openssl s_client -alpn h2 -connect HOST:PORT`".to_owned()
}
