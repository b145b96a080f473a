//! `--web.external-url`, or what stands for it.

use crate::net::split_host_port;
use crate::net::url::Url;

/// The URL under which the exporter is reached, without a slash at its end.
///
/// # Errors
/// Quotes around it, no URL at all, or no port to derive it from.
pub fn compute(given: &str, listen_address: &str) -> Result<Url, String> {
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
