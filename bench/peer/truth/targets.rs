//! Targets that answer after a time that is part of their name: a thread per request, as threads wake more exactly than tasks.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::{Taken, told};

/// Listens, and answers `GET /DELAY/NUMBER`.
pub fn http(taken: Taken) -> SocketAddr {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener
        .bind(&SockAddr::from(SocketAddr::from(([127, 0, 0, 1], 0))))
        .unwrap();
    listener.listen(4096).unwrap();
    let listener = TcpListener::from(listener);
    let address = listener.local_addr().unwrap();
    let runtime = tokio::runtime::Handle::current();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, taken) = (stream.unwrap(), Arc::clone(&taken));
            runtime.spawn_blocking(move || answer(stream, &taken));
        }
    });
    address
}

fn answer(mut stream: TcpStream, taken: &Taken) {
    let mut request = [0; 4096];
    // A probe's request comes in one piece.
    while let Ok(length @ 1..) = stream.read(&mut request) {
        let asked = Instant::now();
        let request = std::str::from_utf8(&request[..length]).unwrap();
        let mut words = request.split(['/', ' ']).skip(2);
        let mut word = || words.next().unwrap().parse::<u64>().unwrap();
        let (delay, number) = (word(), word());
        wait(asked, delay);
        taken[number as usize].store(asked.elapsed().as_nanos() as u64, Ordering::Release);
        if stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            .is_err()
        {
            return;
        }
    }
}

fn wait(since: Instant, milliseconds: u64) {
    std::thread::sleep(Duration::from_millis(milliseconds).saturating_sub(since.elapsed()));
}

/// Answers pings to 127.DELAY.x.y, in a network namespace whose kernel does not.
pub fn icmp(taken: Taken) {
    let socket = Arc::new(Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4)).unwrap());
    socket.set_header_included_v4(true).unwrap();
    socket.set_recv_buffer_size(4 << 20).unwrap();
    let runtime = tokio::runtime::Handle::current();
    std::thread::spawn(move || {
        let mut packet = [0; 2048];
        while let Ok(length) = (&*socket).read(&mut packet) {
            let asked = Instant::now();
            // The header of IP has no options here; 8 is an echo request.
            if length < 28 || packet[20] != 8 {
                continue;
            }
            let (reply, to, delay, number) = reply(&packet[..length]);
            let (socket, taken) = (Arc::clone(&socket), Arc::clone(&taken));
            runtime.spawn_blocking(move || {
                wait(asked, delay);
                taken[number].store(asked.elapsed().as_nanos() as u64, Ordering::Release);
                socket
                    .send_to(&reply, &SockAddr::from(SocketAddr::from((to, 0))))
                    .unwrap();
            });
        }
    });
}

/// The packet that answers `request`, where it goes, and what the address that was pinged tells.
fn reply(request: &[u8]) -> (Vec<u8>, Ipv4Addr, u64, usize) {
    let address = |at: usize| Ipv4Addr::new(request[at], request[at + 1], request[at + 2], request[at + 3]);
    let (from, to) = (address(12), address(16));
    let mut reply = request.to_vec();
    reply[12..16].copy_from_slice(&to.octets());
    reply[16..20].copy_from_slice(&from.octets());
    // An echo reply; the kernel fills in the checksum of IP, not that of ICMP.
    reply[20] = 0;
    reply[22..24].fill(0);
    let mut sum: u32 = reply[20..]
        .chunks(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)])))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    reply[22..24].copy_from_slice(&(!(sum as u16)).to_be_bytes());
    let (delay, number) = told(to);
    (reply, from, delay, number)
}
