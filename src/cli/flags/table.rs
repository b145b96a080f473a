//! The table.

use std::time::Duration;

use super::{CONFIG_FILE, Flag, HELP, VERSION, Value, flag};
use crate::logging;
use crate::module::sources::DEFAULT_FILE;
use crate::probe_log::Level;
use crate::trace;

/// The fields of [`Flags`] with their flags.
macro_rules! flags {
    ($($field:ident: $type:ty = $flag:expr;)*) => {
        /// The flags of the server. What a field means is the help text of its flag.
        #[derive(Clone, Debug, Default, PartialEq)]
        #[allow(missing_docs)]
        pub struct Flags {
            $(pub $field: $type,)*
        }

        /// All flags.
        pub static FLAGS: [Flag; [$(stringify!($field)),*].len()] = [$(Flag {
            takes: <$type as Value>::TAKES,
            is_text: <$type as Value>::IS_TEXT,
            read: |flags, flag, text| flags.$field.read(flag, text),
            ..$flag
        }),*];
    };
}

flags! {
    help: bool = flag(HELP, "Show this help.").short('h');
    config_files: Vec<String> = flag(
        CONFIG_FILE,
        "Blackbox exporter configuration file, folder or pattern. Repeatable; module names must be unique across files.",
    ).default(DEFAULT_FILE);
    skip_broken_files: bool = flag(
        "config.skip-broken-files",
        "Skip configuration files with errors, as long as another file is valid.",
    );
    expand_variables: bool = flag(
        "config.expand-environment-variables",
        "Replace ${NAME} by the environment variable and ${file:PATH} by the content of the file, in secrets, headers, \
         bodies and URLs of the configuration.",
    );
    targets_file: String = flag(
        "targets.file",
        "File with targets, served at /targets for the HTTP service discovery of Prometheus and Alloy. \
         Reloaded together with the configuration.",
    ).default("");
    timeout_offset: f64 = flag(
        "timeout-offset",
        "Offset to subtract from timeout in seconds.",
    ).default("0.5");
    config_check: bool = flag("config.check", "If true validate the config file and then exit.");
    log_prober: String = flag(
        "log.prober",
        "Log level for probe request logs. One of: [debug, info, warn, error, none]. Independent of \
         --log.level.",
    )
    .default("info")
    .words(&["debug", "info", "warn", "error", "none"]);
    auto_reload: bool = flag(
        "config.enable-auto-reload",
        "When enabled, the configuration file is reloaded when it changes: at once if the system reports the change, \
         otherwise after --config.auto-reload-interval.",
    );
    auto_reload_interval: Duration = flag(
        "config.auto-reload-interval",
        "Seconds between checks of the configuration file for --config.enable-auto-reload.",
    ).default("30");
    history_limit: usize = flag(
        "history.limit",
        "Maximum results to keep; as many older failures are kept in addition.",
    ).default("100");
    history_max_bytes: usize = flag(
        "history.max-bytes",
        "Maximum memory of the history, in bytes; the oldest results are removed first.",
    ).default("67108864");
    max_in_flight: usize = flag(
        "probe.max-in-flight",
        "Maximum concurrent probes; excess requests get 503. 0 = unlimited.",
    ).default("0");
    memory_limit: Option<u64> = flag(
        "memory.limit",
        "Maximum memory of this process, as 256MiB or in bytes: above it, new probes get 503. \
         Default: nine tenths of the cgroup's limit, or what the program's code leaves, if there is one. 0 = no limit.",
    ).placeholder("size");
    trace_spans: Option<trace::Endpoint> = flag(
        "trace.endpoint",
        "URL to which spans of probes are posted, as OTLP over HTTP in protobuf. Only modules with a trace section have spans. \
         The policy of the configuration does not apply to this URL.",
    )
    .placeholder("url")
    .wants("a URL with http or https, like http://127.0.0.1:4318/v1/traces");
    trace_export: trace::Export = flag(
        "trace.export",
        "Which probes are exported as spans. failed: failed probes; slow:DURATION adds probes of at least that \
         duration, ratio:F a share of the others (0 to 1); all: every probe.",
    )
    .default("failed")
    .wants("failed, slow:DURATION, ratio:F or all");
    trace_logs: Option<trace::Endpoint> = flag(
        "trace.log-endpoint",
        "URL to which the logs of failed probes are posted: in DeepFlow's form if the path ends in /api/v1/log, otherwise \
         as OTLP over HTTP in protobuf.",
    )
    .placeholder("url")
    .wants("a URL with http or https, like http://127.0.0.1:38086/api/v1/log");
    trace_link: Option<trace::Link> = flag(
        "trace.url",
        "URL of a trace in your tracing UI, with {trace_id} for its id; the pages of probes link to it.",
    )
    .placeholder("url")
    .wants("a URL with {trace_id} in it, like https://tempo.example.org/trace/{trace_id}");
    external_url: String = flag(
        "web.external-url",
        "The URL under which Blackbox exporter is externally reachable (for example, if it is served via a \
         reverse proxy). Used for generating relative and absolute links back to it. If the URL has a path \
         portion, it will be used to prefix all HTTP endpoints. If omitted, it is derived from the host \
         name and the first listen address.",
    ).placeholder("url");
    route_prefix: String = flag(
        "web.route-prefix",
        "Prefix for the internal routes of web endpoints. Defaults to path of --web.external-url.",
    ).placeholder("path");
    systemd_socket: bool = flag(
        "web.systemd-socket",
        "Use systemd socket activation listeners instead of port listeners (Linux only).",
    );
    listen_addresses: Vec<String> = flag(
        "web.listen-address",
        "Addresses on which to expose metrics and web interface. Repeatable for multiple addresses. \
         Examples: `:9115` or `[::1]:9115`.",
    ).default(":9115");
    web_config_file: String = flag(
        "web.config.file",
        "Path to configuration file that can enable TLS or authentication. See: \
         https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md",
    ).default("");
    max_connections: usize = flag(
        "web.max-connections",
        "Maximum concurrent connections. When all are in use, the one that has been idle for longest is \
         closed for a new one; client addresses have equal shares. 0 = half of the open-file limit.",
    ).default("0");
    open_healthy: bool = flag(
        "web.open-healthy",
        "Serve /-/healthy without a password or client certificate, even if the web configuration file requires \
         one: for the probes of Kubernetes and of load balancers. Headers and rate limit of the file do not apply to it \
         either.",
    );
    allowed_hosts: Vec<String> = flag(
        "web.allowed-hosts",
        "Allowed names in the Host header of requests, separated by commas; `*.example.org` matches all names \
         below it; ports are ignored. Other names are refused, against DNS rebinding; IP addresses are always \
         allowed. Default, and with an empty value: every name.",
    ).placeholder("name");
    playground: bool = flag(
        "web.enable-playground",
        "Serve /playground, a page on which anyone who may use the exporter can edit a module and probe with it \
         once. Nothing is saved.",
    );
    log_level: Level = flag(
        "log.level",
        "Only log messages with the given severity or above. One of: [debug, info, warn, error]",
    )
    .default("info")
    .words(&["debug", "info", "warn", "error"]);
    log_format: logging::LogFormat = flag(
        "log.format",
        "Output format of log messages. One of: [logfmt, json]",
    )
    .default("logfmt")
    .words(&["logfmt", "json"]);
    version: bool = flag(VERSION, "Show application version.");
}
