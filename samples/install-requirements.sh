#!/usr/bin/env bash
# Installs the system packages that Ingot builds with, when they are missing, so that
# samples/demo.sh and Tests/run.sh work on a fresh machine that has only Swift.
#
#   samples/install-requirements.sh           to build and run
#   samples/install-requirements.sh --tests   and what tests use beyond that; those that cannot
#                                             be installed are left out, and their tests say so
set -euo pipefail

if ! command -v swift >/dev/null; then
  echo "Swift 6.1 or newer is needed: https://www.swift.org/install" >&2
  exit 2
fi
extras=no
[ "${1:-}" != --tests ] || extras=yes

as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }

# Fills `missing` with those of the packages that are not installed.
find_missing() {
  missing=()
  local package
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' \
      || missing+=("$package")
  done
}

updated=no
install() {
  [ $# -gt 0 ] || return 0
  echo "Installing $* …"
  [ "$updated" = yes ] || as_root apt-get update -qq
  updated=yes
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" \
    >"$log" 2>&1 || { cat "$log" >&2; return 1; }
}

case "$(uname -s)" in
Darwin)
  formulas=(zstd pkg-config)
  [ $extras = no ] || formulas+=(openblas)
  for formula in "${formulas[@]}"; do
    brew list "$formula" >/dev/null 2>&1 || brew install "$formula"
  done
  ;;
Linux)
  if ! command -v apt-get >/dev/null; then
    echo "No apt-get here: install git, g++, pkg-config and libzstd's headers yourself." >&2
    exit 0
  fi
  log=$(mktemp)
  trap 'rm -f "$log"' EXIT
  # g++ brings the C and C++ headers and the linker's start files, which Swift uses too.
  required=(ca-certificates git g++ pkg-config libzstd-dev)
  # The oracle that tests of dense products compare with.
  [ $extras = no ] || required+=(libopenblas-dev)
  find_missing "${required[@]}"
  install "${missing[@]}"
  # Libraries the Swift toolchain itself is linked with; its installers usually bring them.
  if ! swift package --version >/dev/null 2>&1; then
    find_missing libcurl4 libedit2 libncurses6 libsqlite3-0 libxml2 libz3-4 tzdata zlib1g-dev
    install "${missing[@]}"
    swift package --version >/dev/null
  fi
  if [ $extras = yes ]; then
    wanted=()
    python3 -c 'import numpy' 2>/dev/null || wanted+=(python3 python3-numpy)
    [ "$(uname -m)" != x86_64 ] || wanted+=(qemu-user-static gcc-aarch64-linux-gnu libc6-dev-arm64-cross)
    wanted+=(man-db)
    find_missing "${wanted[@]}"
    install "${missing[@]}" || echo "Not installed: ${missing[*]}; the tests that need them skip." >&2
  fi
  ;;
esac
