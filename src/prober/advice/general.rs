//! What a reason calls for where nothing more is known of the case: the short form of its section in `docs/failures.md`.

use crate::reason::Reason;

pub(super) fn line(reason: Reason) -> &'static str {
    match reason {
        Reason::ResolveNotFound => {
            "The name does not exist: check its spelling, and that this host's name servers serve its zone."
        }
        Reason::ResolveNoAddress => {
            "The name has no address of the family that the module accepts: set preferred_ip_protocol to the other."
        }
        Reason::ResolveTimeout => {
            "No name server responded in time: check /etc/resolv.conf, and that nothing drops port 53."
        }
        Reason::ResolveError => {
            "The name server responded with an error, or could not be queried: check /etc/resolv.conf."
        }
        Reason::PolicyRefused => {
            "The exporter's own policy forbids this; nothing was sent. Change policy: in the configuration if it is meant to be allowed."
        }
        Reason::ConnectRefused => {
            "Nothing listens there: check that the service runs, and its port and address."
        }
        Reason::ConnectTimeout => {
            "No response: a firewall drops the packets, the address is not in use, or the service hangs and its accept queue is full."
        }
        Reason::ConnectUnreachable => {
            "There is no way to the address, or this host forbids it: `ip route get ADDRESS`."
        }
        Reason::ConnectReset => {
            "The peer reset the connection: it crashed, or expects TLS, or does not serve this host's address."
        }
        Reason::ProxyError => "The proxy cannot be reached, or refuses: check proxy_url and its credentials.",
        Reason::TlsHandshake => {
            "The TLS handshake failed: `openssl s_client -connect HOST:PORT` shows how far it gets."
        }
        Reason::TlsCertExpired => "The certificate has expired: renew it, and reload the server.",
        Reason::TlsCertNotYetValid => {
            "The certificate is not valid yet: compare the clock of this host, `date -u`."
        }
        Reason::TlsCertUntrusted => {
            "No trusted CA signed the certificate: send the full chain, or name a private CA in ca_file."
        }
        Reason::TlsCertName => {
            "The certificate is for other names: have the server present one for this name, or set server_name in tls_config."
        }
        Reason::TlsCertRevoked => "The CA revoked the certificate: request a new one.",
        Reason::TlsVersion => {
            "Client and server have no TLS version in common: this exporter speaks TLS 1.2 and TLS 1.3, as far as tls_config allows."
        }
        Reason::RequestTimeout => {
            "The response did not come in time: the service is slow or hangs, or the timeout is too short."
        }
        Reason::HttpStatus => {
            "The module does not accept this status: list it in valid_status_codes if it is right."
        }
        Reason::HttpVersion => {
            "The module does not accept this version of HTTP: the names are HTTP/1.0, HTTP/1.1, HTTP/2.0 and HTTP/3.0."
        }
        Reason::HttpRedirects => {
            "The redirects do not end, or lead nowhere: `curl -sSIL --max-redirs 10 URL`."
        }
        Reason::SslPresent => "The last response came over TLS, and fail_if_ssl is set.",
        Reason::SslAbsent => "The last response came without TLS, and fail_if_not_ssl is set.",
        Reason::BodyRegexp => "The body does not pass a regular expression: compare with `curl -sS URL`.",
        Reason::BodyJson => "The body does not pass a CEL expression: compare with `curl -sS URL`.",
        Reason::BodyTooLarge => {
            "The body or message is longer than this exporter reads: probe a smaller page."
        }
        Reason::BodyDecoding => {
            "The body cannot be decompressed: compare compression with the response's Content-Encoding."
        }
        Reason::HeaderRegexp => {
            "A header does not pass a regular expression, or is missing: compare with `curl -sSI URL`."
        }
        Reason::ProtocolError => {
            "The peer does not keep to the protocol: another service may listen there, or a proxy changes the response."
        }
        Reason::DnsRcode => {
            "The module does not accept this response code: compare with `dig @SERVER -p PORT NAME TYPE`."
        }
        Reason::DnsRecords => {
            "The records do not pass the module's validators: compare with `dig @SERVER -p PORT NAME TYPE`."
        }
        Reason::ExpectMismatch => "The peer sent something else than the step expects: the log shows what.",
        Reason::ExpectTimeout => {
            "What the step expects did not arrive in time: it may wait for the client to speak first."
        }
        Reason::PeerClosed => {
            "The peer closed the connection: it has too many, does not serve this host's address, or expects TLS."
        }
        Reason::IcmpNoReply => "No reply to the ping: the host is down, or a firewall drops pings.",
        Reason::IcmpUnreachable => "A router finds no way to the host: it is down, or there is no route.",
        Reason::IcmpTimeExceeded => {
            "The packet's TTL was used up on the way: a routing loop, or ttl of the module is too small."
        }
        Reason::IcmpTooBig => {
            "The packet is too big for the path: lower payload_size, or unset dont_fragment."
        }
        Reason::GrpcStatus => "The call ended with an error of the server: the log shows its status.",
        Reason::GrpcNotServing => "The service reports that it cannot serve: its log says why.",
        Reason::WebsocketRefused => {
            "The server does not switch to WebSocket: check the path and the credentials."
        }
        Reason::AuthToken => "The token endpoint gave no token; nothing was sent to the target.",
        Reason::FileError => {
            "A file or socket that the module or the target names cannot be used: check its path and the rights of the exporter's user."
        }
        Reason::OutOfResources => {
            "This host has run out of files, ports or memory; the target was not judged."
        }
        Reason::TooManyProbes => {
            "As many probes were running as --probe.max-in-flight allows; the target was not judged."
        }
        Reason::ConfigError => {
            "The module or the target cannot work like this; the log says what is wrong. `blackbox_exporter check-config`"
        }
        Reason::Other => "None of the known reasons: the log says what happened. Please report it.",
    }
}
