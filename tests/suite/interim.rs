//! Token servers that send interim responses without end: the threads that serve probes and pages do not read them.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use crate::support::probe;

/// The timeout of the probe.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The most of a probe's time that is spent on its thread.
const COMPUTED: Duration = Duration::from_millis(200);

/// A server on threads of its own, which never comes to a response.
pub fn endless() -> SocketAddr {
    fn answer(mut stream: TcpStream) -> std::io::Result<()> {
        let _ = stream.read(&mut [0; 4096])?;
        let interim = b"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(1000);
        loop {
            stream.write_all(&interim)?;
        }
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || answer(stream.unwrap()));
        }
    });
    address
}

/// How long this thread has computed since it began.
fn computed() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split_whitespace().next().unwrap().parse().unwrap())
}

/// The runtime of this test has one thread, this one.
#[tokio::test]
async fn interim_responses_of_a_token_server_take_no_time_of_probes() {
    let module = format!(
        "prober: http
timeout: 2s
http: {{preferred_ip_protocol: ip4, oauth2: {{client_id: a, client_secret: secret, token_url: 'http://{}/'}}}}",
        endless()
    );
    let before = computed();
    let outcome = probe(&module, "http://127.0.0.1:1/").await;
    let (took, whole) = (computed() - before, outcome.duration);
    assert!(!outcome.success && whole < TIMEOUT * 5, "{whole:?}");
    assert!(took < COMPUTED, "{took:?} of {whole:?}");
}
