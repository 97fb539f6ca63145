import Bytes
import Foundation
import Kernels
import Parity

/// How much memory a verification may take, and what follows for the order of its work.
enum VerifyMemory {
  /// Bytes this process may use: the machine's, or the control group's where that is less.
  static var available: Int {
    let physical = Int(clamping: ProcessInfo.processInfo.physicalMemory)
    let group = (try? String(contentsOfFile: "/sys/fs/cgroup/memory.max", encoding: .utf8))
      .flatMap { Int($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
    return min(physical, group ?? physical)
  }

  /// The share of the available memory that is planned with; the rest is for everybody else.
  private static let share = 0.85

  /// - Parameter limit: `--memory`, in gigabytes.
  static func turns(_ models: VerifyModels, _ verifier: PairVerifier, limit: Double?) -> ModelTurns
  {
    let memory = limit.map { Int($0 * 1e9) } ?? Int(Double(available) * share)
    let shape = models.reference.model.configuration
    let longest = models.pairs.map(\.example.positions.count).max() ?? 0
    // Keys and values of both models in f32, and a quarter of a gigabyte each for activations and
    // rows of logits.
    let cached =
      shape.layerCount * shape.keyValueHeads * shape.headDimension * 2 * 4 * 2 * longest
    let pairsAtOnce = ModelTurns.pairsAtOnce(
      modelBytes: models.reference.file.mapping.count + models.candidate.file.mapping.count,
      workingBytes: cached + 1 << 29, memory: memory,
      bytesPerPair: verifier.bytesKept(
        responseTokens: models.pairs.map(\.example.response.count).max() ?? 0))
    guard pairsAtOnce > 1 else { return .sideBySide }
    return ModelTurns(pairsAtOnce: pairsAtOnce) { models.release($0) }
  }
}

extension VerifyModels {
  /// Lets the pages of a model go; they come back from its file when they are touched again.
  func release(_ role: ModelTurns.Role) {
    let mapping = (role == .reference ? reference : candidate).file.mapping
    mapping.advise(.dontNeed, 0..<mapping.count)
  }
}
