//! `--web.external-url`, or what stands for it: where the endpoints are, and by which names the exporter is known.

use super::Stopped;
use crate::carried;
use crate::cli::Flags;
use crate::logging::Logger;
use crate::net::split_host_port;
use crate::net::url::Url;
use crate::say;
use crate::server::front::Prefix;
use crate::server::origin::HostNames;

/// Where the endpoints are, and by which names the exporter is known.
///
/// # Errors
/// They are not known; the log says why.
pub fn prefix(flags: &Flags, logger: &Logger) -> Result<(Prefix, HostNames), Stopped> {
    if flags.external_url.is_empty() && flags.systemd_socket {
        say!(
            logger,
            Error,
            "Cannot automatically infer external URL with systemd socket listener. Please provide --web.external-url"
        );
        return Err(Stopped);
    }
    if flags.external_url.is_empty() && flags.listen_addresses.len() > 1 {
        say!(
            logger,
            Info,
            "Inferring external URL from first provided listen address"
        );
    }
    let first = flags.listen_addresses.first().map_or("", String::as_str);
    let url = compute(&flags.external_url, first).map_err(|error| {
        say!(logger, Error, "failed to determine external URL", "err" => error);
        Stopped
    })?;
    let shown = url.to_string();
    say!(logger, Debug, &shown);
    let path = if flags.route_prefix.is_empty() {
        String::from_utf8_lossy(&url.decoded_path()).into_owned()
    } else {
        flags.route_prefix.clone()
    };
    // Those who are redirected get the credentials, the log does not.
    let external = carried::text(&url.to_bytes()).into_owned();
    let prefix = Prefix::new(&path, &external);
    say!(logger, Debug, prefix.path());
    let names = HostNames::new(&flags.allowed_hosts, &shown).map_err(|error| {
        say!(logger, Error, "invalid --web.allowed-hosts", "err" => error);
        Stopped
    })?;
    Ok((prefix, names))
}

/// The URL under which the exporter is reached, without a slash at its end.
///
/// # Errors
/// Quotes around it, no URL at all, or no port to derive it from.
fn compute(given: &str, listen_address: &str) -> Result<Url, String> {
    let text = if given.is_empty() {
        let (_, port) = split_host_port(listen_address).map_err(|error| error.to_string())?;
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        format!("http://{host}:{port}/")
    } else {
        given.to_owned()
    };
    if text.starts_with(['"', '\'']) || text.ends_with(['"', '\'']) {
        return Err("URL must not begin or end with quotes".to_owned());
    }
    let mut url = Url::parse(&text).map_err(|error| format!("parse {text:?}: {error}"))?;
    let path = url.path.trim_end_matches('/');
    url.path = if path.is_empty() || path.starts_with('/') {
        path.to_owned()
    } else {
        format!("/{path}")
    };
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derives_and_trims() {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        for (given, listen, url) in [
            ("", ":9115", format!("http://{host}:9115")),
            ("", "127.0.0.1:", format!("http://{host}:")),
            (
                "http://outside.test:8080/pre/",
                "",
                "http://outside.test:8080/pre".to_owned(),
            ),
            ("https://outside.test", "", "https://outside.test".to_owned()),
            ("/pre", "", "/pre".to_owned()),
            ("pre/", "", "/pre".to_owned()),
        ] {
            assert_eq!(compute(given, listen).unwrap().to_string(), url);
        }
        for (given, listen) in [
            ("", "nonsense"),
            ("", "127.0.0.1:none-such"),
            ("'http://outside.test/'", ""),
            ("http://outside.test/\"", ""),
            ("http://[bad", ""),
            ("http://a b.test/%zz", ""),
        ] {
            assert!(compute(given, listen).is_err(), "{given} {listen}");
        }
    }
}
