//! The table.

use std::time::Duration;

use super::{CONFIG_FILE, Flag, HELP, Set, VERSION, flag, level, put, size};
use crate::logging;
use crate::module::sources::DEFAULT_FILE;
use crate::trace;

/// All flags.
pub static FLAGS: [Flag; 30] = [
    flag(HELP, Set::Nothing, "Show this help.").short('h'),
    flag(
        CONFIG_FILE,
        Set::Texts(|flags| &mut flags.config_files),
        "Blackbox exporter configuration file, folder or pattern. Repeatable; module names must be unique across files.",
    )
    .default(DEFAULT_FILE),
    flag(
        "config.skip-broken-files",
        Set::Switch(|flags| &mut flags.skip_broken_files),
        "Skip configuration files with errors, as long as another file is valid.",
    ),
    flag(
        "config.expand-environment-variables",
        Set::Switch(|flags| &mut flags.expand_variables),
        "Replace ${NAME} by the environment variable and ${file:PATH} by the content of the file, in secrets, headers, \
         bodies and URLs of the configuration.",
    ),
    flag(
        "targets.file",
        Set::Text(|flags, file| flags.targets_file = file),
        "File with targets, served at /targets for the HTTP service discovery of Prometheus and Alloy. \
         Reloaded together with the configuration.",
    )
    .default(""),
    flag(
        "timeout-offset",
        Set::Float(|flags| &mut flags.timeout_offset),
        "Offset to subtract from timeout in seconds.",
    )
    .default("0.5"),
    flag(
        "config.check",
        Set::Switch(|flags| &mut flags.config_check),
        "If true validate the config file and then exit.",
    ),
    flag(
        "log.prober",
        Set::Text(|flags, word| flags.log_prober = word),
        "Log level for probe request logs. One of: [debug, info, warn, error, none]. Independent of \
         --log.level.",
    )
    .default("info")
    .words(&["debug", "info", "warn", "error", "none"]),
    flag(
        "config.enable-auto-reload",
        Set::Switch(|flags| &mut flags.auto_reload),
        "When enabled, the configuration file is reloaded when it changes: at once if the system reports the change, \
         otherwise after --config.auto-reload-interval.",
    ),
    flag(
        "config.auto-reload-interval",
        Set::Count(|flags, seconds| flags.auto_reload_interval = Duration::from_secs(seconds)),
        "Seconds between checks of the configuration file for --config.enable-auto-reload.",
    )
    .default("30"),
    flag(
        "history.limit",
        Set::Count(|flags, number| flags.history_limit = size(number)),
        "Maximum results to keep; as many older failures are kept in addition.",
    )
    .default("100"),
    flag(
        "history.max-bytes",
        Set::Count(|flags, number| flags.history_max_bytes = size(number)),
        "Maximum memory of the history, in bytes; the oldest results are removed first.",
    )
    .default("67108864"),
    flag(
        "probe.max-in-flight",
        Set::Count(|flags, number| flags.max_in_flight = size(number)),
        "Maximum concurrent probes; excess requests get 503. 0 = unlimited.",
    )
    .default("0"),
    flag(
        "memory.limit",
        Set::Size(|flags| &mut flags.memory_limit),
        "Maximum memory of this process, as 256MiB or in bytes: above it, new probes get 503. \
         Default: nine tenths of the cgroup's limit, or what the program's code leaves, if there is one. 0 = no limit.",
    )
    .placeholder("size"),
    flag(
        "trace.endpoint",
        Set::Form(
            |flags, url| put(&mut flags.trace.spans, trace::Endpoint::parse(url)),
            "a URL with http or https, like http://127.0.0.1:4318/v1/traces",
        ),
        "URL to which spans of probes are posted, as OTLP over HTTP in protobuf. Only modules with a trace section have spans. \
         The policy of the configuration does not apply to this URL.",
    )
    .placeholder("url"),
    flag(
        "trace.export",
        Set::Form(
            |flags, text| {
                let export = trace::Export::parse(text);
                export.map(|export| flags.trace.export = export).is_some()
            },
            "failed, slow:DURATION, ratio:F or all",
        ),
        "Which probes are exported as spans. failed: failed probes; slow:DURATION adds probes of at least that \
         duration, ratio:F a share of the others (0 to 1); all: every probe.",
    )
    .default("failed"),
    flag(
        "trace.log-endpoint",
        Set::Form(
            |flags, url| put(&mut flags.trace.logs, trace::Endpoint::parse(url)),
            "a URL with http or https, like http://127.0.0.1:38086/api/v1/log",
        ),
        "URL to which the logs of failed probes are posted: in DeepFlow's form if the path ends in /api/v1/log, otherwise \
         as OTLP over HTTP in protobuf.",
    )
    .placeholder("url"),
    flag(
        "trace.url",
        Set::Form(
            |flags, url| put(&mut flags.trace.link, trace::Link::parse(url)),
            "a URL with {trace_id} in it, like https://tempo.example.org/trace/{trace_id}",
        ),
        "URL of a trace in your tracing UI, with {trace_id} for its id; the pages of probes link to it.",
    )
    .placeholder("url"),
    flag(
        "web.external-url",
        Set::Text(|flags, url| flags.external_url = url),
        "The URL under which Blackbox exporter is externally reachable (for example, if it is served via a \
         reverse proxy). Used for generating relative and absolute links back to it. If the URL has a path \
         portion, it will be used to prefix all HTTP endpoints. If omitted, it is derived from the host \
         name and the first listen address.",
    )
    .placeholder("url"),
    flag(
        "web.route-prefix",
        Set::Text(|flags, path| flags.route_prefix = path),
        "Prefix for the internal routes of web endpoints. Defaults to path of --web.external-url.",
    )
    .placeholder("path"),
    flag(
        "web.systemd-socket",
        Set::Switch(|flags| &mut flags.systemd_socket),
        "Use systemd socket activation listeners instead of port listeners (Linux only).",
    ),
    flag(
        "web.listen-address",
        Set::Texts(|flags| &mut flags.listen_addresses),
        "Addresses on which to expose metrics and web interface. Repeatable for multiple addresses. \
         Examples: `:9115` or `[::1]:9115`.",
    )
    .default(":9115"),
    flag(
        "web.config.file",
        Set::Text(|flags, file| flags.web_config_file = file),
        "Path to configuration file that can enable TLS or authentication. See: \
         https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md",
    )
    .default(""),
    flag(
        "web.max-connections",
        Set::Count(|flags, number| flags.max_connections = size(number)),
        "Maximum concurrent connections. When all are in use, the one that has been idle for longest is \
         closed for a new one; client addresses have equal shares. 0 = half of the open-file limit.",
    )
    .default("0"),
    flag(
        "web.open-healthy",
        Set::Switch(|flags| &mut flags.open_healthy),
        "Serve /-/healthy without a password or client certificate, even if the web configuration file requires \
         one: for the probes of Kubernetes and of load balancers.",
    ),
    flag(
        "web.allowed-hosts",
        Set::Texts(|flags| &mut flags.allowed_hosts),
        "Allowed names in the Host header of requests, separated by commas; `*.example.org` matches all names \
         below it. Other names are refused, against DNS rebinding; IP addresses are always allowed. \
         Default: every name.",
    )
    .placeholder("name"),
    flag(
        "web.enable-playground",
        Set::Switch(|flags| &mut flags.playground),
        "Serve /playground, a page on which anyone who may use the exporter can edit a module and probe with it \
         once. Nothing is saved.",
    ),
    flag(
        "log.level",
        Set::Word(
            |flags, word| level(word).map(|level| flags.log_level = level).is_some(),
            "log level",
        ),
        "Only log messages with the given severity or above. One of: [debug, info, warn, error]",
    )
    .default("info")
    .words(&["debug", "info", "warn", "error"]),
    flag(
        "log.format",
        Set::Word(
            |flags, word| {
                let format = match word {
                    "logfmt" => logging::Format::Logfmt,
                    "json" => logging::Format::Json,
                    _ => return false,
                };
                flags.log_format = format;
                true
            },
            "log format",
        ),
        "Output format of log messages. One of: [logfmt, json]",
    )
    .default("logfmt")
    .words(&["logfmt", "json"]),
    flag(VERSION, Set::Nothing, "Show application version."),
];
