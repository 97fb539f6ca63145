/// A confidence interval for a mean per token by the studentised paired bootstrap over pairs.
///
/// Pairs are drawn with replacement; each resample gives t* = (θ* − θ) ÷ SE*, and the quantiles of
/// t* take the place of Student's (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993,
/// chapter 12.5). It is accurate to second order, where the plain percentile interval is too short
/// for few or skewed pairs.
package struct BootstrapInterval: Sendable, Equatable {
  package let estimate: Double
  /// Nil for a single pair.
  package let standardError: Double?
  /// Nil where the pairs are too few to bound it.
  package let lower: Double?
  package let upper: Double?
  /// Probability that the interval covers the true value, such as 0.95.
  package let confidence: Double
  /// Number of pairs.
  package let pairs: Int

  package init(
    estimate: Double, standardError: Double?, lower: Double?, upper: Double?, confidence: Double,
    pairs: Int
  ) {
    self.estimate = estimate
    self.standardError = standardError
    self.lower = lower
    self.upper = upper
    self.confidence = confidence
    self.pairs = pairs
  }

  /// - Parameters:
  ///   - sums: per pair, Σ over its tokens of what is averaged.
  ///   - weights: per pair, its tokens.
  ///   - resamples: 2000 puts about 50 resamples into each tail of a 95 % interval.
  ///   - seed: of `SeededGenerator`.
  /// - Returns: nil when there is no pair.
  /// - Complexity: O(pairs × resamples).
  package init?(
    sums: [Double], weights: [Double], confidence: Double = 0.95, resamples: Int = 2000,
    seed: UInt64
  ) {
    precondition(confidence > 0 && confidence < 1 && resamples > 0)
    guard let base = RatioEstimate(sums: sums, weights: weights) else { return nil }
    estimate = base.value
    standardError = base.standardError
    self.confidence = confidence
    pairs = sums.count
    guard let error = base.standardError else {
      lower = nil
      upper = nil
      return
    }
    guard error > 0 else {
      // Every pair has exactly this mean: there is no spread to resample.
      lower = base.value
      upper = base.value
      return
    }
    var resampler = Resampler(sums: sums, weights: weights, estimate: base.value, seed: seed)
    let sorted = (0..<resamples).map { _ in resampler.studentised() }.sorted()
    let tail = (1 - confidence) / 2
    // Order statistics, rounded outwards so that rounding never shortens the interval.
    let low = sorted[Int((tail * Double(resamples)).rounded(.down))]
    let high = sorted[
      min(resamples - 1, Int(((1 - tail) * Double(resamples)).rounded(.up)))]
    lower = high.isFinite ? base.value - high * error : nil
    upper = low.isFinite ? base.value - low * error : nil
  }
}

/// Draws pairs with replacement and studentises their mean.
private struct Resampler {
  /// Per pair: residual d − θ·w and weight w. Residuals keep the sums below free of cancellation.
  private let residuals: [(residual: Double, weight: Double)]
  private var generator: SeededGenerator

  init(sums: [Double], weights: [Double], estimate: Double, seed: UInt64) {
    residuals = zip(sums, weights).map { ($0 - estimate * $1, $1) }
    generator = SeededGenerator(seed: seed)
  }

  mutating func studentised() -> Double {
    var e = 0.0
    var w = 0.0
    var ee = 0.0
    var ew = 0.0
    var ww = 0.0
    for _ in residuals.indices {
      let (residual, weight) = residuals[generator.index(below: residuals.count)]
      e += residual
      w += weight
      ee += residual * residual
      ew += residual * weight
      ww += weight * weight
    }
    let shift = e / w
    let count = Double(residuals.count)
    // Σ(e − δw)²: zero up to rounding when one pair was drawn every time.
    let squares = ee - 2 * shift * ew + shift * shift * ww
    guard squares > 1e-12 * ee else { return shift >= 0 ? .infinity : -.infinity }
    return shift * w / (count / (count - 1) * squares).squareRoot()
  }
}
