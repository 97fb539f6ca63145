internal import Foundation

/// NLL of the same responses under both models, and what their difference says about perplexity.
package struct LikelihoodSummary: Sendable, Equatable, Codable {
  package var pairs: Int
  /// Σ of the pairs' weights: scored tokens, or pairs for the objective's masked loss.
  package var weight: Double
  package var referenceLoss: Double
  package var candidateLoss: Double
  /// Candidate less reference, in nats.
  package var difference: Double
  package var standardError: Double?
  package var confidence: Double
  /// Bounds of the difference; nil where the pairs are too few to bound it.
  package var lower: Double?
  package var upper: Double?

  enum CodingKeys: String, CodingKey {
    case pairs
    case weight = "tokens"
    case referenceLoss = "nll_reference"
    case candidateLoss = "nll_candidate"
    case difference = "nll_difference"
    case standardError = "standard_error"
    case confidence
    case lower = "difference_lower"
    case upper = "difference_upper"
  }

  package var referencePerplexity: Double { exp(referenceLoss) }
  package var candidatePerplexity: Double { exp(candidateLoss) }
  /// Relative: 0.01 is one percent more.
  package var perplexityIncrease: Double { expm1(difference) }
  package var increaseLower: Double? { lower.map { expm1($0) } }
  package var increaseUpper: Double? { upper.map { expm1($0) } }
}

extension LikelihoodSummary {
  /// - Returns: nil without pairs.
  init?(_ interval: BootstrapInterval?, _ totals: [PairedTotal]) {
    guard let interval else { return nil }
    let weight = totals.reduce(0) { $0 + $1.weight }
    pairs = totals.count
    self.weight = weight
    referenceLoss = totals.reduce(0) { $0 + $1.reference } / weight
    candidateLoss = totals.reduce(0) { $0 + $1.candidate } / weight
    difference = interval.estimate
    standardError = interval.standardError
    confidence = interval.confidence
    lower = interval.lower
    upper = interval.upper
  }
}

extension LikelihoodSummary {
  /// The interval that the summary was made from.
  var interval: BootstrapInterval {
    BootstrapInterval(
      estimate: difference, standardError: standardError, lower: lower, upper: upper,
      confidence: confidence, pairs: pairs)
  }
}
