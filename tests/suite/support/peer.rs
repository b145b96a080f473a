//! Scripted peers on real sockets.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::task::spawn;

/// What a peer does next.
#[derive(Clone, Debug)]
pub enum Move {
    /// Sends bytes.
    Send(Vec<u8>),
    /// Sends bytes one at a time, each on its own.
    Trickle(Vec<u8>),
    /// Reads to the end of a line.
    ReadLine,
    /// Reads so many bytes.
    Read(usize),
    /// Waits.
    Pause(Duration),
    /// Sends the same bytes until the other side has enough.
    Forever(Vec<u8>),
    /// Resets the connection.
    Reset,
    /// Closes it. Without this, a peer waits for the other side to close.
    Close,
}

/// Sends a text.
pub fn send(text: impl AsRef<[u8]>) -> Move {
    Move::Send(text.as_ref().to_vec())
}

/// A peer that serves one connection.
#[derive(Debug)]
pub struct Peer {
    /// Where it listens.
    pub address: SocketAddr,
    task: JoinHandle<Vec<u8>>,
}

impl Peer {
    /// Listens on a free port of the loopback and plays the moves to the first who connects.
    pub async fn play(moves: Vec<Move>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut received = Vec::new();
            let mut stream = stream;
            for one in moves {
                if matches!(one, Move::Reset) {
                    stream.set_zero_linger().unwrap();
                    return received;
                }
                if !perform(&mut stream, one, &mut received).await {
                    return received;
                }
            }
            let _ = stream.read_to_end(&mut received).await;
            received
        });
        Self { address, task }
    }

    /// The target that names it.
    pub fn target(&self) -> String {
        self.address.to_string()
    }

    /// Waits for its end and returns all it received.
    pub async fn received(self) -> Vec<u8> {
        self.task.await.unwrap()
    }
}

/// Listens on a free port of the loopback and serves each connection, all at the same time.
pub async fn listen<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    serve_each(listener, serve);
    address
}

/// Serves each connection, all at the same time.
pub fn serve_each<F>(listener: TcpListener, serve: impl Fn(TcpStream) -> F + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            spawn(serve(stream));
        }
    });
}

/// Performs a move; `false` ends the connection.
pub async fn perform(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    one: Move,
    received: &mut Vec<u8>,
) -> bool {
    match one {
        Move::Send(bytes) => stream.write_all(&bytes).await.is_ok() && stream.flush().await.is_ok(),
        Move::Trickle(bytes) => {
            for byte in bytes {
                if stream.write_all(&[byte]).await.is_err() || stream.flush().await.is_err() {
                    return false;
                }
                tokio::task::yield_now().await;
            }
            true
        }
        Move::ReadLine => {
            while let Ok(byte) = stream.read_u8().await {
                received.push(byte);
                if byte == b'\n' {
                    return true;
                }
            }
            false
        }
        Move::Read(count) => {
            let mut bytes = vec![0; count];
            let read = stream.read_exact(&mut bytes).await;
            received.extend(bytes);
            read.is_ok()
        }
        Move::Pause(time) => {
            tokio::time::sleep(time).await;
            true
        }
        Move::Forever(bytes) => {
            while stream.write_all(&bytes).await.is_ok() {}
            false
        }
        Move::Reset | Move::Close => false,
    }
}
