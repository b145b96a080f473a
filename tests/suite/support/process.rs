//! An exporter in a process of its own, which a test may starve and lie to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit};

/// The exporter; it ends with the handle.
pub struct Process {
    pub child: Child,
    pub address: SocketAddr,
    log: Arc<Mutex<String>>,
    folder: tempfile::TempDir,
}

impl Process {
    /// Starts an exporter with this configuration and these additional flags, after the shell commands `setup`, for example limits.
    pub fn start(config: &str, flags: &[&str], setup: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.yml");
        std::fs::write(&file, config).unwrap();
        let script = format!("{setup} && exec \"$0\" \"$@\"");
        let mut child = Command::new("sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_blackbox_exporter")])
            .arg(format!("--config.file={}", file.display()))
            .arg("--web.listen-address=127.0.0.1:0")
            .args(flags)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = loop {
            let line = lines.next().expect("it ended").unwrap();
            if let Some((_, address)) = line.split_once("msg=\"Listening on\" address=") {
                break address.parse().unwrap();
            }
        };
        let log = Arc::new(Mutex::new(String::new()));
        let written = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                written.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        Self {
            child,
            address,
            log,
            folder,
        }
    }

    /// The answer to a request, or nothing when the exporter had no connection for it.
    pub fn get(&self, path: &str) -> String {
        self.request("GET", path, "")
    }

    /// The answer to a request with more lines in its head, each with its end.
    pub fn request(&self, method: &str, path: &str, more: &str) -> String {
        let mut answer = String::new();
        if let Ok(mut stream) = TcpStream::connect(self.address) {
            stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
            let request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\n{more}Connection: close\r\n\r\n");
            let _ = stream.write_all(request.as_bytes());
            let _ = stream.read_to_string(&mut answer);
        }
        answer
    }

    /// The value of a series in `/metrics`.
    pub fn metric(&self, series: &str) -> f64 {
        value(&self.get("/metrics"), series)
    }

    /// What it logged since it listens, as far as it is written.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until it has logged this, and returns the line.
    pub fn logs(&self, words: &str) -> String {
        let start = Instant::now();
        loop {
            let log = self.log();
            if let Some(line) = log.lines().rev().find(|line| line.contains(words)) {
                return line.to_owned();
            }
            assert!(start.elapsed() < Duration::from_secs(20), "{words}\n{log}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// How many files it may have open from now on; `None` for as many as before.
    pub fn limit_files(&self, most: Option<u64>) {
        let maximum = getrlimit(Resource::Nofile).maximum;
        let current = most.or(maximum);
        let _ = prlimit(Some(self.pid()), Resource::Nofile, Rlimit { current, maximum }).unwrap();
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().unwrap()).unwrap()
    }

    /// The folder of its configuration, for other files of the test.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Memory in use, in bytes.
    pub fn memory(&self) -> u64 {
        memory_of(&self.child.id().to_string(), "VmRSS:")
    }

    /// Memory in use without the pages of the program's file, in bytes.
    pub fn own_memory(&self) -> u64 {
        memory_of(&self.child.id().to_string(), "RssAnon:")
    }

    /// The most memory that was in use so far, in bytes.
    pub fn most_memory(&self) -> u64 {
        memory_of(&self.child.id().to_string(), "VmHWM:")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The value of a series in an exposition.
pub fn value(exposition: &str, series: &str) -> f64 {
    let mut lines = exposition.lines();
    let text = lines.find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    text.unwrap_or_else(|| panic!("no {series} in\n{exposition}"))
        .replace("+Inf", "inf")
        .parse()
        .unwrap()
}

/// A figure of `/proc/PID/status`, in bytes.
pub fn memory_of(pid: &str, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kibibytes = line.unwrap().trim().trim_end_matches(" kB");
    kibibytes.parse::<u64>().unwrap() << 10
}
