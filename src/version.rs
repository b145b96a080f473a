//! The version, and from what and when this program was built (`build.rs`).

/// Name of the program.
const PROGRAM: &str = "blackbox_exporter";
/// Its version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

const REVISION: &str = set_or("unknown", option_env!("BUILD_REVISION"));
const BRANCH: &str = set_or("", option_env!("BUILD_BRANCH"));
const USER: &str = set_or("", option_env!("BUILD_USER"));
const DATE: &str = set_or("", option_env!("BUILD_DATE"));
/// Upstream names the Go compiler here.
const COMPILER: &str = set_or("rust", option_env!("BUILD_RUSTC"));
const TAGS: &str = "unknown";
const ARCHITECTURE: &str = if cfg!(target_arch = "x86_64") {
    "amd64"
} else if cfg!(target_arch = "aarch64") {
    "arm64"
} else {
    std::env::consts::ARCH
};

const fn set_or(otherwise: &'static str, variable: Option<&'static str>) -> &'static str {
    match variable {
        Some(value) => value,
        None => otherwise,
    }
}

/// The labels of `blackbox_exporter_build_info`, sorted by name.
pub const LABELS: [(&str, &str); 7] = [
    ("branch", BRANCH),
    ("goarch", ARCHITECTURE),
    ("goos", std::env::consts::OS),
    ("goversion", COMPILER),
    ("revision", REVISION),
    ("tags", TAGS),
    ("version", VERSION),
];

/// What `--version` prints.
pub fn print() -> String {
    let os = std::env::consts::OS;
    format!(
        "{PROGRAM}, version {VERSION} (branch: {BRANCH}, revision: {REVISION})\n  build user:       {USER}\n  \
         build date:       {DATE}\n  go version:       {COMPILER}\n  platform:         {os}/{ARCHITECTURE}\n  \
         tags:             {TAGS}\n"
    )
}

/// The version in one line, for the log.
pub fn info() -> String {
    format!("(version={VERSION}, branch={BRANCH}, revision={REVISION})")
}

/// How it was built in one line, for the log.
pub fn build_context() -> String {
    let os = std::env::consts::OS;
    format!("(go={COMPILER}, platform={os}/{ARCHITECTURE}, user={USER}, date={DATE}, tags={TAGS})")
}
