//! The grpc prober: one call of `grpc.health.v1.Health/Check` over HTTP/2, in plaintext or within TLS.
//!
//! The call is made by hand over our own connection, so that the address, the phases, the facts of TLS and the status of
//! every kind of failure are known exactly.

pub mod call;
mod message;
pub mod status;

use std::borrow::Cow;
use std::net::SocketAddr;

use bytes::Bytes;
use gostd::address::socket_text;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use self::call::{CallError, call};
use self::message::{SERVING, SERVING_STATUSES, health_check_request, serving_status_name, serving_text};
use self::status::{Code, GrpcStatus};
use super::connect::{self, ConnectError, ConnectFailure, Stream, Tls, To, connect, prepare};
use super::resolve::{expose_address, judge_names};
use super::{Answer, Failed, Phase, Probe, Verdict, advice, choose_address};
use crate::log;
use crate::metrics::{Labels, Metric};
use crate::module::Grpc;
use crate::net::dial::DialCause;
use crate::net::http2::{self, Manner};
use crate::net::tls::facts::{Ending, FactSet, TlsFacts};
use crate::net::tls::{Alpn, ClientTls, Prepared, TlsError};
use crate::net::url::idna_ascii;
use crate::net::{Address, split_host_port};
use crate::probe_log::{EXCERPT, excerpt_of, text};
use crate::reason::Reason;

/// Probes the target as the module says.
///
/// # Errors
/// [`Failed`] after the reason was logged.
pub async fn probe(probe: &mut Probe<'_>, module: &Grpc) -> Verdict {
    probe
        .samples
        .set_label(Metric::GrpcDuration, Phase::Resolve.label(), 0.0);
    probe.samples.set(Metric::GrpcSsl, 0.0);
    probe.samples.set(Metric::GrpcStatusCode, 0.0);
    let host_port = host_port(probe)?;
    // A host without a port, and whatever else is no host and port, is taken for a host.
    probe.timeline.begin_hop(host_port.as_str());
    judge_names(probe, None)?;
    let (host, port) = split_host_port(&host_port).unwrap_or((&host_port, ""));
    // The files of `tls_config` are read even when TLS is off, as upstream does.
    let prepared = match &module.tls_config {
        None => None,
        Some(tls) => {
            let prepared = prepare(probe, tls, "Error creating TLS configuration").await;
            Some(prepared.map_err(|error| probe.fail(error.reason()))?)
        }
    };
    let found = choose_address(probe, host, module.preference).await?;
    let took = found.took;
    probe
        .samples
        .set_label(Metric::GrpcDuration, Phase::Resolve.label(), took.as_secs_f64());

    let started = Instant::now();
    if !module.tls {
        log!(probe.log, Debug, "Dialing GRPC without TLS");
    }
    let default_port = if module.tls { "443" } else { "80" };
    let route = Route {
        host,
        port: if port.is_empty() { default_port } else { port },
        addresses: std::iter::once(found.address).chain(found.others).collect(),
        tls: prepared.filter(|_| module.tls),
        server_name: module
            .tls_config
            .as_ref()
            .and_then(ClientTls::server_name)
            .unwrap_or(host),
    };
    probe.timeline.hop().address = Some(route.target());
    let answer = check(probe, module, &route).await;
    let took = probe.end(started) - started;
    probe
        .samples
        .set_label(Metric::GrpcDuration, Phase::Check.label(), took.as_secs_f64());
    judge(probe, module, &route, answer)
}

/// Host and port of the target, which may be a URL: only its host counts, also when it is `https://`.
fn host_port(probe: &mut Probe<'_>) -> Result<String, Failed> {
    let target = probe.target;
    let has_scheme = target.starts_with("http://") || target.starts_with("https://");
    let url: Cow<'_, str> = if has_scheme {
        target.into()
    } else {
        format!("http://{target}").into()
    };
    Ok(probe.read_url(&url)?.host)
}

/// Where the call goes.
struct Route<'a> {
    host: &'a str,
    port: &'a str,
    /// The chosen one in front.
    addresses: Vec<Address>,
    tls: Option<Prepared>,
    /// The name that the server must prove to have.
    server_name: &'a str,
}

impl Route<'_> {
    /// The chosen address and the port.
    fn target(&self) -> String {
        let port = self.port;
        match self.addresses.first() {
            Some(address) => address.joined(port),
            None => format!("{}:{port}", self.host),
        }
    }

    /// The pseudo header `:authority` as grpc-go has it: the server name with TLS, host and port without.
    fn authority(&self) -> String {
        let bracketed = |host: &str| {
            let host = idna_ascii(host.split('%').next().unwrap_or("")).into_owned();
            if host.contains(':') {
                format!("[{host}]")
            } else {
                host
            }
        };
        match self.tls {
            Some(_) => bracketed(self.server_name),
            None => format!("{}:{}", bracketed(self.host), self.port),
        }
    }
}

/// Exposes what the call told, and judges it.
fn judge(
    probe: &mut Probe<'_>,
    module: &Grpc,
    route: &Route<'_>,
    answer: Result<i32, GrpcStatus>,
) -> Verdict {
    let one_of = |status: Cow<'static, str>| Labels::Values(Box::new([status]));
    for (_, name) in SERVING_STATUSES {
        probe
            .samples
            .set_labels(Metric::GrpcHealthcheckResponse, one_of(name.into()), 0.0);
    }
    let (reason, problem) = match answer {
        Ok(status) => {
            let name = serving_status_name(status);
            probe
                .samples
                .set_labels(Metric::GrpcHealthcheckResponse, one_of(name), 1.0);
            if let Some(facts) = &probe.attempt.tls {
                probe.samples.set(Metric::GrpcSsl, 1.0);
                facts.expose(&mut probe.samples, FactSet::Grpc);
            }
            let said = serving_text(&module.service, status);
            let hop = probe.timeline.hop();
            hop.result = Some(said.clone());
            hop.answer = Some(Answer::Grpc {
                code: Code::OK.0,
                http: None,
            });
            if status == SERVING {
                log!(probe.log, Debug, "connect the grpc server successfully");
                return Ok(());
            }
            let name = serving_status_name(status);
            probe.advise(advice::grpc::not_serving(&module.service, &name));
            (Reason::GrpcNotServing, said)
        }
        Err(status) => {
            // compat: the certificate is exposed although the server did not pass, or an expiry alert would vanish when
            // the certificate expires.
            if let Some(facts) = &probe.attempt.tls
                && facts.ending != Ending::Complete
            {
                facts.expose(&mut probe.samples, FactSet::Grpc);
            }
            let line = advice::grpc::status(&status, &module.service, module.tls);
            probe.advise_else(line);
            probe
                .samples
                .set(Metric::GrpcStatusCode, f64::from(status.code.0));
            let hop = probe.timeline.hop();
            hop.result = Some(status.code.to_string());
            hop.answer = Some(Answer::Grpc {
                code: status.code.0,
                http: status.http,
            });
            let at = hop.address.clone().unwrap_or_else(|| route.target());
            (status.reason, format!("health check of {at}: {status}"))
        }
    };
    let message = match reason {
        Reason::GrpcNotServing => "gRPC health check failed",
        _ => "can't connect grpc server:",
    };
    log!(probe.log, Error, message, "err" => excerpt_of(&problem, EXCERPT));
    Err(probe.fail(reason))
}

/// Dials and calls. A call that the server did not look at is repeated once, as grpc-go does.
async fn check(probe: &mut Probe<'_>, module: &Grpc, route: &Route<'_>) -> Result<i32, GrpcStatus> {
    let headers = module
        .metadata
        .as_ref()
        .map_err(|error| GrpcStatus::new(Code::INTERNAL, error.clone()).because(Reason::ConfigError))?;
    let scheme: &[u8] = if route.tls.is_some() { b"https" } else { b"http" };
    let authority = route.authority();
    let mut fields: Vec<(&str, &[u8])> = vec![
        (":method", b"POST"),
        (":scheme", scheme),
        (":path", b"/grpc.health.v1.Health/Check"),
        (":authority", authority.as_bytes()),
        ("content-type", b"application/grpc"),
        (
            "user-agent",
            concat!("grpc-rust-blackbox-exporter/", env!("CARGO_PKG_VERSION")).as_bytes(),
        ),
        ("te", b"trailers"),
    ];
    for (name, value) in headers {
        probe.secrets.hide_if_named(name, value.as_bytes());
    }
    fields.extend(
        headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes())),
    );
    let traced = probe.trace_headers(&authority);
    fields.extend(traced.iter().map(|(name, value)| (*name, value.as_bytes())));
    let first = connect_and_call(probe, module, route, &fields, true).await;
    match first {
        Err(CallError::Draining(_)) => {}
        answered => return answered.map_err(GrpcStatus::from),
    }
    connect_and_call(probe, module, route, &fields, false)
        .await
        .map_err(GrpcStatus::from)
}

async fn connect_and_call(
    probe: &mut Probe<'_>,
    module: &Grpc,
    route: &Route<'_>,
    fields: &[(&str, &[u8])],
    may_repeat: bool,
) -> Result<i32, CallError> {
    let stream = reach(probe, route).await?;
    let facts = probe.attempt.tls.as_ref().filter(|_| route.tls.is_some());
    if facts.is_some_and(|facts| facts.alpn.as_deref().is_none_or(<[u8]>::is_empty)) {
        probe.advise(advice::grpc::no_alpn());
        let why = "credentials: cannot check peer: missing selected ALPN property";
        return Err(unavailable("authenticating", &why)
            .because(Reason::ProtocolError)
            .into());
    }
    Box::pin(converse(probe, module, stream, fields, may_repeat)).await
}

/// What is told of the first of several addresses, where no other one is reached either.
struct First {
    status: GrpcStatus,
    peer: Option<SocketAddr>,
    tls: Option<Box<TlsFacts>>,
    advice: Option<String>,
}

impl First {
    fn of(probe: &mut Probe<'_>, failure: &ConnectFailure) -> Self {
        Self {
            status: status_of(&failure.error),
            peer: failure.spans.peer,
            tls: probe.attempt.tls.clone(),
            advice: probe.attempt.facts.take(),
        }
    }

    /// Returns to it after another one has failed.
    fn tell(self, probe: &mut Probe<'_>) -> GrpcStatus {
        if let Some(peer) = self.peer {
            expose_address(probe, peer.ip().to_canonical());
            probe.timeline.hop().address = Some(socket_text(peer));
        }
        probe.learn(self.tls.map(|facts| *facts));
        probe.attempt.facts.forget();
        probe.advise(self.advice);
        self.status
    }
}

/// Connects to the first address that lets itself be connected to, TLS included, as grpc-go does.
async fn reach(probe: &mut Probe<'_>, route: &Route<'_>) -> Result<Stream, GrpcStatus> {
    let mut addresses = route.addresses.clone();
    let mut first: Option<First> = None;
    loop {
        let to = To::Addresses {
            addresses: &addresses,
            port: route.port,
        };
        let tls = route.tls.as_ref().map(|prepared| Tls {
            prepared,
            name: route.server_name,
            alpn: Alpn::Grpc,
        });
        let failure = match connect(probe, connect::Route::direct(to, tls)).await {
            Ok(connected) => {
                if let Some(peer) = connected.spans.peer {
                    // When the last one of several was left, too.
                    expose_address(probe, peer.ip().to_canonical());
                }
                return Ok(connected.stream);
            }
            Err(failure) => failure,
        };
        let is_handshake = matches!(failure.error, ConnectError::Tls(_));
        let peer = failure.spans.peer.map(|peer| peer.ip());
        let all = addresses.len();
        addresses.retain(|address| Some(address.ip) != peer);
        if !is_handshake || addresses.is_empty() || addresses.len() == all {
            return Err(match first {
                Some(first) => first.tell(probe),
                None => status_of(&failure.error),
            });
        }
        if first.is_none() {
            first = Some(First::of(probe, &failure));
        }
        log!(probe.log, Debug, "Could not connect to one of several addresses", "err" => text(&failure));
    }
}

/// What grpc-go says of a connection that could not be made.
fn status_of(error: &ConnectError) -> GrpcStatus {
    let is_late = match error {
        ConnectError::Dial(error) => matches!(error.cause, DialCause::TimedOut(_)),
        ConnectError::Tls(error) => matches!(error.error, TlsError::TimedOut { .. }),
        _ => false,
    };
    let status = match error {
        error if is_late => GrpcStatus::new(Code::DEADLINE_EXCEEDED, error.to_string()),
        ConnectError::Port(error) => unavailable("dialing", error),
        ConnectError::Tls(error) => unavailable("authenticating", error),
        error => unavailable("dialing", error),
    };
    status.because(error.reason())
}

fn unavailable(step: &str, error: &dyn std::fmt::Display) -> GrpcStatus {
    GrpcStatus::new(
        Code::UNAVAILABLE,
        format!("connection error while {step}: {error}"),
    )
}

/// Speaks HTTP/2 on a stream until the answer is there.
async fn converse<T>(
    probe: &mut Probe<'_>,
    module: &Grpc,
    stream: T,
    fields: &[(&str, &[u8])],
    may_repeat: bool,
) -> Result<i32, CallError>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let started = Instant::now();
    let conversation = async {
        let mut connection = http2::Connection::new(stream, Manner::Grpc);
        let message = Bytes::from(health_check_request(&module.service));
        let mut answered = call(&mut connection, fields, &message).await;
        if matches!(answered, Err(CallError::Refused(_))) && may_repeat {
            answered = call(&mut connection, fields, &message).await;
        }
        connection.farewell();
        let instead = connection.instead();
        if answered.is_err() && !instead.is_empty() {
            return (answered, Some(instead.to_vec()));
        }
        (answered, None)
    };
    // compat: upstream waits for the answer without a deadline.
    let answered = probe.deadline.within(conversation).await;
    probe.timeline.record(Phase::Check, started, probe.end(started));
    let answered = answered.map(|(answered, instead)| {
        let Some(instead) = instead else {
            return answered;
        };
        probe.advise(advice::grpc::not_http2(module.tls, &instead));
        let line = instead.split(|b| matches!(b, b'\r' | b'\n')).next();
        let said = advice::quoted(line.unwrap_or_default());
        answered.map_err(|error| {
            let mut status = GrpcStatus::from(error);
            status.message = format!(
                "the server does not speak HTTP/2, it says {said}: {}",
                status.message
            );
            status.into()
        })
    });
    answered.unwrap_or_else(|timed_out| {
        if probe.arrivals.after(started).is_none() {
            probe.advise(advice::grpc::silence(module.tls));
        }
        let text = format!("waiting for the response to the health check: {timed_out}");
        Err(GrpcStatus::new(Code::DEADLINE_EXCEEDED, text).into())
    })
}
