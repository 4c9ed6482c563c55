# Sourced by ./run, ./test and .ci/run: installs Debian packages that are missing.
# shellcheck shell=bash

# need COMMAND PACKAGE...: installs the packages unless the command is there.
need() {
    local command=$1
    shift
    if command -v "$command" >/dev/null; then
        return
    fi
    echo "-- $command is missing: installing $*"
    if ! command -v apt-get >/dev/null; then
        echo "Please install $command; this script knows Debian's apt-get only." >&2
        return 1
    fi
    local root=()
    if [ "$(id -u)" != 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "Please install $* as root: apt-get install $*" >&2
            return 1
        fi
        root=(sudo)
    fi
    local -x DEBIAN_FRONTEND=noninteractive
    if [ -z "${APT_UPDATED:-}" ]; then
        "${root[@]}" apt-get update -qq
        APT_UPDATED=yes
    fi
    # Packages of servers start them. Ours are started by the tests, so nothing else is to hold their ports.
    local policy=/usr/sbin/policy-rc.d ours=
    if [ ! -e "$policy" ]; then
        ours=yes
        printf '#!/bin/sh\nexit 101\n' | "${root[@]}" tee "$policy" >/dev/null
        "${root[@]}" chmod +x "$policy"
    fi
    local status=0
    "${root[@]}" apt-get install -y -qq --no-install-recommends "$@" >/dev/null </dev/null || status=$?
    if [ -n "$ours" ]; then
        "${root[@]}" rm -f "$policy"
    fi
    return "$status"
}

# What building takes.
need_toolchain() {
    if ! command -v cargo >/dev/null && [ -f "$HOME/.cargo/env" ]; then
        # shellcheck disable=SC1091
        . "$HOME/.cargo/env"
    fi
    if ! command -v cargo >/dev/null; then
        echo "Please install Rust first (https://rustup.rs): cargo is missing." >&2
        return 1
    fi
    # The cryptography library has parts in C and assembly.
    need cc gcc libc6-dev
}
