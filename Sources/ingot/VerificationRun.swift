import Bytes
import Checkpoints
import Foundation
import IngotFormat
import Kernels
import Parity
import ReFusion

/// Measures a candidate against its reference, pair by pair.
struct VerificationRun {
  private let command: Verify
  private let reference: TextModel
  private let candidate: TextModel
  private let pairFile: PairFile
  private let pairs: [VerificationPair]
  private let inputs: ParityInputs
  private let policy: ParityPolicy
  private let pool: ThreadPool
  private let scorer: ModelPairScorer

  init(reference: String, candidate: String, pairsPath: String, command: Verify) throws {
    self.command = command
    pool = command.process.makePool()
    self.reference = try TextModel(path: reference)
    self.candidate = try TextModel(path: candidate)
    pairFile = try PairFile(path: pairsPath)
    let taken = Array(pairFile.pairs.prefix(command.limit ?? pairFile.pairs.count))
    let examples = try self.reference.examples(taken, path: pairsPath)
    pairs = zip(taken, examples).enumerated().map { index, item in
      VerificationPair(
        index: index, query: item.0.query, response: item.0.response, example: item.1)
    }
    scorer = try ModelPairScorer(
      reference: command.session(self.reference, pool: pool),
      candidate: command.session(self.candidate, pool: pool))
    inputs = try Self.inputs(self.reference, self.candidate, pairFile, pairsPath, command)
    policy = try command.limits.policy(for: inputs)
  }

  /// Scores and decodes the pairs of this run or shard.
  func collect() throws -> (evidence: ParityEvidence, policy: ParityPolicy, looks: Int) {
    let start = ContinuousClock.now
    let shard = command.shard.flatMap { Shard($0) }
    let own = pairs.filter { shard?.contains(pair: $0.index) ?? true }
    let verifier = PairVerifier(
      scorer: scorer, settings: inputs.settings, seed: inputs.seed,
      text: { reference.decode($0) })
    let progress = Progress(
      "verifying", total: own.count, unit: .items("pairs"), quiet: command.process.quiet)
    let looks = SequentialLooks(total: own.count, confidence: policy.confidence)
    var collected: [PairEvidence] = []
    var stoppedEarly = false
    for pair in own {
      collected.append(
        try verifier.evidence(for: pair, decodes: pair.index < inputs.settings.decodePairs))
      progress.advance(1)
      if command.earlyStop, looks.pairs.dropLast().contains(collected.count),
        isDecided(collected, looks: looks.pairs.count)
      {
        stoppedEarly = true
        break
      }
    }
    progress.finish()
    let attribution = try command.attribute && shard == nil ? attribution() : nil
    let seconds = (ContinuousClock.now - start) / .seconds(1)
    let evidence = ParityEvidence(
      inputs: inputs, pairs: collected, attribution: attribution,
      run: information(seconds: seconds, stoppedEarly: stoppedEarly), shard: shard)
    return (evidence, policy, command.earlyStop ? looks.pairs.count : 1)
  }

  /// Whether more pairs cannot reasonably change the verdict: it is pass or fail with intervals
  /// widened for the number of times it is looked at.
  private func isDecided(_ pairs: [PairEvidence], looks: Int) -> Bool {
    let evidence = ParityEvidence(
      inputs: inputs, pairs: pairs, run: information(seconds: 0, stoppedEarly: true))
    return ParityReport(evidence: evidence, policy: policy, looks: looks).verdict != .undecided
  }

  /// A few pairs suffice: every tensor is exchanged on its own and costs a forward for each.
  private static let attributionPairs = 4

  private func attribution() throws -> Attribution {
    let slotSize = inputs.settings.slotSizes.first ?? inputs.settings.decoding?.slotSize ?? 8
    let run = try AttributionRun(
      reference: IngotWeights(reference.file), candidate: IngotWeights(candidate.file),
      pool: pool, cacheFormat: command.runtime.cacheFormat,
      pairs: Array(pairs.prefix(Self.attributionPairs)), slotSize: slotSize)
    var progress: Progress?
    var last = 0
    let result = try run.run { done, steps in
      let bar =
        progress
        ?? Progress(
          "attributing", total: steps, unit: .items("steps"), quiet: command.process.quiet)
      progress = bar
      bar.advance(done - last)
      last = done
    }
    progress?.finish()
    return result
  }

  private func information(seconds: Double, stoppedEarly: Bool) -> RunInformation {
    RunInformation(
      tool: "ingot \(BuildInformation.version)", cpu: Machine.processorName,
      isa: KernelTable.selected.name, threads: pool.threads, seconds: seconds,
      stoppedEarly: stoppedEarly)
  }

  private static func inputs(
    _ reference: TextModel, _ candidate: TextModel, _ pairFile: PairFile, _ pairsPath: String,
    _ command: Verify
  ) throws -> ParityInputs {
    ParityInputs(
      referenceDigest: try FileReader(path: reference.file.path).checksum().description,
      candidateDigest: try FileReader(path: candidate.file.path).checksum().description,
      pairsDigest: pairFile.checksum.description, reference: model(reference.file),
      candidate: model(candidate.file), pairsPath: pairsPath, pairsInFile: pairFile.pairs.count,
      settings: ParitySettings(
        slotSizes: command.likelihoodSlots, objectiveDraws: command.draws, limit: command.limit,
        decodePairs: command.decodePairs, decoding: .init(command.decoding.settings)),
      seed: command.decoding.seed)
  }

  private static func model(_ file: IngotFile) -> ParityInputs.Model {
    var weights: [String: Int] = [:]
    for tensor in file.tensors { weights[tensor.typeName, default: 0] += tensor.elementCount }
    let parameters = weights.values.reduce(0, +)
    let bytes = file.tensors.reduce(0) { $0 + $1.byteRange.count }
    return ParityInputs.Model(
      path: file.path, bytes: file.mapping.count, parameters: parameters,
      types: weights.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map(\.key),
      bitsPerWeight: 8 * Double(bytes) / Double(max(parameters, 1)))
  }
}

extension Verify {
  func session(_ model: TextModel, pool: ThreadPool) -> InferenceSession {
    InferenceSession(
      model: model.model, pool: pool, arithmetic: runtime.arithmeticMode,
      cacheFormat: runtime.cacheFormat)
  }
}
