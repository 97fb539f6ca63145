package import Bytes
internal import Kernels
package import ReFusion

/// Two models run on the same inputs, and their distributions compared position by position.
///
/// The models need not run at the same time: what is kept of a forward are the hidden states of
/// the scored inputs, a few kilobytes each, from which the logits of both models are made a few
/// rows at a time. No logits are stored.
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

  /// Time both models have spent on their own arithmetic so far, in seconds.
  package var arithmeticSeconds: Double {
    (reference.arithmeticTime + candidate.arithmeticTime) / .seconds(1)
  }

  /// Runs a plan on one model.
  ///
  /// - Returns: the hidden states of the scored inputs, `[scored × hidden]`.
  static func hiddenStates(_ plan: ScoringPlan, on session: InferenceSession) -> [Float] {
    session.forward(plan.batch)
    return session.hiddenStates(at: plan.scored.map(\.input))
  }

  /// Runs a plan on both models and compares their distributions at every scored position.
  package func compare(_ plan: ScoringPlan) -> [RowComparison] {
    compare(
      plan.scored, reference: Self.hiddenStates(plan, on: reference),
      candidate: Self.hiddenStates(plan, on: candidate))
  }

  /// Rows of logits of both models held at a time.
  private static let rowsAtOnce = 64

  /// Compares the distributions that two sets of hidden states lead to.
  ///
  /// - Parameters:
  ///   - scored: the targets, in the order of the rows.
  ///   - referenceHidden: `[scored × hidden]` of the reference.
  ///   - candidateHidden: `[scored × hidden]` of the candidate.
  func compare(
    _ scored: [ScoringTarget], reference referenceHidden: [Float],
    candidate candidateHidden: [Float]
  ) -> [RowComparison] {
    var all: [RowComparison] = []
    all.reserveCapacity(scored.count)
    let rowsAtOnce = min(Self.rowsAtOnce, reference.logitRowsAtOnce)
    for start in stride(from: 0, to: scored.count, by: rowsAtOnce) {
      let part = scored[start..<min(start + rowsAtOnce, scored.count)]
      let a = Self.logits(reference, referenceHidden, part.indices)
      let b = Self.logits(candidate, candidateHidden, part.indices)
      all += compare(a, b, part.map(\.target))
    }
    return all
  }

  private static func logits(
    _ session: InferenceSession, _ hidden: [Float], _ rows: Range<Int>
  ) -> UnsafePointer<Float> {
    let width = session.model.configuration.hiddenSize
    precondition(hidden.count >= rows.upperBound * width, "hidden states of every row")
    return hidden.withUnsafeBufferPointer { hidden in
      guard let base = hidden.baseAddress else { preconditionFailure("rows without numbers") }
      return session.logits(ofHidden: base + rows.lowerBound * width, rows: rows.count)
    }
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
