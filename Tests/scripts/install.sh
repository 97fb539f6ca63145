#!/usr/bin/env bash
# Installs into a scratch folder, then uses what was installed: the program, completions in bash,
# and every man page.
set -euo pipefail
root="$(cd "$(dirname "$0")/../.." && pwd)"
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
"$root/samples/install.sh" --prefix "$scratch" >"$scratch/log"

"$scratch/bin/ingot" --version | grep -Eq '^[0-9.]+ \(commit ([0-9a-f]{12}(-dirty)?|unknown)\)$' \
  || { echo "install: --version names no commit" >&2; exit 1; }

commands="$("$scratch/bin/ingot" --experimental-dump-help | python3 -c '
import json, sys
print(*[c["commandName"] for c in json.load(sys.stdin)["command"]["subcommands"]])' 2>/dev/null)" \
  || { echo "install: skipped: needs python3"; exit 0; }

# Completes "ingot WORDS…" as a shell would, in a shell that has nothing else loaded.
complete_in_bash() {
  bash --norc --noprofile -c '
    source "$0"
    complete -p ingot >/dev/null
    COMP_WORDS=(ingot "$@") COMP_CWORD=$# COMP_LINE="ingot $*" COMP_POINT=${#COMP_LINE}
    _ingot ingot "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
    printf "%s\n" "${COMPREPLY[@]}"' "$scratch/share/bash-completion/completions/ingot" "$@"
}
for command in $commands; do
  complete_in_bash "${command%?}" | grep -Eq "^$command *$" \
    || { echo "install: bash does not complete $command" >&2; exit 1; }
done
complete_in_bash quantize --rec | grep -q -- --recipe \
  || { echo "install: bash does not complete options" >&2; exit 1; }

# Without man, the pages are only looked for.
for command in $commands; do
  [ "$command" = help ] && continue
  page="$scratch/share/man/man1/ingot.$command.1"
  [ -s "$page" ] || { echo "install: no man page for $command" >&2; exit 1; }
  command -v man >/dev/null || continue
  text="$(MANWIDTH=100 man --warnings -l "$page" 2>"$scratch/warnings")"
  [ ! -s "$scratch/warnings" ] || { cat "$scratch/warnings" >&2; exit 1; }
  case "$text" in *SYNOPSIS*"$command"*) ;; *) echo "install: $page is empty" >&2; exit 1 ;; esac
done
echo "install: program, completions and man pages of $(wc -w <<<"$commands") commands"
