/// What one pair contributes to a mean over tokens: a sum and the number of tokens it is over.
package struct PairedTotal: Sendable, Hashable, Codable {
  /// Index of the pair in the pairs file.
  package var pair: Int
  /// Scored tokens (or 1 where the metric weighs pairs equally); positive.
  package var weight: Double
  /// Σ NLL over those tokens under the reference, in nats.
  package var reference: Double
  /// Σ NLL over those tokens under the candidate, in nats.
  package var candidate: Double

  package init(pair: Int, weight: Double, reference: Double, candidate: Double) {
    self.pair = pair
    self.weight = weight
    self.reference = reference
    self.candidate = candidate
  }

  var difference: Double { candidate - reference }
}

/// A mean per token, Σd ÷ Σw, with its standard error over independently drawn pairs.
///
/// Tokens of one response are not independent; pairs are. So the mean is a ratio of two sums over
/// pairs, and its error follows from the residuals d − θ·w (Cochran, "Sampling Techniques", 1977,
/// section 6.4): SE = √(n/(n−1) · Σ(d − θw)²) ÷ Σw.
package struct RatioEstimate: Sendable, Equatable {
  package let value: Double
  /// Nil for a single pair, which says nothing about the spread.
  package let standardError: Double?

  /// Nil when there is nothing to average.
  package init?(sums: [Double], weights: [Double]) {
    precondition(sums.count == weights.count)
    let total = weights.reduce(0, +)
    guard total > 0 else { return nil }
    let value = sums.reduce(0, +) / total
    self.value = value
    let count = Double(sums.count)
    guard sums.count > 1 else {
      standardError = nil
      return
    }
    var squares = 0.0
    for (sum, weight) in zip(sums, weights) {
      let residual = sum - value * weight
      squares += residual * residual
    }
    standardError = (count / (count - 1) * squares).squareRoot() / total
  }
}
