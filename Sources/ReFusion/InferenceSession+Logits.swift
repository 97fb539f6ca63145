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

  /// Runs the vocabulary projection for some tokens of the last forward, a few rows at a time.
  ///
  /// - Parameters:
  ///   - indices: tokens of the last batch, in any order.
  ///   - body: gets the ordinal in `indices` of the first row, and the rows `[count × vocabulary]`.
  package func withLogits(
    at indices: [Int], _ body: (_ first: Int, _ rows: UnsafePointer<Float>, _ count: Int) -> Void
  ) {
    let shape = model.configuration
    let rowsAtOnce = max(1, Self.logitBudget / shape.vocabularySize)
    var first = 0
    while first < indices.count {
      let part = indices[first..<min(first + rowsAtOnce, indices.count)]
      body(first, project(part), part.count)
      first = part.endIndex
    }
  }

  private func project(_ indices: ArraySlice<Int>) -> UnsafePointer<Float> {
    let shape = model.configuration
    let width = shape.hiddenSize
    let selected = buffers.selected.reserve(2 * indices.count * width)
    let normed = selected + indices.count * width
    let hidden = buffers.hidden.base
    for (row, index) in indices.enumerated() {
      (selected + row * width).update(from: hidden + index * width, count: width)
    }
    engine.rmsNorm(
      selected, weight: model.finalNorm, epsilon: shape.rmsNormEpsilon, tokens: indices.count,
      width: width, into: normed)
    let logits = buffers.logits.reserve(indices.count * shape.vocabularySize)
    engine.multiply(
      [model.head], input: normed, tokens: indices.count, outputs: [logits],
      arithmetic: arithmetic)
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
      let summaries = engine.softmaxSummaries(rows, tokens: count, count: vocabulary)
      for (row, summary) in summaries.enumerated() {
        let target = targets.map { Int($0[first + row]) } ?? summary.argmax
        let logProbability = rows[row * vocabulary + target] - summary.logSumExp
        scores.append(
          TokenScore(
            argmax: Int32(summary.argmax),
            argmaxProbability: exponential(summary.maximum - summary.logSumExp),
            probability: exponential(logProbability), logProbability: logProbability))
      }
    }
    return scores
  }
}
