//! nginx: HTTP/1.1, TLS and HTTP/2 of a real server.

use blackbox_exporter::metrics::Metric;

use tokio::process::Command;

use crate::support::programs::{find, free_port, start};
use crate::support::tls_peer::SelfSigned;
use crate::support::{exposition, has, log, probe};

#[tokio::test]
async fn nginx() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().display().to_string();
    SelfSigned::local().write(folder.path());
    let (plain, tls) = (free_port(), free_port());
    let config = format!(
        "daemon off; master_process off; pid {directory}/pid; error_log {directory}/error.log;\n\
         events {{ worker_connections 64; }}\n\
         http {{\n\
           access_log off; client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;\n\
           fastcgi_temp_path {directory}/fastcgi; uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;\n\
           gzip on; gzip_min_length 1; gzip_types text/plain;\n\
           server {{\n\
             listen 127.0.0.1:{plain}; listen 127.0.0.1:{tls} ssl http2;\n\
             ssl_certificate {directory}/cert.pem; ssl_certificate_key {directory}/key.pem;\n\
             location / {{ default_type text/plain; return 200 'hello from nginx'; }}\n\
             location /to-tls {{ return 301 https://localhost:{tls}/; }}\n\
             location /large {{ root {directory}; }}\n\
           }}\n\
         }}\n"
    );
    let path = folder.path().join("nginx.conf");
    std::fs::write(&path, config).unwrap();
    std::fs::write(folder.path().join("large"), vec![b'x'; 3_000_000]).unwrap();
    let arguments = ["-p", &directory, "-c", path.to_str().unwrap()];
    let Some(program) = find("nginx") else { return };
    let _nginx = start(Command::new(program).args(arguments), plain).await;
    let module = |more: &str| {
        format!(
            "prober: http\nhttp:\n  preferred_ip_protocol: ip4\n  tls_config: {{ca_file: '{directory}/cert.pem'}}\n  {}",
            more.replace('\n', "\n  ")
        )
    };
    let http = format!("http://localhost:{plain}");
    let https = format!("https://localhost:{tls}");
    #[rustfmt::skip]
    let rows = [
        ("fail_if_body_not_matches_regexp: ['hello from nginx']".to_owned(), format!("{http}/"), 1.1, 16.0),
        ("compression: gzip\nheaders: {Accept-Encoding: gzip}".to_owned(), format!("{http}/"), 1.1, 16.0),
        ("valid_http_versions: [HTTP/2.0]".to_owned(), format!("{https}/"), 2.0, 16.0),
        ("enable_http2: false".to_owned(), format!("{https}/"), 1.1, 16.0),
        ("fail_if_not_ssl: true".to_owned(), format!("{http}/to-tls"), 2.0, 16.0),
        (String::new(), format!("{http}/large"), 1.1, 3e6),
        (String::new(), format!("{https}/large"), 2.0, 3e6),
        (format!("method: POST\nbody: '{}'", "x".repeat(300_000)), format!("{https}/"), 2.0, 16.0),
    ];
    for (more, target, version, length) in rows {
        let outcome = probe(&module(&more), &target).await;
        let what = more.get(..40).unwrap_or(&more);
        assert!(outcome.success, "{what} {target}: {:?}", log(&outcome));
        assert_eq!(
            outcome.samples.value(Metric::HttpVersion),
            Some(version),
            "{what} {target}"
        );
        let read = outcome.samples.value(Metric::HttpUncompressedBodyLength);
        assert_eq!(read, Some(length), "{what} {target}");
        let over_tls = target.starts_with("https") || target.ends_with("to-tls");
        assert_eq!(exposition(&outcome).contains("probe_tls_cipher_info"), over_tls);
    }
    // Untrusted: no verdict but the certificate's families are there, an expiry alert lives on.
    let outcome = probe("prober: http\nhttp: {preferred_ip_protocol: ip4}", &https).await;
    assert!(!outcome.success);
    has(exposition(&outcome), ["probe_ssl_earliest_cert_expiry"]);
}
