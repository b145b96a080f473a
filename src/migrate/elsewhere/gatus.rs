//! gatus: endpoints with conditions.

use serde_json::{Value, json};

use super::draft::Draft;
use super::references::reference;
use super::settings::Settings;
use super::values::{ANY_STATUS, field, pairs, reverse_name, set_content_type, statuses, text};

/// The rcodes that servers give, for an endpoint that accepts any.
const RCODES: [&str; 6] = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"];

pub(super) fn read(config: Value, draft: &mut Draft) {
    let mut config = Settings::new("the file", config);
    config.each("endpoints", "endpoint", draft, read_endpoint);
    config.finish(
        draft,
        "metrics web storage ui concurrency disable-monitoring-lock",
    );
    draft.hint("gatus_results_endpoint_success becomes probe_success, gatus_results_duration_seconds becomes probe_duration_seconds, gatus_results_certificate_expiration_seconds becomes probe_ssl_earliest_cert_expiry - time()");
}

fn read_endpoint(mut endpoint: Settings, name: &str, draft: &mut Draft) -> Result<(), String> {
    if endpoint.truth("enabled") == Some(false) {
        return Err("it is not enabled".to_owned());
    }
    let url = endpoint.text("url").unwrap_or_default();
    let mut client = endpoint.section("client");
    let timeout = client.period("timeout").or(Some(10_000));
    let mut dns = endpoint.section("dns");
    let asked = dns.text("query-name");
    let scheme = match url.split_once("://") {
        _ if asked.is_some() => "dns",
        Some((scheme, _)) => scheme,
        None => "",
    };
    let rest = url
        .split_once("://")
        .map_or(url.as_str(), |(_, rest)| rest)
        .trim_end_matches('/');
    let tls = |client: &mut Settings| {
        let insecure = client.truth("insecure");
        insecure.map(|insecure| json!({"insecure_skip_verify": insecure}))
    };
    let mut judged = Conditions::default();
    for condition in endpoint.items("conditions") {
        let condition = text(&condition);
        let variable = reference(&condition);
        if variable.is_some() || judged.read(scheme, &condition.replace("$$", "$")).is_none() {
            endpoint.lost(draft, format_args!("the condition {condition:?}: use an alert"));
        }
    }
    if judged.fail_always() {
        return Err("its conditions want no response: alert on probe_success == 1".to_owned());
    }
    let group = endpoint.text("group");
    let body = |endpoint: &mut Settings| {
        let body = endpoint.text("body")?;
        let parts = [
            ("NAME", name),
            ("GROUP", group.as_deref().unwrap_or_default()),
            ("URL", url.as_str()),
        ];
        Some(parts.iter().fold(body, |body, (part, text)| {
            body.replace(&format!("[ENDPOINT_{part}]"), text)
        }))
    };
    let (prober, address, settings) = match scheme {
        "http" | "https" => {
            let codes = judged.statuses.as_deref().map(statuses);
            let mut fields = endpoint.headers(draft);
            let mut sent = body(&mut endpoint);
            if endpoint.flag("graphql") {
                sent = Some(json!({"query": sent.unwrap_or_default()}).to_string());
                set_content_type(&mut fields, "application/json");
            }
            let settings = json!({
                "method": endpoint.text("method").filter(|method| method != "GET"),
                "body": sent,
                "headers": fields,
                "tls_config": tls(&mut client),
                "follow_redirects": client.truth("ignore-redirect").map(|ignore| !ignore),
                "valid_status_codes": codes.unwrap_or_else(|| Some(json!([ANY_STATUS]))),
                "fail_if_body_not_matches_regexp": judged.bodies.iter().map(|(pattern, _)| whole(pattern)).collect::<Vec<_>>(),
                "fail_if_body_json_not_matches_cel": judged.cel(),
            });
            ("http", url.clone(), settings)
        }
        "tcp" | "tls" => {
            let mut steps = Vec::new();
            let sent = body(&mut endpoint);
            let answer = judged.one_body(&endpoint, draft).map(|pattern| whole(&pattern));
            // gatus reads something after it has sent something, and compares it with or without a line break at its end.
            let answer = answer.or_else(|| sent.is_some().then(|| "(?s).".to_owned()));
            steps.extend(sent.map(|body| json!({"send": body, "no_newline": true})));
            steps.extend(answer.map(|pattern| json!({"expect": pattern, "prompt": true})));
            let is_tls = scheme == "tls";
            let settings = json!({
                "tls": is_tls.then_some(true),
                "tls_config": is_tls.then(|| tls(&mut client)).flatten(),
                "query_response": steps,
            });
            ("tcp", rest.to_owned(), settings)
        }
        "starttls" => {
            let settings = json!({"starttls": "smtp", "tls_config": tls(&mut client)});
            ("tcp", rest.to_owned(), settings)
        }
        "icmp" => {
            let family = client.text("network").filter(|network| network != "ip");
            let settings = json!({"preferred_ip_protocol": family});
            ("icmp", rest.to_owned(), settings)
        }
        "grpc" | "grpcs" => {
            if !judged.is_serving {
                let fault = "without the condition [BODY].status == SERVING, any health is good: only SERVING is here";
                return Err(fault.to_owned());
            }
            let settings = json!({"tls": scheme == "grpcs", "tls_config": tls(&mut client)});
            ("grpc", rest.to_owned(), settings)
        }
        "ws" | "wss" => {
            let body = body(&mut endpoint)
                .ok_or("without a body it sends an empty message, which cannot be sent here")?;
            let answer = judged.one_body(&endpoint, draft).map(|pattern| whole(&pattern));
            // gatus reads a message after it has sent one.
            let answer = answer.unwrap_or_else(|| ".*".to_owned());
            let steps = [json!({"send": body}), json!({"expect": answer})];
            let mut fields = endpoint.headers(draft);
            for (_, value) in &mut fields {
                *value = json!({"values": [value]});
            }
            let settings = json!({
                "headers": fields,
                "http_config": tls(&mut client).map(|tls| json!({"tls_config": tls})),
                "query_response": steps,
            });
            ("websocket", url.clone(), settings)
        }
        "dns" => {
            let kind = dns.text("query-type");
            // The text of a record is its name, TTL, class, type and data; gatus has the data, of MX without the preference.
            let before = if kind.as_deref() == Some("MX") { 5 } else { 4 };
            let body = judged.one_body(&endpoint, draft);
            let body = body.map(|body| format!(r"^(?:\S+\s+){{{before}}}(?s:{body})$"));
            if judged.rcodes.is_none() && body.is_none() {
                judged.rcodes = Some(RCODES.map(str::to_owned).into());
            }
            let reversed = asked
                .as_deref()
                .filter(|_| kind.as_deref() == Some("PTR"))
                .and_then(reverse_name);
            let settings = json!({
                "query_name": reversed.or(asked),
                "query_type": kind,
                "valid_rcodes": judged.rcodes,
                "validate_answer_rrs": body.map(|body| json!({"fail_if_none_matches_regexp": [body]})),
            });
            ("dns", url.clone(), settings)
        }
        other => return Err(format!("the protocol {other:?}")),
    };
    let module = draft.module(prober, timeout, settings);
    let interval = endpoint.period("interval").or(Some(60_000));
    let labels = pairs(endpoint.take("extra-labels"));
    let labels = draft.labels(endpoint.place(), labels);
    let target = draft.target(name, &address, module, interval);
    target.labels = labels;
    target
        .labels
        .extend(group.map(|group| ("group".to_owned(), group)));
    client.finish(draft, "");
    dns.finish(draft, "");
    endpoint.finish(draft, "ui");
    Ok(())
}

/// Conditions as settings of a module.
#[derive(Default)]
struct Conditions {
    /// Those that all conditions accept, if there is one.
    statuses: Option<Vec<u64>>,
    rcodes: Option<Vec<String>>,
    is_serving: bool,
    is_inverted: bool,
    /// Patterns of the whole body, with their conditions.
    bodies: Vec<(String, String)>,
    terms: Vec<String>,
}

impl Conditions {
    /// `None` for a condition that no setting of the prober for this scheme expresses.
    fn read(&mut self, scheme: &str, condition: &str) -> Option<()> {
        let mut words = condition.splitn(3, ' ');
        let (subject, operator, value) = (words.next()?, words.next()?, words.next()?.trim());
        let (name, path) = subject.split_at(subject.find(']')? + 1);
        let call = |name: &str| value.strip_prefix(name)?.strip_suffix(')');
        let (pattern, any) = (call("pat("), call("any("));
        let is_http = scheme.starts_with("http");
        let is_equality = ["==", "!="].contains(&operator);
        let listed = any.unwrap_or(value).split(',').map(str::trim);
        let place = name.to_uppercase() + path;
        match (place.as_str(), operator) {
            ("[CONNECTED]", "==" | "!=") if ["true", "false"].contains(&value) => {
                self.is_inverted |= (operator == "==") != (value == "true");
            }
            ("[STATUS]", _) if is_http && pattern.is_none() && (is_equality || any.is_none()) => {
                let codes: Vec<_> = listed.map(whole_number).collect::<Option<_>>()?;
                let first = *codes.first()?;
                let holds: &dyn Fn(u64) -> bool = match operator {
                    "==" => &|code| codes.contains(&code),
                    "!=" => &|code| !codes.contains(&code),
                    "<" => &|code| code < first,
                    "<=" => &|code| code <= first,
                    ">" => &|code| code > first,
                    ">=" => &|code| code >= first,
                    _ => return None,
                };
                let accepted = self.statuses.get_or_insert_with(|| (100..=599).collect());
                accepted.retain(|code| holds(*code));
            }
            ("[DNS_RCODE]", "==" | "!=") if scheme == "dns" && pattern.is_none() => {
                let listed: Vec<_> = listed.map(str::to_owned).collect();
                let accepted = self.rcodes.get_or_insert_with(|| match operator {
                    "==" => listed.clone(),
                    _ => RCODES.map(str::to_owned).into(),
                });
                accepted.retain(|rcode| listed.contains(rcode) == (operator == "=="));
            }
            ("[BODY].status", "==") if scheme.starts_with("grpc") && value == "SERVING" => {
                self.is_serving = true;
            }
            ("[BODY]", "==") if !["icmp", "starttls", "grpc", "grpcs"].contains(&scheme) => {
                let body = match (pattern, any) {
                    (Some(pattern), _) => glob(pattern)?,
                    (None, Some(values)) => {
                        let values = values.split(',').map(|value| go_regexp::quote_meta(value.trim()));
                        values.collect::<Vec<_>>().join("|")
                    }
                    (None, None) => go_regexp::quote_meta(value),
                };
                self.bodies.push((body, condition.to_owned()));
            }
            (json, _) if is_http && pattern.is_none() && any.is_none() => {
                self.terms
                    .push(json_term(json.strip_prefix("[BODY].")?, operator, value)?);
            }
            _ => return None,
        }
        Some(())
    }

    /// Whether no response fulfils them.
    fn fail_always(&self) -> bool {
        self.is_inverted
            || self.statuses.as_ref().is_some_and(Vec::is_empty)
            || self.rcodes.as_ref().is_some_and(Vec::is_empty)
    }

    /// The pattern of the body where a prober has room for one; names the others.
    fn one_body(&self, endpoint: &Settings, draft: &mut Draft) -> Option<String> {
        let ((first, _), others) = self.bodies.split_first()?;
        for (_, condition) in others.iter().filter(|(pattern, _)| pattern != first) {
            let what = format_args!("the condition {condition:?}: there is one of [BODY] already");
            endpoint.lost(draft, what);
        }
        Some(first.clone())
    }

    fn cel(&self) -> Value {
        if self.terms.is_empty() {
            Value::Null
        } else {
            self.terms.join(" && ").into()
        }
    }
}

/// A number as Go writes it in any base.
fn whole_number(text: &str) -> Option<u64> {
    gostd::strconv::parse_uint(text, true).ok()
}

/// A comparison of a field of the body, as gatus makes it: of texts for equality, and of whole numbers otherwise, where a field that
/// is missing is 0.
fn json_term(path: &str, operator: &str, value: &str) -> Option<String> {
    let field = field(path)?;
    let (mut outer, mut missing) = ("body".to_owned(), String::new());
    for key in path.split('.').map(Value::from) {
        missing.push_str(&format!("!({key} in {outer}) || "));
        outer.push_str(&format!("[{key}]"));
    }
    missing.push_str(&format!("{field} == null"));
    let whole = whole_number(value).map(|number| number.to_string());
    let text = Value::from(whole.clone().unwrap_or_else(|| value.to_owned()));
    let number = value.parse::<f64>().ok().filter(|number| number.is_finite());
    let number = whole.or_else(|| Some(format!("{:.0}", number?.trunc())));
    match operator {
        "==" => Some(format!("string({field}) == {text}")),
        "!=" => Some(format!("({missing} || string({field}) != {text})")),
        "<" | "<=" | ">" | ">=" => Some(format!(
            "({missing} ? 0 : int(double({field}))) {operator} {}",
            number?
        )),
        _ => None,
    }
}

/// A regular expression of the whole body: gatus takes the blanks around it away.
fn whole(pattern: &str) -> String {
    format!(r"^\s*(?s:{pattern})\s*$")
}

/// The regular expression of a `pat`; `None` for sets of characters and escapes.
fn glob(pattern: &str) -> Option<String> {
    if pattern.contains(['[', '\\']) {
        return None;
    }
    let parts = pattern.split_inclusive(['*', '?']).map(|part| {
        let (text, wild) = match part.chars().next_back() {
            Some('*') => (part.trim_end_matches('*'), ".*"),
            Some('?') => (part.trim_end_matches('?'), "."),
            _ => (part, ""),
        };
        go_regexp::quote_meta(text) + wild
    });
    Some(parts.collect())
}
