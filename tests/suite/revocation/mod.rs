//! Revoked certificates: by lists, by OCSP.

mod lists;
mod ocsp;

use std::time::Duration;

use blackbox_exporter::config::{self, Prober};
use blackbox_exporter::module;
use blackbox_exporter::net::Network;
use blackbox_exporter::net::policy::Policy;
use blackbox_exporter::prober::{self, Outcome, ProbeRequest};
use rustls::version::TLS13;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::http::site::read_request;
use crate::support::pki::{self, Made, pem};
use crate::support::probing::{PATIENT, compile, log_of};
use crate::support::{has, spawn};

/// A tcp module that trusts this root.
fn tcp(root: &Made) -> config::Module {
    let mut raw = config::Module::new(Prober::Tcp);
    raw.tcp.tls = true;
    *raw.tcp.tls_config = tls(root);
    raw
}

fn tls(root: &Made) -> config::Tls {
    config::Tls {
        ca: pem("CERTIFICATE", &root.der),
        server_name: "v4.test".to_owned(),
        ..config::Tls::default()
    }
}

async fn probe(network: &Network, raw: config::Module, target: &str) -> Outcome {
    probe_within(PATIENT, network, raw, target).await
}

async fn probe_within(timeout: Duration, network: &Network, raw: config::Module, target: &str) -> Outcome {
    let request = ProbeRequest {
        target,
        hostname: None,
        timeout,
    };
    prober::run(network, &compile(raw), request).await
}

async fn serve(chain: &[&Made]) -> String {
    let config = pki::server_config(pki::certified(chain), &[&TLS13]);
    pki::serve(config).await.to_string()
}

/// A network whose policy denies this.
fn denying(rules: &str) -> Network {
    let text = format!("policy: {{deny: {{{rules}}}}}\nmodules: {{}}\n");
    let rules = module::parse(text, "test.yml").unwrap().config.policy.clone();
    Network::governed_by(Policy::of(rules))
}

/// A server that reads requests and never responds, and how many it has read.
async fn silent() -> (String, watch::Receiver<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (count, asked) = watch::channel(0);
    spawn(async move {
        let mut held = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_request(&mut stream).await.unwrap();
            held.push(stream);
            count.send_modify(|count| *count += 1);
        }
    });
    (url, asked)
}

/// However many authorities are silent, the next one is asked. `given_up` is what the log says where they are given up after ten seconds.
async fn probe_with_many_silent_authorities(
    raw: config::Module,
    certificate: impl Fn(&str) -> Made,
    given_up: Option<&str>,
) {
    const MANY: usize = 20;
    let (url, mut asked) = silent().await;
    let mut targets = Vec::new();
    for n in 0..MANY {
        targets.push(serve(&[&certificate(&format!("{url}{n}"))]).await);
    }
    let network = Network::system();
    let probes = targets
        .iter()
        .map(|target| probe_within(Duration::from_secs(100), &network, raw.clone(), target));
    let mut probes = std::pin::pin!(futures_util::future::join_all(probes));
    tokio::select! {
        outcomes = &mut probes => panic!("{}", log_of(&outcomes[0])),
        _ = asked.wait_for(|asked| *asked == MANY) => {}
    }
    let Some(words) = given_up else { return };
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(11)).await;
    tokio::time::resume();
    for outcome in probes.await {
        assert!(outcome.success, "{}", log_of(&outcome));
        has(log_of(&outcome), [words]);
    }
}

/// Probes a server whose certificate names a URL where nobody answers: that costs no more than the probe's time.
async fn probe_with_silent_authority(raw: config::Module, certificate: impl Fn(&str) -> Made) -> Outcome {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let target = serve(&[&certificate(&url)]).await;
    let outcome = probe_within(Duration::from_secs(1), &Network::system(), raw, &target).await;
    assert!(outcome.success, "{}", log_of(&outcome));
    assert!(outcome.duration < Duration::from_secs(5));
    has(log_of(&outcome), ["timeout of 1s ran out"]);
    outcome
}
