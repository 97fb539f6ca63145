import Bytes
import Checkpoints
import Foundation
import Parity
import ReFusion

/// Both models, the pairs as token ids, and what binds a report to them.
struct VerifyModels {
  let reference: TextModel
  let candidate: TextModel
  let pairs: [VerificationPair]
  let inputs: ParityInputs

  init(
    reference: String, candidate: String, pairs path: String, scope: VerifyScope,
    decoding: DecodingOptions
  ) throws {
    self.reference = try TextModel(path: reference)
    self.candidate = try TextModel(path: candidate)
    let decodes = scope.decodePairs > 0 && self.reference.model.configuration.maskToken != nil
    if decodes { try decoding.settings.validate() }
    let file = try PairFile(path: path)
    let chosen = Array(file.pairs.prefix(scope.limit ?? file.pairs.count))
    let examples = try self.reference.examples(chosen, path: path)
    pairs = zip(chosen, examples).enumerated().map { index, item in
      VerificationPair(
        index: index, query: item.0.query, response: item.0.response, example: item.1)
    }
    inputs = ParityInputs(
      referenceDigest: Checksum(of: self.reference.file.mapping.bytes).hexadecimal,
      candidateDigest: Checksum(of: self.candidate.file.mapping.bytes).hexadecimal,
      pairsDigest: file.checksum.hexadecimal,
      reference: Self.description(of: self.reference),
      candidate: Self.description(of: self.candidate), pairsPath: path,
      pairsInFile: file.pairs.count,
      settings: ParitySettings(
        slotSizes: scope.likelihoodSlots, objectiveDraws: scope.objectiveDraws,
        limit: scope.limit, decodePairs: decodes ? min(scope.decodePairs, pairs.count) : 0,
        decoding: decodes ? ParitySettings.Decoding(decoding.settings) : nil),
      seed: decoding.seed)
  }

  func candidateClass() throws -> ParityPolicy.CandidateClass {
    try ParityPolicy.CandidateClass(
      reference: IngotWeights(reference.file), candidate: IngotWeights(candidate.file))
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

  /// The processor as the system names it.
  static var processorName: String {
    let information = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
    let line = information.split(separator: "\n").first { $0.hasPrefix("model name") }
    guard let name = line?.split(separator: ":").last else { return "unknown processor" }
    return name.trimmingCharacters(in: .whitespaces)
  }
}
