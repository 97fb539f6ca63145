import Foundation
import PackagePlugin

/// Writes the commit that is being built into a source file, for `ingot --version`.
///
/// Runs before every build and rewrites the file only when its content changes, so that a build
/// of the same commit compiles nothing. The file lies in the build folder, never in the tree.
@main
struct RecordCommit: BuildToolPlugin {
  /// $1: the package; $2: the folder to write to.
  ///
  /// In a clone the commit comes from git; in an archive that git made, from
  /// `archived-commit.txt`, which git fills in then (`.gitattributes`).
  private static let script = """
    commit=
    if [ -e "$1/.git" ]; then
      commit=$(GIT_OPTIONAL_LOCKS=0 git -c safe.directory='*' -C "$1" describe \
        --always --dirty --abbrev=12 --exclude '*' 2>/dev/null)
    else
      commit=$(cut -c 1-12 "$1/Sources/RecordCommit/archived-commit.txt" 2>/dev/null)
    fi
    case "$commit" in ''|'$'*) commit=unknown ;; esac
    mkdir -p "$2" && cd "$2" || exit 1
    printf '/// Written by the RecordCommit plugin.\\nlet recordedCommit = "%s"\\n' "$commit" >.new
    if cmp -s .new RecordedCommit.swift; then rm .new; else mv .new RecordedCommit.swift; fi
    """

  func createBuildCommands(context: PluginContext, target: any Target) throws -> [Command] {
    let folder = context.pluginWorkDirectoryURL.appending(path: "Recorded")
    return [
      .prebuildCommand(
        displayName: "Recording the commit", executable: URL(filePath: "/bin/sh"),
        arguments: [
          "-c", Self.script, "record-commit", context.package.directoryURL.path, folder.path,
        ],
        outputFilesDirectory: folder)
    ]
  }
}
