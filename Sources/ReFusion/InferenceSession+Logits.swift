internal import Architecture
internal import Kernels

/// What decoding and scoring need of one row of logits.
public struct TokenScore: Sendable, Hashable {
  /// The most likely token, the lowest id among equals.
  public let argmax: Int32
  /// The probability of `argmax`, at temperature 1.
  public let argmaxProbability: Float
  /// The probability of the token asked about; that of `argmax` when none was.
  public let probability: Float
  /// Natural logarithm of `probability`.
  public let logProbability: Float
}

extension InferenceSession {
  /// Numbers of logits held at a time, 64 MiB: the vocabulary projection of many tokens is cut
  /// into rows that fit.
  private static let logitBudget = 16 << 20

  /// Rows of logits held at a time.
  package var logitRowsAtOnce: Int {
    max(1, Self.logitBudget / model.configuration.vocabularySize)
  }

  /// Runs the vocabulary projection for some tokens of the last forward, a few rows at a time.
  ///
  /// - Parameters:
  ///   - indices: tokens of the last batch, in any order.
  ///   - body: gets the ordinal in `indices` of the first row, and the rows `[count × vocabulary]`.
  package func withLogits(
    at indices: [Int], _ body: (_ first: Int, _ rows: UnsafePointer<Float>, _ count: Int) -> Void
  ) {
    let width = model.configuration.hiddenSize
    var first = 0
    while first < indices.count {
      let part = indices[first..<min(first + logitRowsAtOnce, indices.count)]
      let selected = buffers.selected.reserve(part.count * width)
      copyHidden(at: part, to: selected)
      body(first, project(part.count), part.count)
      first = part.endIndex
    }
  }

  /// The last hidden states of some tokens of the last forward, `[indices × hidden]`: all that
  /// `withLogits(hidden:)` needs to give their logits later.
  package func hiddenStates(at indices: [Int]) -> [Float] {
    let count = indices.count * model.configuration.hiddenSize
    return [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
      if let base = buffer.baseAddress { copyHidden(at: indices[...], to: base) }
      initialized = count
    }
  }

  /// Runs the vocabulary projection for hidden states that were kept.
  ///
  /// - Parameters:
  ///   - hidden: `[rows × hidden]`, from `hiddenStates(at:)`.
  ///   - rows: at most `logitRowsAtOnce`.
  /// - Returns: `[rows × vocabulary]`, valid until the session's next use.
  package func logits(ofHidden hidden: UnsafePointer<Float>, rows: Int) -> UnsafePointer<Float> {
    precondition(rows <= logitRowsAtOnce, "more rows than are held at a time")
    let width = model.configuration.hiddenSize
    buffers.selected.reserve(rows * width).update(from: hidden, count: rows * width)
    return project(rows)
  }

  private func copyHidden(at indices: ArraySlice<Int>, to target: UnsafeMutablePointer<Float>) {
    let width = model.configuration.hiddenSize
    let hidden = buffers.hidden.base
    for (row, index) in indices.enumerated() {
      (target + row * width).update(from: hidden + index * width, count: width)
    }
  }

  /// Final norm and head of the rows in `buffers.selected`.
  private func project(_ rows: Int) -> UnsafePointer<Float> {
    workProbe?(.logits(rows: rows))
    heldLogSumExps = []
    let began = ContinuousClock.now
    defer { arithmeticTime += ContinuousClock.now - began }
    let shape = model.configuration
    let normed = engine.input(
      of: [model.head], tokens: rows, arithmetic: arithmetic, in: buffers.normed)
    engine.normalize(
      buffers.selected.base, weight: model.finalNorm, epsilon: shape.rmsNormEpsilon, into: normed)
    let logits = buffers.logits.reserve(rows * shape.vocabularySize)
    engine.multiply(
      [engine.product(model.head, into: logits, tokens: rows, arithmetic: arithmetic)], normed)
    return UnsafePointer(logits)
  }

  /// Scores tokens of the last forward.
  ///
  /// - Parameters:
  ///   - indices: tokens of the last batch.
  ///   - targets: the token whose probability is asked for at each, or nil for the argmax alone.
  package func score(at indices: [Int], targets: [Int32]? = nil) -> [TokenScore] {
    var scores: [TokenScore] = []
    scores.reserveCapacity(indices.count)
    let vocabulary = model.configuration.vocabularySize
    withLogits(at: indices) { first, rows, count in
      let began = ContinuousClock.now
      let summaries = engine.softmaxSummaries(rows, tokens: count, count: vocabulary)
      arithmeticTime += ContinuousClock.now - began
      for (row, summary) in summaries.enumerated() {
        let target = targets.map { Int($0[first + row]) } ?? summary.argmax
        let logProbability = rows[row * vocabulary + target] - summary.logSumExp
        scores.append(
          TokenScore(
            argmax: Int32(summary.argmax),
            argmaxProbability: exponential(summary.maximum - summary.logSumExp),
            probability: exponential(logProbability), logProbability: logProbability))
      }
      if count == indices.count { heldLogSumExps = summaries.map(\.logSumExp) }
    }
    return scores
  }

  /// The probability of another token at an input of the last `score`.
  ///
  /// - Parameter ordinal: which of its `indices`.
  /// - Returns: nil when the logits are not there any more, as other ones took their place.
  package func scoredProbability(at ordinal: Int, of token: Int32) -> Float? {
    guard heldLogSumExps.indices.contains(ordinal) else { return nil }
    let logits = buffers.logits.base + ordinal * model.configuration.vocabularySize
    return exponential(logits[Int(token)] - heldLogSumExps[ordinal])
  }
}
