//! What the patient is: the target as people write it, taken apart.

use std::net::IpAddr;

use crate::config::codec::meant::did_you_mean;

/// What is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Something on the network.
    Remote(Remote),
    /// The path of a unix socket.
    Socket(String),
}

/// A host, and what is known of the service on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// A name, or an address without brackets.
    pub host: String,
    /// Named in the target, or the scheme's own.
    pub port: Option<u16>,
    /// What the target says that it speaks.
    pub scheme: Option<Scheme>,
    /// Path and query of a URL, `/` without.
    pub path: String,
}

/// What a URL says of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Scheme {
    Http,
    Https,
    Ws,
    Wss,
    Grpc,
    Tcp,
    Tls,
}

const SCHEMES: [(&str, Scheme, Option<u16>); 8] = [
    ("http", Scheme::Http, Some(80)),
    ("https", Scheme::Https, Some(443)),
    ("ws", Scheme::Ws, Some(80)),
    ("wss", Scheme::Wss, Some(443)),
    ("grpc", Scheme::Grpc, None),
    ("tcp", Scheme::Tcp, None),
    ("tls", Scheme::Tls, None),
    ("ssl", Scheme::Tls, None),
];

impl Scheme {
    /// Whether HTTP is spoken, at least at first.
    pub fn is_web(self) -> bool {
        matches!(self, Self::Http | Self::Https) || self.is_socket()
    }

    /// Whether it is WebSocket.
    pub fn is_socket(self) -> bool {
        matches!(self, Self::Ws | Self::Wss)
    }

    /// Whether TLS is spoken from the start.
    pub fn is_encrypted(self) -> bool {
        matches!(self, Self::Https | Self::Wss | Self::Tls)
    }
}

impl Remote {
    /// The address, when the host is one.
    pub fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// `host:port`, with brackets where they are needed.
    pub fn at(&self, port: u16) -> String {
        match self.address() {
            Some(IpAddr::V6(_)) => format!("[{}]:{port}", self.host),
            _ => format!("{}:{port}", self.host),
        }
    }

    /// A URL of the service; the port is left out where it is the scheme's own.
    pub fn url(&self, scheme: &str, port: u16) -> String {
        let own = SCHEMES
            .iter()
            .find(|(name, ..)| *name == scheme)
            .and_then(|(.., port)| *port);
        let mut authority = self.at(port);
        if own == Some(port) {
            authority.truncate(authority.len() - format!(":{port}").len());
        }
        format!("{scheme}://{authority}{}", self.path)
    }
}

/// Takes a target apart.
///
/// # Errors
/// What is wrong with it, and what was probably meant.
pub fn parse(target: &str) -> Result<Subject, String> {
    if target.starts_with('/') || target.starts_with("unix:") {
        let path = target.trim_start_matches("unix:");
        return Ok(Subject::Socket(path.trim_start_matches("//").to_owned()));
    }
    let (scheme, rest) = match target.split_once("://") {
        Some((name, rest)) => (Some(scheme(name)?), rest),
        None => (None, target),
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    // Credentials in a URL are not for the screen, nor for the file that is written.
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (host, port) = host_and_port(authority)?;
    if host.is_empty() || host.contains(char::is_whitespace) {
        return Err(format!(
            "{target:?} has no host; write a URL, host:port, a host, or the path of a unix socket"
        ));
    }
    let path = path.split('#').next().unwrap_or_default();
    Ok(Subject::Remote(Remote {
        host,
        port: port.or(scheme.and_then(|(_, port)| port)),
        scheme: scheme.map(|(scheme, _)| scheme),
        path: if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("/{path}")
        },
    }))
}

fn scheme(name: &str) -> Result<(Scheme, Option<u16>), String> {
    let name = name.to_ascii_lowercase();
    let known = SCHEMES.iter().find(|(known, ..)| *known == name);
    known.map(|(_, scheme, port)| (*scheme, *port)).ok_or_else(|| {
        let names = SCHEMES.iter().map(|(known, ..)| *known);
        match did_you_mean(&name, names.clone()) {
            Some(meant) => format!("{name}:// is not known; did you mean {meant}://?"),
            None => format!(
                "{name}:// is not known; known are {}",
                names.collect::<Vec<_>>().join(", ")
            ),
        }
    })
}

fn host_and_port(authority: &str) -> Result<(String, Option<u16>), String> {
    let port = |text: &str| match text.parse() {
        Ok(0) | Err(_) => Err(format!("{text:?} is not a port: 1 to 65535")),
        Ok(port) => Ok(Some(port)),
    };
    if let Some(bracketed) = authority.strip_prefix('[') {
        let Some((host, rest)) = bracketed.split_once(']') else {
            return Err(format!("missing ']' in {authority:?}"));
        };
        return Ok((host.to_owned(), rest.strip_prefix(':').map_or(Ok(None), port)?));
    }
    if authority.parse::<IpAddr>().is_ok() {
        return Ok((authority.to_owned(), None));
    }
    match authority.rsplit_once(':') {
        Some((host, number)) => Ok((host.to_owned(), port(number)?)),
        None => Ok((authority.to_owned(), None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(target: &str) -> Remote {
        match parse(target).unwrap() {
            Subject::Remote(remote) => remote,
            Subject::Socket(path) => panic!("the path {path}"),
        }
    }

    #[test]
    fn targets_are_taken_apart() {
        let url = remote("https://user:secret@example.com/a?b=c#d");
        assert_eq!(
            (url.host.as_str(), url.port, url.path.as_str()),
            ("example.com", Some(443), "/a?b=c")
        );
        assert_eq!(url.url("https", 443), "https://example.com/a?b=c");
        assert_eq!(url.url("http", 8080), "http://example.com:8080/a?b=c");
        assert_eq!(remote("[::1]:80").at(80), "[::1]:80");
        assert_eq!(remote("::1").port, None);
        assert_eq!(remote("::1").url("http", 80), "http://[::1]/");
        assert_eq!(remote("db:5432").port, Some(5432));
        assert_eq!(
            parse("unix:///run/a.sock"),
            Ok(Subject::Socket("/run/a.sock".into()))
        );
    }

    #[test]
    fn mistakes_are_named() {
        assert!(
            parse("htps://example.com")
                .unwrap_err()
                .contains("did you mean https://?")
        );
        assert!(parse("example.com:http").unwrap_err().contains("not a port"));
        assert!(parse("https://").unwrap_err().contains("no host"));
        assert_eq!(parse("http://[::1").unwrap_err(), "missing ']' in \"[::1\"");
    }
}
