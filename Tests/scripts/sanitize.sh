#!/bin/sh
# Compiles the kernels with the address and undefined-behaviour sanitizers and runs every table on
# edge shapes, memory exactly as large as it may use; the bits must be those of the definition.
# Takes minutes, so only when asked: INGOT_SANITIZE=1 Tests/scripts/sanitize.sh
# Exit status: 0 clean or skipped (the last line says which), 1 a fault or other bits, 2 does not
# compile.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
compiler=${CC:-clang}
skip() { echo "sanitize: skipped: $1"; exit 0; }
[ "${INGOT_SANITIZE:-0}" = 1 ] || skip "set INGOT_SANITIZE=1 to run it"
command -v "${compiler%% *}" >/dev/null || skip "no C compiler ($compiler)"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Unaligned vector access goes through memcpy or intrinsics, which the sanitizers understand.
flags="-std=c17 -O1 -g -ffp-contract=off -fno-omit-frame-pointer -Wno-pass-failed"
flags="$flags -fsanitize=address,undefined -fno-sanitize-recover=all"
$compiler $flags -I "$root/Sources/CIngotKernels/include" "$root/Tests/neon/kernel_bits.c" \
  "$root"/Sources/CIngotKernels/ingot_*.c -lm -lpthread -o "$work/bits" || exit 2

"$work/bits" scalar edges >"$work/definition" || { echo "sanitize: scalar: FAULT"; exit 1; }
status=0
for table in $("$work/bits"); do
  if ! "$work/bits" "$table" edges >"$work/found"; then
    echo "sanitize: $table: FAULT"
    status=1
  elif cmp -s "$work/definition" "$work/found"; then
    echo "sanitize: $table: $(wc -l <"$work/found") cases, clean, all bits equal"
  else
    echo "sanitize: $table: DIFFERENT"
    diff "$work/definition" "$work/found" | head -10
    status=1
  fi
done
exit $status
