//! A module that somebody tries out and nobody saves: a configuration of one module, read and compiled as files are, but for what only
//! the operator of the exporter may write. See `server/endpoints/playground.rs`.

use std::sync::Arc;

use super::{Module, Problems, load};
use crate::carried;
use crate::config::{self, Author, Options, Policy, Problem};

/// Most bytes of a draft.
pub const MOST_BYTES: usize = 32 << 10;

/// The name of its module for metrics and the log: users of the playground must not make up names there.
pub const NAME: &str = "playground";

/// What a text came to.
#[derive(Debug)]
pub struct Draft {
    /// The module, if nothing is wrong with the text.
    pub module: Option<Arc<Module>>,
    /// Everything that is wrong.
    pub problems: Vec<Problem>,
    /// What loads but is probably not meant.
    pub warnings: Vec<Problem>,
}

/// Reads and compiles a text, what is not UTF-8 [carried](crate::carried), in some milliseconds at most; `expands` says whether the
/// configuration of this exporter may have references. What is not allowed here is a problem like any other.
pub fn read(text: &str, expands: bool) -> Draft {
    let mut draft = Draft {
        module: None,
        problems: Vec::new(),
        warnings: Vec::new(),
    };
    if text.len() > MOST_BYTES {
        let message = format!("the text has more than {} KiB", MOST_BYTES >> 10);
        draft.problems.push(Problem::new(None, message));
        return draft;
    }
    let text = match config::decode_text(carried::bytes(text).into_owned()) {
        Ok(text) => text,
        Err(problem) => {
            draft.problems.push(*problem);
            return draft;
        }
    };
    let options = Options {
        expand: expands,
        author: Author::Untrusted,
    };
    let mut parsed = config::parse_with(&text, options);
    let modules = load::compile(&mut parsed, &text, &mut Problems::of(Author::Untrusted));
    let mut named = parsed.config.modules.iter();
    let (first, others) = (named.next(), named.len());
    if let Some((name, raw)) = first {
        let secret = raw.as_ref().and_then(|raw| raw.secret());
        let locate = |path: &str| parsed.source.locate(name, path);
        // The reader turns the one into the other.
        let is_token = |path: &str| {
            path == "http.authorization.credentials" && locate("http.authorization") == locate("http")
        };
        let secret = secret.map(|path| match is_token(&path) {
            true => "http.bearer_token".to_owned(),
            false => path,
        });
        parsed.problems.extend(secret.map(|path| {
            Problem {
                module: Some(name.clone()),
                path: path.clone(),
                ..Problem::new(locate(&path), "secrets are neither shown nor sent here")
                    .with_help("take it out, or probe with the module of the configuration")
            }
        }));
    }
    if parsed.problems.is_empty() && (others > 0 || modules.is_empty()) {
        let problem = Problem::new(None, "write exactly one module");
        parsed
            .problems
            .push(problem.with_help("modules: {name: {prober: http}}"));
    }
    if parsed.config.policy != Policy::default() {
        let problem = Problem::new(None, "there is no policy here");
        parsed
            .problems
            .push(problem.with_help("the policy of the configuration is in force"));
    }
    draft.problems = parsed.problems;
    draft.warnings = parsed.warnings;
    if draft.problems.is_empty() {
        draft.module = modules.iter().next().map(under_its_name);
    }
    draft
}

/// The module as the exporter runs it.
fn under_its_name(module: &Arc<Module>) -> Arc<Module> {
    let mut problems = Problems::of(Author::Untrusted);
    let mut own = Module::compile(NAME, &module.raw, &mut problems);
    own.exposition = module.exposition;
    // Nobody gives parameters here: what they would set is in the text.
    own.params = None;
    Arc::new(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> String {
        let shown = |problem: &Problem| problem.to_string();
        read(text, true)
            .problems
            .iter()
            .map(shown)
            .collect::<Vec<_>>()
            .join(" | ")
    }

    #[test]
    fn a_draft_is_checked_as_a_file_is() {
        let draft = read(
            "modules:\n  m:\n    prober: http\n    http: {method: HEAD, fail_if_body_matches_regexp: [x]}\n",
            false,
        );
        assert_eq!((draft.problems.len(), draft.warnings.len()), (0, 1));
        assert_eq!(&*draft.module.unwrap().name, NAME);
        for text in [
            "modules: {m: {prober: pigeon}}",
            "modules: {m: {prober: http, http: {metod: GET}}}",
            "modules:\n  m:\n    prober: http\n    http:\n      fail_if_body_matches_regexp: ['(']\n",
            "modules: {m: {prober: http, http: {fail_if_body_json_matches_cel: 'nope == 1'}}}",
            "modules: [",
            "a: \u{7}",
            "",
        ] {
            let Err(config::LoadError::Invalid(invalid)) = crate::module::parse(text, "draft.yml") else {
                panic!("{text} loads");
            };
            assert_eq!(read(text, false).problems, invalid.problems, "{text}");
        }
    }

    #[test]
    fn files_secrets_and_references_are_refused_where_they_stand() {
        let http = |setting: &str| format!("modules:\n  m:\n    prober: http\n    http:\n      {setting}\n");
        for (setting, column) in [
            ("body_file: /etc/passwd", 18),
            ("bearer_token_file: /etc/passwd", 26),
            ("basic_auth: {username: a, password_file: /etc/passwd}", 48),
            ("basic_auth: {username_file: /etc/passwd, password_file: x}", 35),
            ("authorization: {credentials_file: /etc/passwd}", 41),
            ("tls_config: {ca_file: /etc/passwd}", 29),
            ("tls_config: {cert_file: /etc/passwd, key_file: x}", 31),
            ("http_headers: {X-A: {files: [/etc/passwd]}}", 36),
            (
                "oauth2: {client_id: a, token_url: 'http://x', client_secret_file: /etc/passwd}",
                73,
            ),
        ] {
            let said = problems(&http(setting));
            let want = format!("line 5, column {column}: module \"m\": http.");
            assert!(
                said.starts_with(&want) && said.contains("files can be named"),
                "{setting}: {said}"
            );
        }
        for setting in [
            "basic_auth: {username: a, password: hush}",
            "basic_auth: {username: a, password: <secret>}",
            "bearer_token: hush",
            "authorization: {credentials: hush}",
            "headers: {X-Api-Key: hush}",
            "http_headers: {X-A: {secrets: [hush]}}",
            "proxy_url: http://u:hush@p:1",
            "oauth2: {client_id: a, client_secret: hush, token_url: 'http://x'}",
            "tls_config: {cert: x, key: hush}",
        ] {
            let said = problems(&http(setting));
            assert!(
                said.contains("line 5, ") && said.contains("secrets are neither shown nor sent"),
                "{setting}: {said}"
            );
            assert!(!said.contains("hush"), "{said}");
        }
        for setting in [
            "headers: {A: '${HOME}'}",
            "body: '${file:/etc/passwd}'",
            "bearer_token: '${TOKEN}'",
        ] {
            let said = problems(&http(setting));
            assert!(
                said.contains("is replaced in the configuration of the exporter only"),
                "{setting}: {said}"
            );
        }
        // Without the flag they are text.
        assert!(read(&http("body: '${HOME}'"), false).module.is_some());
        assert!(
            problems("modules: {m: {prober: tcp, resolver: tls://a, resolver_tls_config: {ca_file: x}}}")
                .contains("files can be")
        );
        assert!(problems("modules: {a: {prober: tcp}, b: {prober: tcp}}").contains("exactly one module"));
        assert!(problems("modules: {}").contains("exactly one module"));
        assert!(
            problems("modules: {a: {prober: tcp}}\npolicy: {deny: {networks: [10.0.0.0/8]}}")
                .contains("no policy")
        );
    }

    #[test]
    fn a_draft_is_small() {
        let many: Vec<String> = (0..30).map(|index| format!("a{index}")).collect();
        let many = format!(
            "modules: {{m: {{prober: http, http: {{fail_if_body_matches_regexp: [{}]}}}}}}",
            many.join(", ")
        );
        assert!(problems(&many).contains("more than 20 regular expressions"));
        let large =
            "modules: {m: {prober: http, http: {fail_if_body_matches_regexp: ['(\\pL{100}\\PL{100}){5}']}}}";
        assert!(
            problems(large).contains("expression too large"),
            "{}",
            problems(large)
        );
        let mut aliases = "a: &a0 [x]\n".to_owned();
        for level in 1..9 {
            let below = format!("*a{}", level - 1);
            aliases.push_str(&format!(
                "b{level}: &a{level} [{}]\n",
                [below.as_str(); 9].join(", ")
            ));
        }
        let text = format!("modules: {{m: {{prober: http, http: {{valid_http_versions: *a8}}}}}}\n{aliases}");
        assert!(!problems(&text).is_empty());
        let list = "x, ".repeat(8000);
        let values = format!("modules: {{m: {{prober: http, http: {{valid_http_versions: [{list}]}}}}}}");
        assert!(
            problems(&values).contains("more than 5000 values"),
            "{}",
            problems(&values)
        );
        assert!(problems(&"#".repeat(MOST_BYTES + 1)).contains("more than 32 KiB"));
    }
}
