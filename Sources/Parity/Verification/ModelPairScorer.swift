package import Bytes
internal import Kernels
package import ReFusion

/// Two models run side by side on the same inputs, position by position.
///
/// Logits exist for a few rows at a time; only figures per position are kept.
package struct ModelPairScorer {
  package let reference: InferenceSession
  package let candidate: InferenceSession

  /// - Throws: `verify.shape` when the models do not share a vocabulary and special tokens.
  package init(
    reference: InferenceSession, candidate: InferenceSession
  ) throws(IngotError) {
    let a = reference.model.configuration
    let b = candidate.model.configuration
    guard a.vocabularySize == b.vocabularySize, a.endOfTextToken == b.endOfTextToken,
      a.maskToken == b.maskToken
    else {
      throw IngotError(
        "verify.shape", "the models do not share a vocabulary and its special tokens",
        advice: "Compare a model with one that was made from it.")
    }
    self.reference = reference
    self.candidate = candidate
  }

  var vocabulary: Int { reference.model.configuration.vocabularySize }
  var maskToken: Int32? { reference.model.configuration.maskToken.map { Int32($0) } }
  var endToken: Int32? { reference.model.configuration.endOfTextToken.map { Int32($0) } }

  /// Runs a plan on both models and compares their distributions at every scored position.
  func compare(_ plan: ScoringPlan) -> [RowComparison] {
    reference.forward(plan.batch)
    candidate.forward(plan.batch)
    return compareLast(plan.scored)
  }

  /// Rows of logits of both models held at a time.
  private static let rowsAtOnce = 64

  private func compareLast(_ scored: [ScoringTarget]) -> [RowComparison] {
    var all: [RowComparison] = []
    all.reserveCapacity(scored.count)
    var start = 0
    while start < scored.count {
      let part = Array(scored[start..<min(start + Self.rowsAtOnce, scored.count)])
      let inputs = part.map(\.input)
      reference.withLogits(at: inputs) { first, rows, count in
        let own = part[first..<(first + count)]
        candidate.withLogits(at: own.map(\.input)) { offset, others, count in
          all += compare(
            rows + offset * vocabulary, others, own.dropFirst(offset).prefix(count).map(\.target))
        }
      }
      start += part.count
    }
    return all
  }

  /// Compares rows, a row to a thread at a time.
  private func compare(
    _ reference: UnsafePointer<Float>, _ candidate: UnsafePointer<Float>, _ targets: [Int32]
  ) -> [RowComparison] {
    let width = vocabulary
    return [RowComparison](unsafeUninitializedCapacity: targets.count) { results, count in
      guard let base = results.baseAddress else { return }
      self.reference.engine.pool.run(count: targets.count) { row in
        // Safe: every row is written once, by one thread, before `run` returns.
        (base + row).initialize(
          to: RowComparison(
            reference: UnsafeBufferPointer(start: reference + row * width, count: width),
            candidate: UnsafeBufferPointer(start: candidate + row * width, count: width),
            correct: Int(targets[row])))
      }
      count = targets.count
    }
  }
}
