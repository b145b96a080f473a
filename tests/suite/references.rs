//! `--config.expand-environment-variables`: where references are replaced, and what is shown of them.

use blackbox_exporter::config::{self, Options};

/// What is wrong with a configuration in which references are replaced.
fn problems(text: &str) -> Vec<String> {
    let options = Options {
        expand: true,
        ..Options::default()
    };
    let parsed = config::parse_with(text, options);
    parsed.problems.iter().map(ToString::to_string).collect()
}

/// The fields in which references are replaced, whatever the module is called.
#[test]
fn the_field_decides_where_references_are_replaced() {
    #[rustfmt::skip]
    let replaced = [
        "http: {headers: {X-A: 'a ${UNSET} b'}}",
        "http: {headers: {Authorization: 'Bearer ${UNSET}'}}",
        "http: {body: '${UNSET}'}",
        "http: {basic_auth: {username: '${UNSET}'}}",
        "http: {basic_auth: {username: a, password: '${UNSET}'}}",
        "http: {authorization: {credentials: '${UNSET}'}}",
        "http: {bearer_token: '${UNSET}'}",
        "http: {proxy_url: 'http://${UNSET}:3128'}",
        "http: {proxy_url: 'http://p', proxy_connect_header: {X-A: ['${UNSET}']}}",
        "http: {http_headers: {X-A: {values: ['${UNSET}']}}}",
        "http: {http_headers: {X-A: {secrets: ['${UNSET}']}}}",
        "http: {tls_config: {key: '${UNSET}'}}",
        "http: {oauth2: {client_id: '${UNSET}', token_url: 'http://t'}}",
        "http: {oauth2: {client_id: a, client_secret: '${UNSET}', token_url: 'http://t'}}",
        "http: {oauth2: {client_id: a, client_certificate_key: '${UNSET}', token_url: 'http://t'}}",
        "http: {oauth2: {client_id: a, token_url: '${UNSET}'}}",
        "http: {oauth2: {client_id: a, token_url: 'http://t', endpoint_params: {a: '${UNSET}'}}}",
        "tcp: {proxy_url: 'socks5://${UNSET}'}",
        "tcp: {proxy_url: 'socks5://p', proxy_username: '${UNSET}'}",
        "tcp: {proxy_url: 'socks5://p', proxy_username: u, proxy_password: '${UNSET}'}",
        "grpc: {metadata: {a: ['${UNSET}']}}",
        "websocket: {headers: {X-A: {values: ['${UNSET}']}}}",
        "websocket: {http_config: {bearer_token: '${UNSET}'}}",
    ];
    #[rustfmt::skip]
    let kept = [
        "http: {method: '${UNSET}'}",
        "http: {headers: {'${UNSET}': a}}",
        "http: {basic_auth: {username_file: '${UNSET}', password_file: '${UNSET}'}}",
        "http: {authorization: {type: '${UNSET}', credentials_file: '${UNSET}'}}",
        "http: {http_headers: {X-A: {files: ['${UNSET}']}}}",
        "http: {oauth2: {client_id: a, token_url: 'http://t', scopes: ['${UNSET}'], claims: {'${UNSET}': '${UNSET}'}}}",
        "http: {fail_if_header_matches: [{header: Cookie, regexp: '${UNSET}'}]}",
        "http: {tls_config: {server_name: '${UNSET}'}}",
        "tcp: {query_response: [{send: 'got ${UNSET}', expect: '${UNSET}', labels: [{name: token, value: '${UNSET}'}]}]}",
        "websocket: {query_response: [{send: '${UNSET}'}]}",
        "dns: {query_name: '${UNSET}'}",
        "params: {body: {one_of: ['${UNSET}']}}",
        "params: {header.X-Token: {one_of: ['${UNSET}'], secret: true}}",
    ];
    for name in [
        "m",
        "token_greet",
        "body",
        "headers",
        "metadata",
        "claims",
        "keys",
        "key",
        "oauth",
        "cookie_check",
        "password-check",
    ] {
        let module = |section: &str| format!("modules: {{{name}: {{prober: http, {section}}}}}\n");
        for section in replaced {
            let text = module(section);
            let found = problems(&text);
            assert!(
                found
                    .iter()
                    .any(|one| one.contains("the environment has no variable UNSET")),
                "{text}{found:?}"
            );
        }
        for section in kept {
            let text = module(section);
            assert_eq!(problems(&text), Vec::<String>::new(), "{text}");
        }
    }
}
