import ArgumentParser
import Bytes
import Foundation
import Kernels
import Parity
import ReFusion

struct Verify: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Decide whether a candidate still behaves as its reference does.",
    discussion: """
      Compares likelihoods, distributions and decoding on query/response pairs, holds them against
      limits, and says pass, fail or not enough data, with the reasons.

      Examples:
        ingot verify --reference model.ingot --candidate int8.ingot --pairs eval.json
        ingot verify --reference model.ingot --candidate int4.ingot --pairs eval.json \\
          --max-kl 0.002 --attribute --report report.html --json report.json
        ingot verify … --shard 1/8 --json part-1.json
        ingot verify --merge part-*.json --report report.html

      Exit status: 0 passed, 1 failed or undecided, 2 could not run.
      """)

  @Option(
    name: .long, help: ArgumentHelp("The model to compare with.", valueName: "file"),
    completion: .file())
  var reference: String?
  @Option(
    name: .long, help: ArgumentHelp("The model to judge.", valueName: "file"), completion: .file())
  var candidate: String?
  @Option(
    name: .long, help: ArgumentHelp("Query/response pairs.", valueName: "file"), completion: .file()
  )
  var pairs: String?
  @Option(
    name: .long, parsing: .upToNextOption,
    help: ArgumentHelp("Put shards together instead of running.", valueName: "files"),
    completion: .file())
  var merge: [String] = []
  @OptionGroup(title: "What is compared") var scope: VerifyScope
  @OptionGroup(title: "Decoding") var decoding: DecodingOptions
  @OptionGroup(title: "Limits") var limits: VerifyLimits
  @OptionGroup(title: "Results") var output: VerifyOutput
  @OptionGroup var runtime: RuntimeOptions

  func validate() throws {
    if merge.isEmpty {
      guard reference != nil, candidate != nil, pairs != nil else {
        throw ValidationError("Give --reference, --candidate and --pairs, or --merge.")
      }
    } else if reference != nil || candidate != nil || pairs != nil || scope.shard != nil {
      throw ValidationError("--merge takes only files of shards, limits and results.")
    }
    if scope.shard != nil, output.json == nil {
      throw ValidationError("A shard needs --json FILE to be merged from.")
    }
    guard decoding.temperature == 0 else {
      throw ValidationError("Decoding is compared greedily; leave --temperature at 0.")
    }
  }

  func run() throws {
    if merge.isEmpty { try verify() } else { try mergeShards() }
  }

  // MARK: Running

  private func verify() throws {
    if scope.decodePairs > 0 { try decoding.settings.validate() }
    let pool = output.makePool()
    let models = try VerifyModels(
      reference: reference ?? "", candidate: candidate ?? "", pairs: pairs ?? "",
      settings: settings, seed: decoding.seed, pool: pool, quiet: output.quiet)
    let policy = try limits.policy(for: models.inputs.candidateClass)
    let verifier = try models.verifier(pool)
    let turns = VerifyMemory.turns(models, verifier, limit: scope.memory)
    if turns.pairsAtOnce > 1 {
      if runtime.prefault { Terminal.warn("models run in turns; --prefault is left out") }
    } else {
      for model in [models.reference, models.candidate] {
        runtime.prefault(model.file, pool: pool, quiet: output.quiet)
      }
    }
    let verification = Verification(
      verifier: verifier, inputs: models.inputs, policy: policy, shard: scope.shard,
      stopsEarly: scope.earlyStop, turns: turns)
    let count = models.pairs.count { scope.shard?.contains(pair: $0.index) ?? true }
    let progress = Progress(
      "verifying", total: count * Verification.passesPerPair, unit: .items("passes"),
      quiet: output.quiet)
    var outcome = try verification.run(models.pairs, run: Self.machine(pool)) {
      progress.advance(1)
    }
    progress.finish()
    outcome.evidence.damagedTensors = models.damagedTensors
    // Of an array of jobs one looks at the weights, which are the same for all.
    if scope.shard.map({ $0.index == 1 }) ?? true {
      outcome.evidence.attribution = try attribution(models, pool)
    }
    try finish(outcome.evidence, policy, looks: outcome.looks)
  }

  private var settings: ParitySettings {
    ParitySettings(
      slotSizes: scope.likelihoodSlots, objectiveDraws: scope.objectiveDraws, limit: scope.limit,
      decodePairs: scope.decodePairs,
      decoding: scope.decodePairs > 0 ? ParitySettings.Decoding(decoding.settings) : nil,
      raw: scope.raw, arithmetic: runtime.arithmetic.rawValue,
      cacheType: runtime.cacheType.rawValue)
  }

  private func attribution(_ models: VerifyModels, _ pool: ThreadPool) throws -> Attribution {
    let run = try AttributionRun(
      reference: IngotWeights(models.reference.file),
      candidate: IngotWeights(models.candidate.file), pool: pool,
      cacheFormat: runtime.cacheFormat, pairs: Array(models.pairs.prefix(scope.attributePairs)),
      slotSize: scope.likelihoodSlots.first ?? 8, damaged: models.damagedTensors)
    guard scope.attribute else {
      let progress = Progress(
        "comparing weights", total: models.reference.file.configuration.tensors.count,
        unit: .items("tensors"), quiet: output.quiet)
      defer { progress.finish() }
      return try run.weights { progress.advance(1) }
    }
    var progress: Progress?
    defer { progress?.finish() }
    return try run.run { done, steps in
      if progress == nil {
        progress = Progress(
          "attributing", total: steps, unit: .items("steps"), quiet: output.quiet)
      }
      progress?.advance(1)
    }
  }

  private static func machine(_ pool: ThreadPool) -> RunInformation {
    RunInformation(
      tool: "ingot \(BuildInformation.version)", cpu: VerifyModels.processorName,
      isa: KernelTable.selected.name, threads: pool.threads, seconds: 0)
  }

  // MARK: Merging

  private func mergeShards() throws {
    let parts = try merge.map { path -> ParityEvidence in
      do throws(IngotError) {
        let bytes = try InputFile.read(path, limit: 1 << 31)
        guard case .evidence(let evidence) = try ParityDocument(json: bytes) else {
          throw IngotError(
            "report.notAShard", "is a finished report, not a shard",
            advice: "Merge files written with --shard.")
        }
        return evidence
      } catch { throw error.inFile(path) }
    }
    let evidence = try ParityEvidence.merged(parts)
    try finish(evidence, try limits.policy(for: evidence.inputs.candidateClass), looks: 1)
  }

  // MARK: Results

  private func finish(_ evidence: ParityEvidence, _ policy: ParityPolicy, looks: Int) throws {
    if evidence.shard != nil {
      if let json = output.json {
        try OutputFile.write(ParityDocument.evidence(evidence).json(.compact), to: json)
      }
      return
    }
    let report = ParityReport(evidence: evidence, policy: policy, looks: looks)
    if let json = output.json {
      try OutputFile.write(ParityDocument.report(report).json(), to: json)
    }
    if let path = output.report { try OutputFile.write(Array(report.html.utf8), to: path) }
    if let path = output.markdown { try OutputFile.write(Array(report.markdown.utf8), to: path) }
    print(output.quiet ? report.verdict.rawValue : VerdictText(report).text)
    guard report.verdict == .pass else { throw ExitCode(1) }
  }
}
