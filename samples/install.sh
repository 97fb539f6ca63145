#!/usr/bin/env bash
# Installs ingot: the program, a man page for each command, and completions for bash, zsh and fish.
#
#   samples/install.sh                        into /usr/local for root, else ~/.local
#   samples/install.sh --prefix DIR           into another place
#   samples/install.sh --static               with Swift's libraries inside the program
#
# Without --static the program is that of Tests/run.sh, which finds Swift's libraries where the
# toolchain is.
set -euo pipefail
cd "$(dirname "$0")/.."
prefix=$HOME/.local
[ "$(id -u)" -ne 0 ] || prefix=/usr/local
build=(-c release)
while [ $# -gt 0 ]; do
  case "$1" in
  --prefix) prefix=${2:?--prefix needs a folder}; shift 2 ;;
  # Static code is compiled differently: a folder of its own keeps the other build fast.
  --static) build=(-c release --scratch-path .build/static --static-swift-stdlib); shift ;;
  *) sed -n '2,10s/^# \{0,1\}//p' "$0" >&2; exit 64 ;;
  esac
done

bash samples/install-requirements.sh
swift build "${build[@]}" --product ingot
program=$(swift build "${build[@]}" --show-bin-path)/ingot
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

put() {  # file, folder below the prefix, name
  install -d "$prefix/$2"
  install -m "${4:-644}" "$1" "$prefix/$2/$3"
  echo "$prefix/$2/$3"
}
put "$program" bin ingot 755
for shell in bash zsh fish; do "$program" --generate-completion-script $shell >"$work/$shell"; done
put "$work/bash" share/bash-completion/completions ingot
put "$work/zsh" share/zsh/site-functions _ingot
put "$work/fish" share/fish/vendor_completions.d ingot.fish
mkdir -p "$work/man"
swift package -c release plugin --allow-writing-to-directory "$work/man" generate-manual \
  --multi-page --output-directory "$work/man" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
# A paragraph in mdoc is a macro, not an empty line.
sed -i.orig 's/^$/.Pp/' "$work"/man/*.1
for page in "$work"/man/*.1; do put "$page" share/man/man1 "$(basename "$page")"; done
