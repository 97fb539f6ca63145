#!/usr/bin/env bash
# Runs every command that the README shows: lines that start with "$ ingot" in console blocks, in
# order, in a scratch folder with the repository's samples.
set -euo pipefail
root="$(cd "$(dirname "$0")/../.." && pwd)"
bin="$(cd "$root" && swift build -c release --show-bin-path)"
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
ln -s "$root/samples" "$scratch/samples"
cd "$scratch"
export PATH="$bin:$PATH"
count=0
while IFS= read -r line; do
  command="${line#\$ }"
  if ! bash -c "$command" >"$scratch/out" 2>&1; then
    echo "README command failed: $command" >&2
    cat "$scratch/out" >&2
    exit 1
  fi
  count=$((count + 1))
done < <(awk '/^```console/{on=1;next} /^```/{on=0} on && /^\$ /' "$root/README.md")
[ "$count" -ge 5 ] || { echo "only $count commands found in the README" >&2; exit 1; }
echo "README: $count commands run"
