//! How questions reach name servers.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use crate::wire::MAX_DATAGRAM;

/// How questions reach a name server and answers come back.
pub trait Transport: Sync {
    /// Sends a datagram and hands over every one that comes back until `accept` takes it.
    fn datagram(
        &self,
        server: SocketAddr,
        query: &[u8],
        accept: impl Fn(&[u8]) -> bool + Send,
    ) -> impl Future<Output = io::Result<Vec<u8>>> + Send;

    /// Sends a question over TCP and reads one answer; both without their length.
    fn stream(&self, server: SocketAddr, query: &[u8]) -> impl Future<Output = io::Result<Vec<u8>>> + Send;

    /// What errors call [`stream`](Self::stream).
    fn stream_name(&self) -> &'static str {
        "tcp"
    }
}

/// The sockets of this machine: one for each question, so that its port is as hard to guess as its id.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sockets;

impl Transport for Sockets {
    async fn datagram(
        &self,
        server: SocketAddr,
        query: &[u8],
        accept: impl Fn(&[u8]) -> bool + Send,
    ) -> io::Result<Vec<u8>> {
        let any: IpAddr = if server.is_ipv4() {
            [0; 4].into()
        } else {
            [0; 16].into()
        };
        let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await?;
        socket.connect(server).await?;
        ask(&socket, query, accept).await
    }

    async fn stream(&self, server: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(server).await?;
        let length = u16::try_from(query.len()).unwrap_or(u16::MAX);
        let message = [&length.to_be_bytes(), query].concat();
        stream.write_all(&message).await?;
        let mut answer = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut answer).await?;
        Ok(answer)
    }
}

/// Sends a datagram over a connected socket and reads until `accept` takes one.
///
/// # Errors
/// What the system says.
pub async fn ask(
    socket: &UdpSocket,
    query: &[u8],
    accept: impl Fn(&[u8]) -> bool + Send,
) -> io::Result<Vec<u8>> {
    socket.send(query).await?;
    let mut answer = vec![0; MAX_DATAGRAM];
    loop {
        let length = socket.recv(&mut answer).await?;
        if answer.get(..length).is_some_and(&accept) {
            answer.truncate(length);
            return Ok(answer);
        }
    }
}
