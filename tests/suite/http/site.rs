//! A scripted web site: it answers as told, closes each connection, and remembers what it was asked.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::support::spawn;

type Answer = Arc<dyn Fn(&Asked) -> Vec<u8> + Send + Sync>;

/// A request.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The head as it came, without the empty line.
    pub head: String,
    pub body: Vec<u8>,
}

impl Asked {
    /// The request line.
    pub fn line(&self) -> &str {
        self.head.lines().next().unwrap()
    }

    /// Method, target, version.
    pub fn path(&self) -> &str {
        self.line().split(' ').nth(1).unwrap()
    }

    /// The values of a header, in any case.
    pub fn headers(&self, name: &str) -> Vec<&str> {
        self.head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(": "))
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .collect()
    }

    /// The value of a header that stands there once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let values = self.headers(name);
        assert!(values.len() < 2, "{values:?}");
        values.first().copied()
    }
}

/// A running site.
pub struct Site {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    task: JoinHandle<()>,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Site {
    /// Answers every request with these bytes.
    pub async fn answering(answer: impl AsRef<[u8]>) -> Self {
        let answer = answer.as_ref().to_vec();
        Self::with(move |_| answer.clone()).await
    }

    /// Answers as `answer` says. `{port}` in an answer is the site's own.
    pub async fn with(answer: impl Fn(&Asked) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let answer: Answer = Arc::new(answer);
        let seen = Arc::clone(&asked);
        let task = spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let (answer, seen) = (Arc::clone(&answer), Arc::clone(&seen));
                spawn(async move {
                    let Some(request) = read_request(&mut stream).await else {
                        return;
                    };
                    let bytes = with_port(&answer(&request), address.port());
                    seen.lock().unwrap().push(request);
                    let _ = stream.write_all(&bytes).await;
                });
            }
        });
        Self { address, asked, task }
    }

    /// A URL of the site.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The only thing it was asked.
    pub fn only(&self) -> Asked {
        let asked = self.asked();
        assert_eq!(asked.len(), 1, "{asked:?}");
        asked[0].clone()
    }
}

fn with_port(answer: &[u8], port: u16) -> Vec<u8> {
    match std::str::from_utf8(answer) {
        Ok(text) => text.replace("{port}", &port.to_string()).into_bytes(),
        Err(_) => answer.to_vec(),
    }
}

/// Reads a request with its body; `None` when there is none.
pub async fn read_request(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Option<Asked> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    head.truncate(head.len() - 4);
    let mut asked = Asked {
        head: String::from_utf8(head).unwrap(),
        body: Vec::new(),
    };
    if let Some(length) = asked.header("Content-Length") {
        asked.body = vec![0; length.parse().unwrap()];
        stream.read_exact(&mut asked.body).await.ok()?;
    } else if asked.header("Transfer-Encoding").is_some() {
        loop {
            let mut line = Vec::new();
            while !line.ends_with(b"\r\n") {
                line.push(stream.read_u8().await.ok()?);
            }
            let size = usize::from_str_radix(std::str::from_utf8(&line).unwrap().trim(), 16).unwrap();
            let mut chunk = vec![0; size + 2];
            stream.read_exact(&mut chunk).await.ok()?;
            asked.body.extend_from_slice(&chunk[..size]);
            if size == 0 {
                break;
            }
        }
    }
    Some(asked)
}

/// An answer with a length.
pub fn answer(status: &str, headers: &[&str], body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut out = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n", body.len());
    for header in headers {
        out.push_str(&format!("{header}\r\n"));
    }
    out.push_str("\r\n");
    let mut out = out.into_bytes();
    out.extend_from_slice(body);
    out
}

/// `content`, compressed.
pub fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, content).unwrap();
    encoder.finish().unwrap()
}

/// A 200 with a short body.
pub fn ok() -> Vec<u8> {
    answer("200 OK", &[], "ok")
}

/// A redirect.
pub fn redirect(to: &str) -> Vec<u8> {
    answer("302 Found", &[&format!("Location: {to}")], "")
}
