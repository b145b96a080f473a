# `just RECIPE`: each recipe is a section of .ci/run, which is what CI runs, or a command of CONTRIBUTING.md.

# Everything that must hold before a change lands; needs root, and installs Debian packages
ci:
    .ci/run

# Formatting, generated files, lints
check:
    .ci/run "format" "scripts and generated files" "clippy"

# All tests, or those whose names contain the filter
test *filter:
    cargo test --locked {{filter}}

# The conformance suite, or the cases whose names match the regular expression
conformance only="":
    cargo build --locked
    python3 tests/conformance/run.py target/debug/blackbox_exporter --only '{{only}}'

# Licences, sources and advisories of the dependencies
dependencies:
    .ci/run "licences, bans, sources" "advisories" "bill of materials"

# The documents as a site, built and checked; `mdbook serve docs` shows it
book:
    .ci/run "book"

# The release build, its packages, and the tests that need it
release:
    .ci/run "release build" "instructions per probe" "training of a release" "packages of a release" "conformance" "browser" "demonstration" "soak" "chaos"

# One fuzz target for a minute; needs a nightly toolchain and cargo-fuzz
fuzz target seconds="60":
    cd fuzz && cargo +nightly fuzz run {{target}} -- -max_total_time={{seconds}}

# The benchmark beside another exporter
bench *options:
    packaging/optimise
    cargo build --locked --release --example bench-peer
    python3 bench/run.py {{options}}

# The regression gate: the instructions of one probe of each kind; `--record` writes those of now
instructions *options:
    cargo build --locked --release --bin blackbox_exporter
    cargo build --locked --example bench-peer
    bench/instructions.py {{options}}

# The packages that are not used beside what is, see docs/dependencies.md; needs root and Go
packages *options:
    cargo build --locked
    bench/packages/run.py {{options}}
