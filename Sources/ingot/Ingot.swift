import ArgumentParser
import Bytes
import Foundation

/// The command line. Each subcommand has its own file and stays thin; this one maps outcomes to
/// exit statuses: 0 done, 1 parity failed, 2 bad input or I/O, 64 wrong usage.
@main
struct Ingot: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ingot",
    abstract:
      "Casts ReFusion checkpoints into .ingot files, runs them, and proves they still behave.",
    discussion: """
      Examples:
        ingot inspect checkpoint/
        ingot convert checkpoint/ model.ingot
        ingot quantize model.ingot model-int4.ingot --recipe int4
        ingot generate model-int4.ingot --prompt 'What is 2+2?'
        ingot verify --reference model.ingot --candidate model-int4.ingot --pairs eval.json

      Exit status: 0 done (verify: passed), 1 parity failed, 2 bad input or I/O, 64 wrong usage.
      """,
    version: BuildInformation.versionAndCommit,
    subcommands: [
      Inspect.self, Convert.self, Quantize.self, Check.self, Tokenize.self, Generate.self,
      Perplexity.self, Verify.self, Bench.self, Pack.self, Unpack.self,
    ])

  static func main() {
    SignalGuard.install()
    do {
      var command = try parseAsRoot()
      try command.run()
    } catch let error as IngotError {
      Terminal.complain(error)
      Foundation.exit(2)
    } catch {
      exit(withError: error)
    }
  }
}

/// What this program is.
enum BuildInformation {
  /// Recorded in files as their maker: without the commit, so that equal input gives equal bytes
  /// before and after a change of the documentation.
  static let version = "0.1.0"
  /// What `--version` prints. The commit ends in `-dirty` when the tree had changes.
  static let versionAndCommit = "\(version) (commit \(recordedCommit))"
}
