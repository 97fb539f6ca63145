import ArgumentParser
import Bytes
import Foundation
import Kernels
import Parity
import ReFusion

struct Verify: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Decide whether a candidate still behaves like its reference.",
    discussion: """
      Compares likelihoods, distributions and decoding on the same pairs, masks and seeds, and
      exits with 0 when the candidate passes, 1 when it fails or the data cannot decide, 2 when
      nothing could be measured.

      Examples:
        ingot verify --reference model.ingot --candidate int4.ingot --pairs eval.json
        ingot verify --reference model.ingot --candidate int8.ingot --pairs eval.json \\
          --max-kl 0.01 --report parity.html --json parity.json
        ingot verify … --shard 2/8 --json part2.json
        ingot verify --merge part*.json --report parity.html
      """)

  @Option(name: .long, help: "The .ingot file to measure against.") var reference: String?
  @Option(name: .long, help: "The .ingot file to be judged.") var candidate: String?
  @Option(name: .long, help: ArgumentHelp("Query/response pairs.", valueName: "file"))
  var pairs: String?
  @Option(name: .long, help: ArgumentHelp("Only the first N pairs.", valueName: "n"))
  var limit: Int?
  @Option(
    name: .long, help: ArgumentHelp("Slot sizes of the slot likelihood.", valueName: "list"),
    transform: Perplexity.parseSizes)
  var likelihoodSlots: [Int] = [8, 32]
  @Option(name: .long, help: "Draws of the training objective's masks for each pair.")
  var draws = 1
  @Option(
    name: .long,
    help: ArgumentHelp("Pairs decoded with both models, from the front.", valueName: "n"))
  var decodePairs = 16
  @OptionGroup var decoding: DecodingOptions
  @OptionGroup var limits: LimitOptions
  @Flag(name: .long, help: "Stop as soon as the outcome is decided.") var earlyStop = false
  @Flag(
    name: .long,
    help: "Split drift into weights, activations and cache, and name the tensors that cost most.")
  var attribute = false
  @Option(name: .long, help: ArgumentHelp("Do only part I of N of the pairs.", valueName: "i/n"))
  var shard: String?
  @Option(
    name: .long, parsing: .upToNextOption,
    help: ArgumentHelp("Judge the evidence of these shards instead.", valueName: "files"))
  var merge: [String] = []
  @Option(name: .long, help: ArgumentHelp("Write a report as one HTML file.", valueName: "file"))
  var report: String?
  @Option(name: .long, help: ArgumentHelp("Write a report as Markdown.", valueName: "file"))
  var markdown: String?
  @Option(
    name: .long, help: ArgumentHelp("Write the report (or shard) as JSON.", valueName: "file"))
  var json: String?
  @OptionGroup var runtime: RuntimeOptions
  @OptionGroup var process: ProcessOptions

  func validate() throws {
    if merge.isEmpty, reference == nil || candidate == nil || pairs == nil {
      throw ValidationError("Give --reference, --candidate and --pairs, or --merge.")
    }
    if let shard, Shard(shard) == nil {
      throw ValidationError("--shard takes I/N with 1 ≤ I ≤ N, such as 2/8.")
    }
    if shard != nil, json == nil { throw ValidationError("--shard needs --json for its evidence.") }
    if shard != nil, earlyStop {
      throw ValidationError("--early-stop decides on all pairs, so it does not go with --shard.")
    }
    if !(0...64).contains(draws) { throw ValidationError("--draws must be between 0 and 64.") }
    if decodePairs < 0 { throw ValidationError("--decode-pairs must not be negative.") }
  }

  func run() throws {
    let outcome = try merge.isEmpty ? measure() : merged()
    guard outcome.evidence.shard == nil else { return try writeShard(outcome.evidence) }
    let report = ParityReport(
      evidence: outcome.evidence, policy: outcome.policy, looks: outcome.looks)
    try write(report)
    if !process.quiet { print(VerdictText(report).text) }
    guard report.verdict == .pass else { throw ExitCode(1) }
  }

  private typealias Outcome = (evidence: ParityEvidence, policy: ParityPolicy, looks: Int)

  private func measure() throws -> Outcome {
    guard let reference, let candidate, let pairs else { throw ExitCode(64) }
    let run = try VerificationRun(
      reference: reference, candidate: candidate, pairsPath: pairs, command: self)
    return try run.collect()
  }

  private func merged() throws -> Outcome {
    let shards = try merge.map { path -> ParityEvidence in
      guard let data = FileManager.default.contents(atPath: path) else {
        throw IngotError("report.open", "cannot be read", path: path)
      }
      do throws(IngotError) {
        guard case .evidence(let evidence) = try ParityDocument(json: [UInt8](data)) else {
          throw IngotError(
            "report.notShard", "is a finished report, not a shard's evidence",
            advice: "Give files written with --shard I/N --json FILE.")
        }
        return evidence
      } catch { throw error.inFile(path) }
    }
    let evidence = try ParityEvidence.merged(shards)
    return (evidence, try limits.policy(for: evidence.inputs), 1)
  }

  private func writeShard(_ evidence: ParityEvidence) throws {
    guard let json else { return }
    try OutputFile.write(ParityDocument.evidence(evidence).json(.compact), to: json)
    if !process.quiet { print("\(json): evidence of \(evidence.pairs.count) pairs") }
  }

  private func write(_ result: ParityReport) throws {
    if let json { try OutputFile.write(ParityDocument.report(result).json(), to: json) }
    if let markdown { try OutputFile.write(Array(result.markdown.utf8), to: markdown) }
    if let report { try OutputFile.write(Array(result.html.utf8), to: report) }
  }
}

/// `--quiet` and `--threads`; `verify --json` takes a file, unlike the others' flag.
struct ProcessOptions: ParsableArguments {
  @Flag(name: .long, help: "Print nothing but errors.") var quiet = false
  @Option(name: .long, help: ArgumentHelp("Threads to use; default: all cores.", valueName: "n"))
  var threads: Int?

  func validate() throws {
    if let threads, !(1...1024).contains(threads) {
      throw ValidationError("--threads must be between 1 and 1024.")
    }
  }

  func makePool() -> ThreadPool {
    ThreadPool(threads: threads ?? ProcessInfo.processInfo.activeProcessorCount)
  }
}
