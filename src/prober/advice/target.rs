//! Targets that are not of the form that their prober takes.

use std::net::Ipv6Addr;

use super::name;
use crate::module::{DnsTransport, Kind};
use crate::net::url::UrlError;
use crate::net::{Address, split_host_port};

/// Schemes of URLs that some prober knows what to do with, and the module for it.
const SCHEMES: [(&str, &str); 10] = [
    ("http", "a module with prober: http"),
    ("https", "a module with prober: http"),
    ("ws", "a module with prober: websocket"),
    ("wss", "a module with prober: websocket"),
    ("tcp", "a module with prober: tcp and the target HOST:PORT"),
    (
        "udp",
        "a module with prober: dns for name servers; other UDP services cannot be probed",
    ),
    ("ssh", "the module ssh_banner and the target HOST:22"),
    ("grpc", "a module with prober: grpc and the target HOST:PORT"),
    ("unix", "a module with prober: unix and the target /PATH"),
    ("icmp", "a module with prober: icmp and the target HOST"),
];

/// What is wrong with a target itself.
pub(super) fn mistake(kind: &Kind, target: &str) -> Option<String> {
    let scheme = target.split_once("://").filter(|(scheme, _)| is_scheme(scheme));
    match kind {
        // The name of another server's zone is not looked up.
        Kind::Dns(module) if module.server.is_some() => {}
        _ if target.is_empty() => return Some("The target is empty.".to_owned()),
        _ if target.starts_with(char::is_whitespace) => {
            return Some("The target begins with a blank: remove it.".to_owned());
        }
        _ => {}
    }
    match kind {
        Kind::Http(_) => http(target, scheme),
        Kind::Websocket(_) => websocket(target, scheme),
        Kind::Tcp(_) => host_and_port(target, scheme, "tcp"),
        Kind::Grpc(_) => match scheme {
            Some(("http" | "https", _)) | None => None,
            Some((scheme, rest)) => Some(format!(
                "The target of the prober grpc is HOST:PORT without a scheme: write {} instead of {}://…, and tls: true in the module for TLS.",
                authority(rest),
                name(scheme)
            )),
        },
        Kind::Icmp(_) => host(target, scheme),
        // The name of another server's zone, or the URL of DNS over HTTPS.
        Kind::Dns(module)
            if module.server.is_some()
                || matches!((module.transport(), scheme), (Some(DnsTransport::Https), Some((scheme, _))) if scheme.eq_ignore_ascii_case("https")) =>
        {
            None
        }
        Kind::Dns(_) => match (scheme, without_brackets(target)) {
            (Some((scheme, rest)), _) => Some(format!(
                "The target of the prober dns is the name server, HOST or HOST:PORT: write {} instead of {}://….",
                authority(rest),
                name(scheme)
            )),
            (None, Some(address)) => Some(format!(
                "Without a port, the address of a name server has no brackets: write {address}."
            )),
            (None, None) => None,
        },
        Kind::Unix(_) => match scheme {
            Some(("unix", path)) => Some(format!(
                "The target of the prober unix is a path: write {} instead of unix://….",
                name(path)
            )),
            _ if !target.starts_with(['/', '@']) => Some(
                "The target of the prober unix is the absolute path of a socket, or @ and an abstract name; a relative path depends on the directory that the exporter was started in."
                    .to_owned(),
            ),
            _ => None,
        },
    }
}

/// A target that cannot be read as a URL.
pub(in crate::prober) fn no_url(error: &UrlError) -> String {
    let help = match error {
        UrlError::Port(_) => "; ports are numbers from 0 to 65535",
        UrlError::Escape(_) => "; a percent sign itself is written %25",
        _ => "",
    };
    format!("The target is not a URL: {}{help}.", name(&error.to_string()))
}

/// The scheme that follows another one, and what stands behind it.
fn doubled(rest: &str) -> Option<(&str, &str)> {
    let is_web = |scheme: &str| {
        let known = ["http", "https", "ws", "wss"];
        known.iter().any(|known| scheme.eq_ignore_ascii_case(known))
    };
    rest.split_once("://").filter(|(scheme, _)| is_web(scheme))
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.len() <= 20
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
}

/// Host and port of what stands behind a scheme.
fn authority(rest: &str) -> String {
    // gRPC's own names have an empty host in front: `dns:///HOST:PORT`.
    let rest = rest.trim_start_matches('/');
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let authority = rest.get(..end).unwrap_or(rest);
    // Without user and password.
    name(authority.rsplit('@').next().unwrap_or(authority))
}

/// The scheme of a target of the prober http that is none of its own, and the one that was probably meant.
pub(in crate::prober) fn foreign_scheme(target: &str) -> Option<(&str, &'static str)> {
    let (scheme, _) = target.split_once("://").filter(|(scheme, _)| is_scheme(scheme))?;
    let lower = scheme.to_ascii_lowercase();
    let meant = if lower.contains('s') { "https" } else { "http" };
    (lower != "http" && lower != "https").then_some((scheme, meant))
}

fn http(target: &str, scheme: Option<(&str, &str)>) -> Option<String> {
    if let (Some((scheme, meant)), Some((_, rest))) = (foreign_scheme(target), scheme) {
        let known = SCHEMES
            .iter()
            .find(|(known, _)| scheme.eq_ignore_ascii_case(known));
        return Some(match known {
            Some((_, module)) => format!(
                "The prober http knows the schemes http and https, not {0}, and took {0} for the host. Use {module}.",
                name(scheme)
            ),
            None => format!(
                "The scheme {0} is unknown, and {0} was taken as the host. Probably {1}://{2} is meant.",
                name(scheme),
                meant,
                authority(rest)
            ),
        });
    }
    if let Some((meant, rest)) = scheme.and_then(|(_, rest)| doubled(rest)) {
        return Some(format!(
            "The target has two schemes, and the second was taken as the host. Probably {meant}://{} is meant.",
            authority(rest)
        ));
    }
    if let Some((first, rest)) = target.split_once("://")
        && scheme.is_none()
        && !first.contains(['/', '?', '#', '@'])
    {
        return Some(format!(
            "{:?} is not a scheme, and was taken as the host. Probably http://{} is meant.",
            name(first),
            authority(rest)
        ));
    }
    // A scheme whose colon or slash was forgotten.
    let lower = target.get(..8).unwrap_or(target).to_ascii_lowercase();
    let forgotten = ["https//", "http//", "https:/", "http:/", "http;//", "https;/"];
    if scheme.is_none() && forgotten.iter().any(|start| lower.starts_with(start)) {
        let rest = target.trim_start_matches(|c: char| c.is_ascii_alphabetic());
        let rest = rest.trim_start_matches([':', ';', '/']);
        let scheme = if lower.starts_with("https") {
            "https"
        } else {
            "http"
        };
        return Some(format!(
            "The target begins like a URL but is not one: {scheme} was taken as the host. Probably {scheme}://{} is meant.",
            authority(rest)
        ));
    }
    None
}

fn websocket(target: &str, scheme: Option<(&str, &str)>) -> Option<String> {
    let (wanted, rest) = match scheme {
        Some((wanted @ ("ws" | "wss"), rest)) => (wanted, doubled(rest)?.1),
        Some(("https", rest)) => ("wss", rest),
        Some((_, rest)) => ("ws", rest),
        None => ("ws", target),
    };
    Some(format!(
        "The target of the prober websocket is a URL with the scheme ws or wss: write {wanted}://{}.",
        name(rest)
    ))
}

fn default_port(scheme: &str) -> &'static str {
    match scheme {
        "http" | "ws" => "80",
        "https" | "wss" => "443",
        "ssh" => "22",
        "ftp" => "21",
        "smtp" => "25",
        "ldap" => "389",
        "redis" => "6379",
        "postgres" | "postgresql" => "5432",
        "mysql" => "3306",
        "amqp" => "5672",
        "mqtt" => "1883",
        _ => "PORT",
    }
}

/// The IPv6 address in brackets that the text is.
fn without_brackets(text: &str) -> Option<Ipv6Addr> {
    text.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

fn host_and_port(target: &str, scheme: Option<(&str, &str)>, prober: &str) -> Option<String> {
    if let Some((scheme, rest)) = scheme {
        let authority = authority(rest);
        let has_port = authority.rfind(':') > authority.rfind(']');
        let target = if has_port {
            authority
        } else {
            format!("{authority}:{}", default_port(scheme))
        };
        let module = match scheme {
            "http" | "https" => ", or use a module with prober: http for this target",
            _ => "",
        };
        return Some(format!(
            "The target of the prober {prober} is HOST:PORT, not a URL: write {target}{module}."
        ));
    }
    if let Ok((host, port)) = split_host_port(target) {
        let missing = match (host, port) {
            ("", _) => "host",
            (_, "") => "port",
            _ => return None,
        };
        return Some(format!(
            "The target of the prober {prober} is HOST:PORT, and the {missing} is missing."
        ));
    }
    if without_brackets(target).is_some() {
        return Some(format!(
            "The target of the prober {prober} is HOST:PORT, and the port is missing: write {target}:PORT."
        ));
    }
    let is_address = |text: &str| text.parse::<Ipv6Addr>().is_ok();
    if let Some((ip, port)) = target.rsplit_once(':')
        && is_address(ip)
        && port.parse::<u16>().is_ok()
    {
        let other = match is_address(target) {
            true => format!(", or [{target}]:PORT if that is the address"),
            false => String::new(),
        };
        return Some(format!(
            "The target of the prober {prober} is HOST:PORT, with an IPv6 address in brackets: write [{ip}]:{port}{other}."
        ));
    }
    if is_address(target) {
        return Some(format!(
            "The target of the prober {prober} is HOST:PORT, with an IPv6 address in brackets: write [{target}]:PORT."
        ));
    }
    (!target.contains(':')).then(|| {
        format!(
            "The target of the prober {prober} is HOST:PORT, and the port is missing: write {}:PORT.",
            name(target)
        )
    })
}

fn host(target: &str, scheme: Option<(&str, &str)>) -> Option<String> {
    if let Some((_, rest)) = scheme {
        let authority = authority(rest);
        let host = split_host_port(&authority).map_or(authority.as_str(), |(host, _)| host);
        return Some(format!(
            "The target of the prober icmp is a host, not a URL: write {host}, or use a module with prober: http for this target."
        ));
    }
    if Address::parse(target).is_some() {
        return None;
    }
    if let Some(address) = without_brackets(target) {
        return Some(format!(
            "The target is a host without a port: write the address without brackets, {address}."
        ));
    }
    let (host, port) = split_host_port(target).ok()?;
    Some(format!(
        "A ping has no port: write {} as the target, or use a module with prober: tcp to probe port {}.",
        name(host),
        name(port)
    ))
}
