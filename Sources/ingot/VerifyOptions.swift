import ArgumentParser
import Bytes
import Foundation
import Kernels
import Parity

/// What `verify` evaluates.
struct VerifyScope: ParsableArguments {
  @Option(name: .long, help: ArgumentHelp("Only the first N pairs.", valueName: "n"))
  var limit: Int?
  @Option(
    name: .long, help: ArgumentHelp("Decode the first N pairs; 0 for none.", valueName: "n"))
  var decodePairs = 16
  @Option(
    name: .long, help: ArgumentHelp("Slot sizes of the slot likelihood.", valueName: "list"),
    transform: Perplexity.parseSizes)
  var likelihoodSlots: [Int] = [8, 32]
  @Option(
    name: .long,
    help: ArgumentHelp("Draws of the training objective's masks per pair.", valueName: "n"))
  var objectiveDraws = 1
  @Flag(name: .long, help: "Stop as soon as the outcome is clear.") var earlyStop = false
  @Option(
    name: .long,
    help: ArgumentHelp("Do part I of N of the pairs, for array jobs.", valueName: "i/n"),
    transform: Self.parseShard)
  var shard: Shard?
  @Flag(name: .long, help: "Feed queries as they are, without the chat template.") var raw = false
  @Option(
    name: .long,
    help: ArgumentHelp(
      "Gigabytes to stay within; default: most of this machine's. Models that do not fit together "
        + "are run in turns.", valueName: "gb"))
  var memory: Double?
  @Flag(
    name: .long,
    help: "Find what the drift comes from: kind of rounding, layer, tensor.")
  var attribute = false
  @Option(name: .long, help: ArgumentHelp("Pairs that --attribute looks at.", valueName: "n"))
  var attributePairs = 4

  static func parseShard(_ text: String) throws -> Shard {
    guard let shard = Shard(text) else {
      throw ValidationError("--shard '\(text)' is not I/N with 1 ≤ I ≤ N.")
    }
    return shard
  }

  func validate() throws {
    if let limit, limit < 1 { throw ValidationError("--limit must be at least 1.") }
    guard decodePairs >= 0 else { throw ValidationError("--decode-pairs must not be negative.") }
    guard (0...64).contains(objectiveDraws) else {
      throw ValidationError("--objective-draws must be between 0 and 64.")
    }
    if let memory, !(memory > 0 && memory < 1e9) {
      throw ValidationError("--memory must be a positive number of gigabytes.")
    }
    guard attributePairs >= 1 else {
      throw ValidationError("--attribute-pairs must be at least 1.")
    }
    if earlyStop, shard != nil {
      throw ValidationError("A shard sees only a part, so it cannot stop early.")
    }
  }
}

/// The limits of `verify`: defaults by the candidate's scheme, a policy file, and options over both.
struct VerifyLimits: ParsableArguments {
  @Option(
    name: .long, help: ArgumentHelp("Limits as a JSON object.", valueName: "file"),
    completion: .file())
  var policy: String?
  @Option(name: .long, help: ArgumentHelp("Largest mean KL, nats.", valueName: "x"))
  var maxKl: Double?
  @Option(name: .long, help: ArgumentHelp("Largest 99th percentile of KL, nats.", valueName: "x"))
  var maxKlP99: Double?
  @Option(name: .long, help: ArgumentHelp("Smallest top-1 agreement, 0 to 1.", valueName: "x"))
  var minTop1: Double?
  @Option(
    name: .long, help: ArgumentHelp("Largest increase of perplexity; 0.01 is 1 %.", valueName: "x"))
  var maxPplIncrease: Double?
  @Option(
    name: .long, help: ArgumentHelp("Smallest share of identical outputs, 0 to 1.", valueName: "x"))
  var minExact: Double?
  @Option(
    name: .long, help: ArgumentHelp("Largest share of flipped decisions, 0 to 1.", valueName: "x"))
  var maxFlips: Double?

  func policy(for candidate: ParityPolicy.CandidateClass) throws -> ParityPolicy {
    var result = ParityPolicy.defaults(for: candidate)
    if let policy {
      do throws(IngotError) {
        let bytes = try InputFile.read(policy, limit: 1 << 20)
        result = try ParityPolicy(
          json: bytes, name: URL(fileURLWithPath: policy).lastPathComponent, over: result)
      } catch { throw error.inFile(policy) }
    }
    let before = result
    result.maximumDivergence = maxKl ?? result.maximumDivergence
    result.maximumTailDivergence = maxKlP99 ?? result.maximumTailDivergence
    result.minimumTopOne = minTop1 ?? result.minimumTopOne
    result.maximumPerplexityIncrease = maxPplIncrease ?? result.maximumPerplexityIncrease
    result.minimumExact = minExact ?? result.minimumExact
    result.maximumFlips = maxFlips ?? result.maximumFlips
    if result != before { result.name += ", changed by options" }
    try result.check()
    return result
  }
}

/// Where `verify` writes.
struct VerifyOutput: ParsableArguments {
  @Option(
    name: .long, help: ArgumentHelp("Write the report as one HTML file.", valueName: "file"),
    completion: .file())
  var report: String?
  @Option(
    name: .long, help: ArgumentHelp("Write the report as JSON.", valueName: "file"),
    completion: .file())
  var json: String?
  @Option(
    name: .long, help: ArgumentHelp("Write the report for a pull request.", valueName: "file"),
    completion: .file())
  var markdown: String?
  @Flag(name: .long, help: "No progress bar and no text; only files and the exit status.")
  var quiet = false
  @Option(name: .long, help: ArgumentHelp("Threads to use; default: all cores.", valueName: "n"))
  var threads: Int?

  func validate() throws {
    if let threads, !(1...1024).contains(threads) {
      throw ValidationError("--threads must be between 1 and 1024.")
    }
  }

  func makePool() -> ThreadPool { ThreadPool(threads: threads ?? ThreadPool.availableCores) }
}
