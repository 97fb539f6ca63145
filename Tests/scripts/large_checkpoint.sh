#!/usr/bin/env bash
# Casts a checkpoint with tensors of real size (the 8B shape: 1.2 GB the largest), as a user would,
# and checks what a large model needs: bounded memory, safety from kills at random moments, and from
# a disk that is too small.
#
#   Tests/scripts/large_checkpoint.sh                  one layer of it, 2.9 GB
#   INGOT_LARGE=1 Tests/scripts/large_checkpoint.sh    all 36 layers: 16.4 GB, needs 40 GB of disk
#
# INGOT_CHECKPOINT=FOLDER takes a checkpoint that is there instead of writing one.
# Exit status: 0 passed or skipped (the last line says which), 1 failed.
set -euo pipefail
root="$(cd "$(dirname "$0")/../.." && pwd)"
ingot="$(cd "$root" && swift build -c release --show-bin-path)/ingot"
skip() { echo "large checkpoint: skipped: $1"; exit 0; }
fail() { echo "large checkpoint: FAILED: $1" >&2; exit 1; }
[ -r /proc/self/status ] || skip "no /proc to read a process's memory from"

layers=1 gigabytes=8
if [ "${INGOT_LARGE:-0}" = 1 ]; then layers=36 gigabytes=40; fi
work="$(mktemp -d)"
trap 'umount "$work/small" 2>/dev/null || true; rm -rf "$work"' EXIT
free=$(df -Pk "$work" | awk 'NR == 2 { print int($4 / 1e6) }')
[ "$free" -ge $gigabytes ] || skip "needs $gigabytes GB of disk, $work has $free"

checkpoint=${INGOT_CHECKPOINT:-}
if [ -z "$checkpoint" ]; then
  python3 -c 'import numpy' 2>/dev/null || skip "needs python3 with NumPy to write a checkpoint"
  checkpoint="$work/checkpoint"
  python3 "$root/samples/make_checkpoint.py" qwen3-8b "$checkpoint" --layers $layers \
    --tokenizer "$root/samples/tiny-refusion" >"$work/log"
fi
bytes=$(cat "$checkpoint"/*.safetensors | wc -c)

# Runs a command and sets `seconds`, `anonymous` and `resident`: its peaks in MiB.
watched() {
  local start=$EPOCHREALTIME process value
  anonymous=0 resident=0
  "$@" &
  process=$!
  while value=$(awk '/^RssAnon|^VmHWM/ { print int($2 / 1024) }' "/proc/$process/status" 2>/dev/null)
  do
    # shellcheck disable=SC2086
    set -- $value
    [ $# -eq 2 ] || break
    [ "$1" -le "$resident" ] || resident=$1
    [ "$2" -le "$anonymous" ] || anonymous=$2
    sleep 0.05
  done
  wait "$process" || fail "a cast ended with status $?"
  seconds=$(awk -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }')
}

bounded() {  # name
  echo "large checkpoint: $1 of $((bytes / 1000000)) MB in $seconds s," \
    "$anonymous MiB anonymous, $resident MiB resident"
  [ "$anonymous" -gt 0 ] || fail "its memory was never seen"
  [ "$anonymous" -lt 512 ] || fail "$1 takes $anonymous MiB of anonymous memory; 512 are the limit"
  [ "$resident" -lt 1536 ] || fail "$1 has $resident MiB resident; 1536 are the limit"
}

watched "$ingot" convert "$checkpoint" "$work/model.ingot" --quiet >"$work/log"
bounded convert
rm "$work/model.ingot"
watched "$ingot" quantize "$checkpoint" "$work/expected.ingot" --recipe int4 --quiet >"$work/log"
bounded quantize

# Killed at random moments: the old file stays until the new one is complete, which has the bytes of
# an uninterrupted run.
mkdir "$work/out"
out="$work/out/model.ingot"
echo old >"$out"
RANDOM=7
for ((kill = 1; kill <= 8; kill++)); do
  "$ingot" quantize "$checkpoint" "$out" --recipe int4 --resume --quiet >"$work/log" 2>&1 &
  process=$!
  # Up to a quarter of the whole run.
  sleep "$(awk -v s="$seconds" -v r=$RANDOM 'BEGIN { print 0.1 + s / 4 * r / 32768 }')"
  kill -KILL $process 2>/dev/null || fail "the run was over before kill $kill"
  wait $process 2>/dev/null || true
  [ "$(head -c 4 "$out")" = old ] || fail "kill $kill left something under the final name"
done
"$ingot" quantize "$checkpoint" "$out" --recipe int4 --resume --quiet >"$work/log"
cmp "$out" "$work/expected.ingot" || fail "the resumed file differs"
[ "$(ls "$work/out")" = model.ingot ] || fail "left behind: $(ls "$work/out")"
echo "large checkpoint: killed 8 times and resumed: the same bytes, the old file until then"

# A disk that is too small, where this user may make one.
mkdir "$work/small"
if mount -t tmpfs -o size=64m tmpfs "$work/small" 2>/dev/null; then
  echo old >"$work/small/model.ingot"
  status=0
  "$ingot" quantize "$checkpoint" "$work/small/model.ingot" --recipe int4 --quiet 2>"$work/log" \
    || status=$?
  [ $status -eq 2 ] || fail "status $status on a full disk"
  grep -q "space" "$work/log" || fail "the message does not speak of space: $(cat "$work/log")"
  [ "$(ls -A "$work/small")$(cat "$work/small/model.ingot")" = model.ingotold ] \
    || fail "a full disk changed the folder: $(ls -A "$work/small")"
  echo "large checkpoint: a disk too small: refused, the old file kept"
else
  echo "large checkpoint: no right to mount a small disk, that part skipped"
fi
