# What CI runs, one recipe a step, for a person to run the same.
# deny, shear, typos, shell and docker use the pinned tools: `PATH="$(.ci/tools):$PATH" just ci`.

set shell := ["bash", "-euo", "pipefail", "-c"]

# List the recipes.
default:
    @just --list

# Everything that CI runs, in its order.
ci: fmt typos shell docker deny advisories shear clippy test conformance contract suites field doc packages clean-tree

# Run the service on an embedded database in the current folder.
run *args:
    cargo run -- serve {{ args }}

# Write openapi/openapi.json anew; a test fails where it is out of date.
openapi:
    cargo run --quiet -- openapi > openapi/openapi.json

# Write deploy/rollcall.example.toml and the tables of docs/settings.md from the declared settings.
settings:
    ROLLCALL_UPDATE_SETTINGS=1 cargo test --quiet --lib config::reference

# The form of the code.
fmt:
    cargo fmt --all -- --check

# Spelling.
typos:
    typos

# The scripts.
shell:
    bash -n .ci/contract .ci/run .ci/tools .ci/snapshots tests/suites/run
    shellcheck .ci/contract .ci/run .ci/tools .ci/snapshots tests/suites/run

# The Dockerfile.
docker:
    hadolint Dockerfile

# Licences, banned crates and sources of the dependencies.
deny:
    cargo deny --log-level error check --hide-inclusion-graph bans licenses sources

# Known faults in the dependencies, by a list that fails when it is 30 days old.
advisories:
    .ci/advisories

# Write the list anew, from a clone of rustsec/advisory-db or from the network. Then look at its date:
# faults published later go into .ci/advisories.d/own.toml.
advisories-refresh clone="":
    #!/usr/bin/env bash
    set -euo pipefail
    clone="{{ clone }}"
    if [ -z "$clone" ]; then
        clone="$(mktemp -d)"
        trap 'rm -rf "$clone"' EXIT
        git clone --quiet --depth 1 https://github.com/rustsec/advisory-db "$clone"
    fi
    .ci/advisories --refresh "$clone"

# The same by cargo-deny, which also finds withdrawn versions. It fetches the database.
advisories-online:
    cargo deny check advisories

# Dependencies and files that nothing uses.
shear:
    cargo shear

# Lints, every target of every package.
clippy:
    cargo clippy --workspace --all-targets -- -D warnings

# The tests, on SQLite and on a throw-away PostgreSQL; then that each committed snapshot was read.
test:
    .ci/snapshots cargo test

# Crashes under load, 100 of each kind: of the service, and of the database. Ten minutes.
crash rounds="100":
    ROLLCALL_TEST_CRASHES={{ rounds }} cargo test --test it kill:: -- --nocapture

# Suites that others wrote, and a client library, against the debug binary on both databases. See docs/conformance.md.
suites *names:
    cargo build --quiet
    tests/suites/run {{ names }}

# Requests as real identity providers send them, on both databases. Needs ../shared.
field:
    cargo build --quiet
    PYTHONDONTWRITEBYTECODE=1 python3 tests/suites/field.py --binary "${CARGO_TARGET_DIR:-target}/debug/rollcall"

# docs/conformance.md is what the tests say. With --write it is written anew.
conformance *args:
    python3 tests/conformance/conformance.py {{ args }}

# What `rollcall setup` sends is legal by Okta's own description of its API. Needs ../shared, node and npm.
contract:
    .ci/contract

# What it does under load, beside what this machine does without it: ten minutes. See docs/performance.md.
bench *args: wrk
    cargo bench --bench load -- {{ args }}

# The same for a million users against a thousand.
bench-million *args: wrk
    cargo bench --bench load -- --users 1000,1000000 {{ args }}

# A flame graph of the server during one operation: `just profile create --database sqlite`. See docs/performance.md.
profile operation *args: wrk
    #!/usr/bin/env bash
    set -euo pipefail
    command -v perf >/dev/null || { apt-get update -qq; apt-get install -y -qq --no-install-recommends linux-perf; }
    tools="${CARGO_TARGET_DIR:-target}/tools"
    [ -x "$tools/bin/inferno-flamegraph" ] || cargo install --quiet --locked --root "$tools" inferno
    recorded="$(cargo bench --bench load -- --profile {{ operation }} {{ args }} | tee /dev/stderr | sed -n 's/^recorded //p')"
    for file in $recorded; do
        perf script --no-inline --input "$file" 2>/dev/null | "$tools/bin/inferno-collapse-perf" >"${file%.perf}.folded"
        "$tools/bin/inferno-flamegraph" --title "{{ operation }}" <"${file%.perf}.folded" >"${file%.perf}.svg"
        rm "$file"
        echo "${file%.perf}.folded ${file%.perf}.svg"
    done

# wrk sends the load.
[private]
wrk:
    command -v wrk >/dev/null || { apt-get update -qq; apt-get install -y -qq --no-install-recommends wrk; }

# How the cost of a request grows with the directory, on both databases: minutes. See docs/performance.md.
bench-scaling *args:
    cargo bench --bench scaling -- {{ args }}

# A walk over 200,000 users by cursor, while others come and go: everyone once, and each page for the same price.
bench-walk *args:
    cargo bench --bench walk -- {{ args }}

# A bulk of 1,000 creates against 1,000 POSTs: a minute. See docs/performance.md.
bench-bulk *args:
    cargo bench --bench bulk -- {{ args }}

# Twice the rate that it can keep up with, and idle connections, on both databases. See docs/performance.md.
bench-overload *args:
    cargo bench --bench overload -- {{ args }}

# What attacks from one tenant do to another, on both databases: five minutes. See docs/limits.md.
attack *args:
    cargo bench --bench attack -- {{ args }}

# A million random requests over both databases. With --requests fewer, with --seed others.
fuzz *args:
    cargo bench --bench fuzz -- {{ args }}

# The documentation builds without a broken link.
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items

# The libraries stand by themselves: each packs and builds alone, and the fuzz targets still compile.
packages:
    cargo package --package scim-filter-parser --package scim-core --package okta-client --locked --allow-dirty --quiet
    cargo check --locked --manifest-path crates/scim-filter-parser/fuzz/Cargo.toml

# Mutation tests of the libraries: changes of the code that no unit test notices. Hours for all of it, so
# give a share: `just mutants 0/20` is the first of twenty. See docs/mutants.md.
mutants shard="0/1" *args:
    cargo mutants --version >/dev/null 2>&1 || cargo install --quiet --locked cargo-mutants
    PROPTEST_CASES=32 nice -n 10 cargo mutants --package scim-core --package scim-filter-parser --package okta-client --output target --shard {{ shard }} {{ args }}

# The steps before left nothing changed and nothing new: the lock file, the OpenAPI document, snapshots.
clean-tree:
    git diff --exit-code
    left="$(git status --porcelain)"; echo "$left"; test -z "$left"
