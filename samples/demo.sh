#!/usr/bin/env bash
# The main job on real weights, from a fresh clone: installs what is missing, builds, then inspects,
# converts, quantizes, generates and verifies the small trained model in samples/tiny-refusion.
# Stops at the first failure. Results go to .build/demo (or the folder given).
set -euo pipefail
cd "$(dirname "$0")/.."
out="${1:-.build/demo}"
checkpoint=samples/tiny-refusion
pairs=samples/eval.json

step() { printf '\n\033[1m▸ %s\033[0m\n' "$*"; }
run() { printf '$ ingot %s\n' "$*"; "$ingot" "$@"; }

step "Requirements"
bash samples/install-requirements.sh
echo "ok"

step "Build (a few minutes the first time)"
swift build -c release --product ingot
ingot="$(swift build -c release --show-bin-path)/ingot"
mkdir -p "$out"

step "What is in the checkpoint"
run inspect "$checkpoint"

step "Convert it, losslessly, into one file"
run convert "$checkpoint" "$out/model.ingot"
run check "$out/model.ingot" --source "$checkpoint"

step "Quantize it to 8 and to 4 bits"
run quantize "$out/model.ingot" "$out/int8.ingot" --recipe int8 --quiet
run quantize "$out/model.ingot" "$out/int4.ingot" --recipe int4

step "Answer questions with ReFusion decoding, then one token at a time"
settings=(--slot-size 16 --blocks 1 --max-tokens 64 --slot-threshold 0.6 --token-threshold 0.3)
run generate "$out/int8.ingot" --pairs "$pairs" --limit 3 "${settings[@]}"
run generate "$out/int8.ingot" --pairs "$pairs" --limit 3 --decoder autoregressive --max-tokens 64

step "Does the quantized model still behave?"
run verify --reference "$out/model.ingot" --candidate "$out/int8.ingot" --pairs "$pairs" \
  --limit 32 --decode-pairs 8 "${settings[@]}" --report "$out/int8.html" || failed=1
run verify --reference "$out/model.ingot" --candidate "$out/int4.ingot" --pairs "$pairs" \
  --limit 32 --decode-pairs 8 "${settings[@]}" --report "$out/int4.html" || failed=1

printf '\nReports: %s and %s\n' "$PWD/$out/int8.html" "$PWD/$out/int4.html"
exit "${failed:-0}"
