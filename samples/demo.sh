#!/usr/bin/env bash
# The main job on real weights, from a fresh clone: installs what is missing, builds, then inspects,
# converts, quantizes, generates and verifies the small trained model in samples/tiny-refusion.
# Stops at the first failure. Results go to .build/demo (or the folder given).
set -euo pipefail
cd "$(dirname "$0")/.."
out="${1:-.build/demo}"
checkpoint=samples/tiny-refusion
pairs=samples/eval.json
bold='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$'\033[1m' plain=$'\033[0m'; fi

step() { printf '\n%s▸ %s%s\n' "$bold" "$*" "$plain"; }
run() { printf '$ ingot %s\n' "$*"; "$ingot" "$@"; }

step "Requirements"
bash samples/install-requirements.sh
echo "ok"

step "Build (minutes the first time, most of this script's)"
swift build -c release --product ingot
ingot="$(swift build -c release --show-bin-path)/ingot"
built=$SECONDS
mkdir -p "$out"

step "What is in the checkpoint"
run inspect "$checkpoint"

step "Convert it, losslessly, into one file"
run convert "$checkpoint" "$out/model.ingot"
run check "$out/model.ingot" --source "$checkpoint"

step "Quantize it to 8 and to 4 bits"
run quantize "$out/model.ingot" "$out/int8.ingot" --recipe int8 --quiet
run quantize "$out/model.ingot" "$out/int4.ingot" --recipe int4

# The fastest setting found for this model, with the published thresholds: samples/README.md.
settings=(--slot-size 32 --blocks 2 --max-tokens 64 --slot-threshold 0.9 --token-threshold 0.4)
step "Answer questions with ReFusion decoding, then the same ones a token at a time"
run generate "$out/int4.ingot" --pairs "$pairs" --limit 3 "${settings[@]}"
run generate "$out/int4.ingot" --pairs "$pairs" --limit 3 --decoder autoregressive --max-tokens 64

step "How fast: 64 questions, a row for each model and decoder"
# Sums the lines of `generate --json`.
speed() {  # file, decoder, options
  local file=$1 decoder=$2
  shift 2
  "$ingot" generate "$out/$file.ingot" --pairs "$pairs" --limit 64 --decoder "$decoder" --json "$@" \
    | awk -v file="$file" -v decoder="$decoder" '
      function field(name,  rest) {
        rest = substr($0, index($0, "\"" name "\":") + length(name) + 3)
        return rest + 0
      }
      { calls += field("forwards"); seconds += field("seconds")
        tokens += field("forwards") * field("tokens_per_forward") }
      END { printf "%-8s %-16s %8d %10.2f %10d %14.2f\n",
              file, decoder, tokens, seconds, tokens / seconds, tokens / calls }'
}
printf '%-8s %-16s %8s %10s %10s %14s\n' model decoder tokens seconds tokens/s tokens/forward
for file in model int8 int4; do
  speed $file refusion "${settings[@]}"
  speed $file autoregressive --max-tokens 64
done

step "Does the quantized model still behave?"
for file in int8 int4; do
  run verify --reference "$out/model.ingot" --candidate "$out/$file.ingot" --pairs "$pairs" \
    --limit 32 --decode-pairs 8 "${settings[@]}" --report "$out/$file.html"
done

step "Done in $SECONDS s, $built s of them until the build was there"
case "$out" in /*) ;; *) out=$PWD/$out ;; esac
printf 'Reports to open in a browser:\n  %s\n  %s\n' "$out/int8.html" "$out/int4.html"
