//! A program under test: started with its log captured, ended when it goes out of scope.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use super::eventually;

/// A running program.
pub struct Program {
    name: &'static str,
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
}

impl Program {
    /// Starts the command and keeps what it says.
    pub fn start(name: &'static str, mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|err| panic!("{name}: {err}"));
        let log = Arc::new(Mutex::new(Vec::new()));
        keep(child.stdout.take().unwrap(), &log);
        keep(child.stderr.take().unwrap(), &log);
        Self { name, child, log }
    }

    /// The address in the line by which programs with Prometheus' exporter toolkit say where they listen.
    pub fn address(&self) -> String {
        eventually(&format!("{} to listen", self.name), || {
            let log = self.log();
            log.lines()
                .filter(|line| line.contains("Listening on"))
                .find_map(|line| {
                    Some(
                        line.split_once("address=")?
                            .1
                            .split_whitespace()
                            .next()?
                            .to_owned(),
                    )
                })
                .map(|address| address.trim_matches('"').replace("[::]", "127.0.0.1"))
                .ok_or(log)
        })
    }

    /// Everything said so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }

    /// Sends a signal by its name.
    pub fn signal(&self, signal: &str) {
        let sent = Command::new("kill")
            .args(["-s", signal, &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            println!("--- log of {}:\n{}", self.name, self.log());
        }
    }
}

fn keep(from: impl Read + Send + 'static, log: &Arc<Mutex<Vec<String>>>) {
    let log = Arc::clone(log);
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            log.lock().unwrap().push(line);
        }
    });
}
