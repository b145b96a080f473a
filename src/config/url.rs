//! Proxy URLs: judged and printed as Go's net/url does.

use super::decode::Decoder;
use super::tree::Tree;
use super::value::Codec;
use super::yaml::Id;

/// The URL of a proxy; printed with its password as `xxxxx`.
pub(crate) struct ProxyUrl;

impl Codec<String> for ProxyUrl {
    fn decode(place: &mut String, node: Id, d: &mut Decoder<'_, '_>) -> bool {
        d.enter(node, |d, node| {
            let Some(text) = d.text(node) else { return false };
            if let Err(reason) = check(&text) {
                let help = "a proxy URL is like http://proxy.example:3128 or socks5://user:password@proxy.example:1080";
                d.report(node, format!("parse {:?}: {reason}", masked(&text)), Some(help.to_owned()));
                return false;
            }
            *place = text.into_owned();
            true
        })
    }
    fn is_zero(place: &String) -> bool {
        place.is_empty()
    }
    fn tree(place: &String) -> Tree {
        Tree::text(masked(place))
    }
}

/// The URL with the password of its userinfo as `xxxxx`.
fn masked(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("//") else {
        return url.to_owned();
    };
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at_checked(authority_end).unwrap_or((rest, ""));
    match authority
        .rsplit_once('@')
        .and_then(|(user, host)| Some((user.split_once(':')?.0, host)))
    {
        Some((user, host)) => format!("{scheme}//{user}:xxxxx@{host}{tail}"),
        None => url.to_owned(),
    }
}

/// What net/url's `Parse` refuses.
fn check(url: &str) -> Result<(), String> {
    if url.bytes().any(|b| b < 0x20 || b == 0x7f) {
        return Err("net/url: invalid control character in URL".to_owned());
    }
    let url = url.split_once('#').map_or(url, |(head, _)| head);
    let rest = match scheme(url)? {
        Some(rest) => rest,
        None => {
            let path = url.split_once('?').map_or(url, |(path, _)| path);
            let segment = path.split('/').next().unwrap_or_default();
            if segment.contains(':') && !url.starts_with('/') {
                return Err("first path segment in URL cannot contain colon".to_owned());
            }
            url
        }
    };
    let rest = rest.split_once('?').map_or(rest, |(path, _)| path);
    let Some(authority) = rest.strip_prefix("//") else {
        return escapes(rest);
    };
    let (authority, path) = authority
        .split_at_checked(authority.find('/').unwrap_or(authority.len()))
        .unwrap_or((authority, ""));
    escapes(path)?;
    let host = match authority.rsplit_once('@') {
        Some((user, host)) => {
            let allowed = |c: char| c.is_ascii_alphanumeric() || "-._:~!$&'()*+,;=%@".contains(c);
            if !user.chars().all(allowed) {
                return Err("net/url: invalid userinfo".to_owned());
            }
            escapes(user)?;
            host
        }
        None => authority,
    };
    check_host(host)
}

/// What follows the scheme, if there is one.
fn scheme(url: &str) -> Result<Option<&str>, String> {
    for (at, c) in url.char_indices() {
        match c {
            'a'..='z' | 'A'..='Z' => {}
            '0'..='9' | '+' | '-' | '.' if at > 0 => {}
            ':' if at == 0 => return Err("missing protocol scheme".to_owned()),
            ':' => return Ok(url.get(at + 1..)),
            _ => return Ok(None),
        }
    }
    Ok(None)
}

fn check_host(host: &str) -> Result<(), String> {
    let port = if host.starts_with('[') {
        let Some((_, port)) = host.rsplit_once(']') else {
            return Err("missing ']' in host".to_owned());
        };
        port
    } else {
        host.rfind(':').and_then(|at| host.get(at..)).unwrap_or_default()
    };
    let digits = port.strip_prefix(':').unwrap_or(port);
    if !port.is_empty() && !port.starts_with(':') || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!("invalid port {port:?} after host"));
    }
    escapes(host)?;
    match host
        .chars()
        .find(|c| c.is_ascii() && " \"<>\\^`{|}/?#@".contains(*c))
    {
        Some(c) => Err(format!("invalid character {:?} in host name", c.to_string())),
        None => Ok(()),
    }
}

/// Every `%` must be followed by two hexadecimal digits.
fn escapes(text: &str) -> Result<(), String> {
    for (at, _) in text.match_indices('%') {
        let escape = text.as_bytes().get(at + 1..at + 3);
        if !escape.is_some_and(|e| e.iter().all(u8::is_ascii_hexdigit)) {
            let shown: String = text.get(at..).unwrap_or_default().chars().take(3).collect();
            return Err(format!("invalid URL escape {shown:?}"));
        }
    }
    Ok(())
}
