#!/bin/sh
# Compiles the kernels and quantizers for AArch64, runs them under emulation, and compares every
# output bit with the scalar definition on this machine and with each of its own instruction sets. The
# hash functions likewise.
# Exit status: 0 equal or skipped (the last line says which), 1 different, 2 does not compile.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
cross=${INGOT_CROSS_CC:-clang --target=aarch64-linux-gnu}
native=${CC:-clang}
emulator=${INGOT_EMULATOR:-qemu-aarch64-static}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

skip() { echo "neon: skipped: $1"; exit 0; }
command -v "${native%% *}" >/dev/null || skip "no C compiler ($native)"
command -v "$emulator" >/dev/null || skip "no $emulator (Debian: qemu-user-static)"
echo 'int main(void) { return 0; }' >"$work/probe.c"
$cross -static "$work/probe.c" -o "$work/probe" 2>/dev/null && "$emulator" "$work/probe" \
  || skip "$cross cannot build for AArch64 (Debian: gcc-aarch64-linux-gnu)"

flags="-std=c17 -O2 -ffp-contract=off -I $root/Sources/CIngotKernels/include"
status=0
compare() {  # name, command
  name=$1
  shift
  "$@" >"$work/found"
  if cmp -s "$work/definition" "$work/found"; then
    echo "neon: $name: $(wc -l <"$work/found") cases, all bits equal"
  else
    echo "neon: $name: DIFFERENT"
    diff "$work/definition" "$work/found" | head -10
    status=1
  fi
}
for program in kernel quantize; do
  sources="$root/Tests/neon/${program}_bits.c $root/Sources/CIngotKernels/ingot_*.c"
  $cross $flags -static $sources -lm -lpthread -o "$work/bits.aarch64" || exit 2
  $native $flags $sources -lm -lpthread -o "$work/bits.native" || exit 2
  "$work/bits.native" scalar >"$work/definition"
  for table in $("$work/bits.native"); do
    [ "$table" = scalar ] || compare "$program $table here" "$work/bits.native" "$table"
  done
  for table in $("$emulator" "$work/bits.aarch64"); do
    compare "$program $table on AArch64" "$emulator" "$work/bits.aarch64" "$table"
  done
done

hashes="-std=c17 -O2 -I $root/Sources/CHashes/include $root/Tests/neon/hash_bits.c"
hashes="$hashes $root/Sources/CHashes/ingot_blake3.c $root/Sources/CHashes/ingot_sha256.c"
$cross $hashes -static -o "$work/hashes.aarch64" || exit 2
$native $hashes -o "$work/hashes.native" || exit 2
"$emulator" "$work/hashes.aarch64" >"$work/hashes.found"
"$work/hashes.native" >>"$work/hashes.found"
sort -u "$work/hashes.found" >"$work/values"
if [ -n "$(sed 's/ [^ ]*$//' "$work/values" | uniq -d)" ]; then
  echo "neon: hash functions: DIFFERENT"
  status=1
else
  echo "neon: hash functions: $(wc -l <"$work/values") cases, equal in every way of both machines"
fi
exit $status
