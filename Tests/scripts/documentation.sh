#!/usr/bin/env bash
# Converts the DocC catalogs of the library products; a link that leads nowhere fails.
# The pages stay in .build/documentation. After an edit of comments alone, build from nothing first:
# the build keeps an older module when only comments have changed.
set -euo pipefail
cd "$(dirname "$0")/../.."
docc="$(command -v docc || xcrun --find docc 2>/dev/null)" || { echo "docc: skipped: absent"; exit 0; }
build="$(swift build -c release --show-bin-path)"
target="$(swift -print-target-info | sed -n 's/.*"unversionedTriple": "\(.*\)".*/\1/p')"
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
includes=(-I "$build/Modules")
# The C modules beneath: written by hand, or made by the build.
for map in .build/checkouts/*/Sources/*/include Sources/C* "$build"/*.build; do
  [ ! -e "$map/module.modulemap" ] || includes+=(-I "$map")
done
mkdir -p .build/documentation
for name in IngotFormat ReFusion Tokenization; do
  mkdir -p "$scratch/$name"
  swift symbolgraph-extract -module-name "$name" -target "$target" "${includes[@]}" \
    -minimum-access-level public -skip-inherited-docs -output-dir "$scratch/$name"
  "$docc" convert "Sources/$name/$name.docc" --additional-symbol-graph-dir "$scratch/$name" \
    --fallback-display-name "$name" --fallback-bundle-identifier "ingot.$name" \
    --warnings-as-errors --output-path ".build/documentation/$name.doccarchive"
done
echo "docc: pages of IngotFormat, ReFusion, Tokenization"
