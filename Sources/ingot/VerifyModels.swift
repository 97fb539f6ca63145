import Bytes
import Checkpoints
import Foundation
import Kernels
import Parity
import ReFusion

/// Both models, the pairs as token ids, and what binds a report to them.
struct VerifyModels {
  let reference: TextModel
  let candidate: TextModel
  let pairs: [VerificationPair]
  let inputs: ParityInputs
  /// Tensors of the candidate whose bytes do not have their checksum.
  let damagedTensors: [String]

  /// - Parameters:
  ///   - settings: what is evaluated; `decodePairs` is cut to the pairs there are.
  ///   - quiet: no progress bar.
  init(
    reference: String, candidate: String, pairs path: String, settings: ParitySettings,
    seed: UInt64, pool: ThreadPool, quiet: Bool
  ) throws {
    self.reference = try TextModel(path: reference)
    self.candidate = try TextModel(path: candidate)
    var settings = settings
    if self.reference.model.configuration.maskToken == nil {
      settings.decodePairs = 0
      settings.decoding = nil
    }
    let file = try PairFile(path: path)
    let chosen = Array(file.pairs.prefix(settings.limit ?? file.pairs.count))
    let examples = try self.reference.examples(chosen, path: path, raw: settings.raw)
    pairs = zip(chosen, examples).enumerated().map { index, item in
      VerificationPair(
        index: index, query: item.0.query, response: item.0.response, example: item.1)
    }
    settings.decodePairs = min(settings.decodePairs, pairs.count)
    let files = [self.reference.file, self.candidate.file]
    damagedTensors = try ModelDigest.damagedTensors(
      reference: files[0], candidate: files[1], pool: pool, quiet: quiet)
    let digests = ModelDigest.hexadecimal(files, quiet: quiet)
    inputs = ParityInputs(
      referenceDigest: digests[0], candidateDigest: digests[1],
      pairsDigest: file.checksum.hexadecimal,
      reference: Self.description(of: self.reference),
      candidate: Self.description(of: self.candidate), pairsPath: path,
      pairsInFile: file.pairs.count, settings: settings, seed: seed,
      candidateClass: try ParityPolicy.CandidateClass(
        reference: IngotWeights(files[0]), candidate: IngotWeights(files[1])))
  }

  private static func description(of model: TextModel) -> ParityInputs.Model {
    let tensors = model.file.tensors
    var bytes: [String: Int] = [:]
    for tensor in tensors { bytes[tensor.typeName, default: 0] += tensor.byteRange.count }
    let elements = tensors.reduce(0) { $0 + $1.elementCount }
    let stored = tensors.reduce(0) { $0 + $1.byteRange.count }
    return ParityInputs.Model(
      path: model.file.path, bytes: model.file.mapping.count,
      parameters: model.model.configuration.parameterCount,
      types: bytes.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map(\.key),
      bitsPerWeight: Double(stored) * 8 / Double(max(1, elements)))
  }

  /// The scorer of both models, as the settings run the candidate.
  func scorer(_ pool: ThreadPool) throws -> ModelPairScorer {
    try ModelPairScorer(
      reference: InferenceSession(model: reference.model, pool: pool),
      candidate: InferenceSession(
        model: candidate.model, pool: pool, arithmetic: inputs.settings.candidateArithmetic,
        cacheFormat: inputs.settings.candidateCache))
  }

  func verifier(_ pool: ThreadPool) throws -> PairVerifier {
    PairVerifier(
      scorer: try scorer(pool), settings: inputs.settings, seed: inputs.seed,
      text: { reference.decode($0) })
  }

  /// The processor as the system names it.
  static var processorName: String {
    let information = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
    let line = information.split(separator: "\n").first { $0.hasPrefix("model name") }
    guard let name = line?.split(separator: ":").last else { return "unknown processor" }
    return name.trimmingCharacters(in: .whitespaces)
  }
}

extension ParitySettings {
  var candidateArithmetic: Arithmetic {
    RuntimeOptions.ArithmeticName(rawValue: arithmetic)?.mode ?? .quantized
  }

  var candidateCache: KeyValueCache.Format {
    RuntimeOptions.CacheName(rawValue: cacheType)?.format ?? .float32
  }
}
