//! One GET, as simple as HTTP/1.0 allows.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

/// Status and body of `http://{authority}{path}`.
pub fn get(authority: &str, path: &str) -> Result<(u16, String), String> {
    get_as(authority, authority, path)
}

/// The same, with another `Host`.
pub fn get_as(authority: &str, host: &str, path: &str) -> Result<(u16, String), String> {
    request(authority, path, &format!("Host: {host}"))
}

/// The same, as a browser.
pub fn page(authority: &str, path: &str) -> Result<(u16, String), String> {
    request(
        authority,
        path,
        &format!("Host: {authority}\r\nAccept: text/html"),
    )
}

fn request(authority: &str, path: &str, headers: &str) -> Result<(u16, String), String> {
    let mut stream = TcpStream::connect(authority).map_err(|err| format!("{authority}: {err}"))?;
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .map_err(|err| err.to_string())?;
    write!(stream, "GET {path} HTTP/1.0\r\n{headers}\r\n\r\n").map_err(|err| err.to_string())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).map_err(|err| err.to_string())?;
    let answer = String::from_utf8(answer).map_err(|err| err.to_string())?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("no end of the header")?;
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .ok_or("no status")?;
    Ok((status, body.to_owned()))
}
