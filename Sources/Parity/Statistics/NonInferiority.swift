internal import Foundation

/// Whether a candidate's NLL exceeds the reference's by less than a limit, at a confidence.
package struct NonInferiority: Sendable, Equatable {
  package enum Outcome: Sendable, Equatable {
    /// The whole interval lies at or under the limit.
    case pass
    /// The whole interval lies above the limit.
    case fail
    /// The limit lies inside the interval. With it: about how many pairs in all would settle it if
    /// the difference is what it seems to be; nil when no number would.
    case notEnoughData(pairsNeeded: Int?)
  }

  /// The largest acceptable difference of mean NLL, in nats per token.
  package let limit: Double
  package let interval: BootstrapInterval
  package let outcome: Outcome

  /// A relative increase of perplexity is a difference of mean NLL: log(1 + increase).
  ///
  /// - Parameter maximumIncrease: such as 0.01 for one percent; above −1.
  package init(interval: BootstrapInterval, maximumIncrease: Double) {
    precondition(maximumIncrease > -1)
    self.interval = interval
    limit = log1p(maximumIncrease)
    if let upper = interval.upper, upper <= limit {
      outcome = .pass
    } else if let lower = interval.lower, lower > limit {
      outcome = .fail
    } else {
      outcome = .notEnoughData(pairsNeeded: Self.pairsNeeded(interval, limit: limit))
    }
  }

  /// The half width shrinks with √pairs; the pairs that bring it to the distance from the limit.
  private static func pairsNeeded(_ interval: BootstrapInterval, limit: Double) -> Int? {
    let gap = limit - interval.estimate
    // Without a bound there is no width to scale: ask for the fewest pairs that give one.
    let bound = gap >= 0 ? interval.upper : interval.lower
    guard let bound, bound.isFinite else { return max(8, 2 * interval.pairs) }
    let ratio = abs(bound - interval.estimate) / abs(gap)
    let needed = (Double(interval.pairs) * ratio * ratio).rounded(.up)
    guard needed.isFinite, needed < 1e9 else { return nil }
    return max(interval.pairs + 1, Int(needed))
  }
}

/// When a growing verification may stop: at doubling numbers of pairs, with the error shared out.
///
/// Looking at the data several times raises the chance of a wrong verdict; giving each look an
/// equal part of it (Bonferroni) keeps the whole below `1 − confidence` whatever the correlation.
package struct SequentialLooks: Sendable, Equatable {
  /// Numbers of pairs at which to look, ascending; the last is all of them.
  package let pairs: [Int]
  /// Confidence of the interval at every look.
  package let confidence: Double

  /// - Parameter first: pairs at the first look; 8 is the fewest that bound an interval well.
  package init(total: Int, confidence: Double, first: Int = 8) {
    precondition(total > 0 && first > 0)
    var looks: [Int] = []
    var next = first
    while next < total {
      looks.append(next)
      next *= 2
    }
    looks.append(total)
    pairs = looks
    self.confidence = 1 - (1 - confidence) / Double(looks.count)
  }
}
