//! A whole exporter inside the test's runtime, on a port of its own.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use blackbox_exporter::app::{self, RunningExporter, Started};
use blackbox_exporter::cli::{self, Action};
use blackbox_exporter::logging::Logger;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Handle;

/// A running exporter. Dropping it ends the listening with the test's runtime.
pub struct Exporter {
    pub address: SocketAddr,
    pub running: RunningExporter,
    log: Log,
    logger: Logger,
    folder: tempfile::TempDir,
}

/// Everything that was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// An answer of the exporter.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    /// The value of a series in an exposition in text form.
    pub fn sample(&self, series: &str) -> Option<f64> {
        let text = self
            .text()
            .lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
        Some(text.replace("+Inf", "inf").parse().unwrap())
    }
}

impl Exporter {
    /// Starts an exporter with this configuration file and these flags besides.
    pub async fn start(config: &str, flags: &[&str]) -> Self {
        Self::try_start(config, flags)
            .await
            .unwrap_or_else(|log| panic!("did not start:\n{log}"))
    }

    /// As [`start`](Self::start); when it does not start, what it logged.
    pub async fn try_start(config: &str, flags: &[&str]) -> Result<Self, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("blackbox.yml"), config).unwrap();
        Self::start_in(folder, flags).await
    }

    /// As [`try_start`](Self::try_start), in a folder that holds `blackbox.yml` and whatever else there must be. `{dir}`
    /// in a flag stands for the folder.
    pub async fn start_in(folder: tempfile::TempDir, flags: &[&str]) -> Result<Self, String> {
        Self::start_beside(Vec::new(), folder, flags).await
    }

    /// As [`start_in`](Self::start_in), with other threads for when the test's are busy.
    pub async fn start_beside(
        others: Vec<Handle>,
        folder: tempfile::TempDir,
        flags: &[&str],
    ) -> Result<Self, String> {
        let directory = folder.path().display().to_string();
        let mut arguments = vec![format!("--config.file={directory}/blackbox.yml")];
        arguments.extend(flags.iter().map(|flag| flag.replace("{dir}", &directory)));
        if !flags.iter().any(|flag| flag.starts_with("--web.listen-address")) {
            arguments.push("--web.listen-address=127.0.0.1:0".to_owned());
        }
        let Ok(Action::Run(flags)) = cli::parse(&arguments) else {
            panic!("bad flags: {arguments:?}");
        };
        let log = Log::default();
        let logger = Logger::new(flags.log_level, flags.log_format, Box::new(log.clone()));
        match app::start(*flags, logger.clone(), others).await {
            Ok(Started::Serving(running)) => Ok(Self {
                address: running.addresses[0],
                running,
                log,
                logger,
                folder,
            }),
            _ => {
                logger.flush(Duration::from_secs(5));
                let log = log.0.lock().unwrap();
                Err(String::from_utf8_lossy(&log).into_owned())
            }
        }
    }

    /// Everything logged so far.
    pub fn log(&self) -> String {
        self.logger.flush(Duration::from_secs(5));
        String::from_utf8_lossy(&self.log.0.lock().unwrap()).into_owned()
    }

    /// Stops it; everything that it logged.
    pub async fn stop(self) -> String {
        self.running.stop().await;
        self.logger.flush(Duration::from_secs(5));
        String::from_utf8_lossy(&self.log.0.lock().unwrap()).into_owned()
    }

    /// The folder of its configuration file.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its configuration file.
    pub fn config_file(&self) -> PathBuf {
        self.folder.path().join("blackbox.yml")
    }

    /// The answer to a GET.
    pub async fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[]).await
    }

    /// The probe of a target, percent-encoded here.
    pub async fn probe(&self, module: &str, target: &str) -> Answer {
        let encode = |text| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC);
        self.get(&format!(
            "/probe?module={}&target={}",
            encode(module),
            encode(target)
        ))
        .await
    }

    /// Whether the probe at that path, which must be answered, succeeds.
    pub async fn succeeds(&self, path: &str) -> bool {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.sample("probe_success") == Some(1.0)
    }

    /// The answer to any request without a body.
    pub async fn request(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n",
            self.address
        );
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        parse(&self.raw(head.as_bytes()).await)
    }

    /// All bytes that come back for these bytes, until the exporter closes.
    pub async fn raw(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // It may close before it has read everything.
        let _ = stream.write_all(bytes).await;
        let mut received = Vec::new();
        let _ = stream.read_to_end(&mut received).await;
        received
    }
}

/// Reads an answer with a `Content-Length` or to the end of the connection.
pub fn parse(bytes: &[u8]) -> Answer {
    let end = bytes
        .windows(4)
        .position(|w| w == b"\r\n\r\n")
        .unwrap_or_else(|| {
            panic!("no answer: {:?}", String::from_utf8_lossy(bytes));
        });
    let head = std::str::from_utf8(&bytes[..end]).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines
        .map(|line| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_ascii_lowercase(), value.trim().to_owned())
        })
        .collect();
    let mut answer = Answer {
        status,
        headers,
        body: bytes[end + 4..].to_vec(),
    };
    if answer.header("transfer-encoding") == Some("chunked") {
        answer.body = unchunk(&answer.body);
    }
    answer
}

/// A body without its chunks.
fn unchunk(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = body.windows(2).position(|two| two == b"\r\n") {
        let size = std::str::from_utf8(&body[..end]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        whole.extend_from_slice(&body[end + 2..end + 2 + size]);
        body = &body[end + 4 + size..];
    }
    whole
}
