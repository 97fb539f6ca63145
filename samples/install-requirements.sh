#!/usr/bin/env bash
# Installs the system packages Ingot builds with, when they are missing. Sourced by samples/demo.sh
# and Tests/run.sh, so that both work on a fresh machine that has only Swift.
set -euo pipefail

if ! command -v swift >/dev/null; then
  echo "Swift 6.1 or newer is needed: https://www.swift.org/install" >&2
  exit 2
fi

case "$(uname -s)" in
Darwin)
  for formula in zstd openblas pkg-config; do
    brew list "$formula" >/dev/null 2>&1 || brew install "$formula"
  done
  ;;
Linux)
  missing=()
  for package in pkg-config libzstd-dev libopenblas-dev; do
    dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
  done
  if [ ${#missing[@]} -gt 0 ]; then
    sudo=""
    [ "$(id -u)" -eq 0 ] || sudo="sudo"
    echo "Installing ${missing[*]} …"
    $sudo apt-get update -qq
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}" >/dev/null
  fi
  ;;
esac
