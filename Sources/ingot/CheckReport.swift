import ArgumentParser
import Bytes
import Foundation
import Kernels
import Parity

/// What `check --report` takes besides the report.
struct CheckReportOptions: ParsableArguments {
  @Option(
    name: .long,
    help: ArgumentHelp(
      "Check a JSON report of `verify`: that nobody edited it, that models, pairs, settings and "
        + "seed have their hashes, and that the verdict follows from the figures.",
      valueName: "file"), completion: .file())
  var report: String?
  @Option(
    name: .long,
    help: ArgumentHelp(
      "Derive N random pairs again and demand equal numbers.", valueName: "n"))
  var rerun: Int?
  @Option(
    name: .long,
    help: ArgumentHelp("The reference; default: where the report found it.", valueName: "file"),
    completion: .file())
  var reference: String?
  @Option(
    name: .long,
    help: ArgumentHelp("The candidate; default: where the report found it.", valueName: "file"),
    completion: .file())
  var candidate: String?
  @Option(
    name: .long,
    help: ArgumentHelp("The pairs; default: where the report found them.", valueName: "file"),
    completion: .file())
  var pairs: String?

  var isEmpty: Bool {
    report == nil && rerun == nil && reference == nil && candidate == nil && pairs == nil
  }

  func validate() throws {
    if let rerun, rerun < 1 { throw ValidationError("--rerun must be at least 1.") }
  }
}

/// `check --report`: is this the report that was written, about these files, and does it hold?
///
/// Throws for what is wrong with the report or the files (status 2); a pair that comes out
/// differently fails (status 1).
struct CheckReport {
  let path: String
  let options: CheckReportOptions
  let common: CommonOptions

  func run() throws {
    let report: ParityReport
    do throws(IngotError) {
      report = try ParityAudit.read(try InputFile.read(path, limit: 1 << 31))
    } catch { throw error.inFile(path) }
    let inputs = report.inputs
    let reference = locate(options.reference, inputs.reference.path)
    let candidate = locate(options.candidate, inputs.candidate.path)
    let pairs = locate(options.pairs, inputs.pairsPath)
    if options.rerun == nil {
      try compareHashes(inputs, reference, candidate, pairs)
      tell(report, rerun: [])
      return
    }
    let pool = common.makePool()
    let models = try VerifyModels(
      reference: reference, candidate: candidate, pairs: pairs, settings: inputs.settings,
      seed: inputs.seed, pool: pool, quiet: common.quiet)
    do throws(IngotError) {
      try ParityAudit.compare(inputs, with: models.inputs)
    } catch { throw error.inFile(path) }
    try rerun(report, models, pool)
  }

  /// A path from the report: as it is, or beside the report when it was moved with its files.
  private func locate(_ given: String?, _ recorded: String) -> String {
    if let given { return given }
    let files = FileManager.default
    if files.fileExists(atPath: recorded) { return recorded }
    let beside = URL(fileURLWithPath: path).deletingLastPathComponent()
      .appendingPathComponent(URL(fileURLWithPath: recorded).lastPathComponent).path
    return files.fileExists(atPath: beside) ? beside : recorded
  }

  private func compareHashes(
    _ inputs: ParityInputs, _ reference: String, _ candidate: String, _ pairs: String
  ) throws {
    let files = try [reference, candidate].map { try ModelFile.open($0) }
    let digests = ModelDigest.hexadecimal(files, quiet: common.quiet)
    let pairsDigest = Checksum(of: try InputFile.read(pairs, limit: 1 << 31)).hexadecimal
    for (name, file, recorded, found) in [
      ("reference", reference, inputs.referenceDigest, digests[0]),
      ("candidate", candidate, inputs.candidateDigest, digests[1]),
      ("pairs", pairs, inputs.pairsDigest, pairsDigest),
    ] where recorded != found {
      throw ParityAudit.changed(name, recorded: recorded, found: found).inFile(file)
    }
  }

  private func rerun(_ report: ParityReport, _ models: VerifyModels, _ pool: ThreadPool) throws {
    // Not seeded: who writes a report must not know which pairs will be looked at.
    let chosen = report.pairs.indices.shuffled().prefix(options.rerun ?? 0).sorted()
    let verifier = try models.verifier(pool)
    let progress = Progress(
      "deriving", total: chosen.count, unit: .items("pairs"), quiet: common.quiet)
    let tolerance = Self.tolerance(report.run)
    var differences: [String] = []
    for place in chosen {
      let recorded = report.pairs[place]
      guard models.pairs.indices.contains(recorded.index) else {
        throw IngotError(
          "report.pair", "names pair \(recorded.index) of \(models.pairs.count)", path: path)
      }
      let again = PairSummary(
        try verifier.evidence(
          for: models.pairs[recorded.index],
          decodes: recorded.index < report.inputs.settings.decodePairs))
      differences += try ParityAudit.differences(recorded, again, tolerance: tolerance)
      progress.advance(1)
    }
    progress.finish()
    for difference in differences {
      Terminal.complain(IngotError("report.differs", difference, path: path))
    }
    guard differences.isEmpty else { throw ExitCode(1) }
    tell(report, rerun: chosen.map { report.pairs[$0].index })
  }

  /// Equal numbers, on the kernels that the report was made with. Others round f32 products of a
  /// full-precision model differently in the last place.
  private static func tolerance(_ run: RunInformation) -> Double {
    run.isa == KernelTable.selected.name ? 0 : 1e-5
  }

  private func tell(_ report: ParityReport, rerun: [Int]) {
    if common.json {
      var writer = JSONWriter()
      writer.object { object in
        object.key("path")
        object.value(path)
        object.key("verdict")
        object.value(report.verdict.rawValue)
        object.key("intact")
        object.value(true)
        object.key("rerun_pairs")
        object.array { array in for index in rerun { array.value(index) } }
      }
      print(writer.text)
      return
    }
    print("\(Terminal.printable(path)): intact; verdict \(report.verdict.rawValue)")
    print("  reference, candidate, pairs, settings and seed have their hashes")
    print("  the verdict and every interval follow from the figures of \(report.pairs.count) pairs")
    guard !rerun.isEmpty else { return }
    let indices = rerun.map(String.init).joined(separator: ", ")
    print("  derived again with equal numbers: pair \(indices)")
  }
}
