#!/usr/bin/env bash
# Builds Ingot and runs all of its tests, on a fresh machine too: installs what is missing, then
# checks formatting, the Swift tests (in release mode: the kernels are what is tested), the NEON
# kernels under emulation, and the commands of the README.
#
#   Tests/run.sh             everything
#   Tests/run.sh FILTER      only the Swift tests that match
set -euo pipefail
cd "$(dirname "$0")/.."
bash samples/install-requirements.sh --tests

if [ $# -gt 0 ]; then
  swift build -c release --build-tests
  exec swift test -c release --skip-build --filter "$1"
fi

swift format lint --strict --recursive --parallel Sources Tests Package.swift
echo "format: clean"
swift build -c release --product ingot
swift build -c release --build-tests
for script in Tests/scripts/*.sh; do
  [ -e "$script" ] || continue
  echo "== $script"
  bash "$script"
done
swift test -c release --skip-build
