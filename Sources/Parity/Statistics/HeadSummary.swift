/// How far the candidate's distributions are from the reference's over a set of positions: one
/// entry of `heads` in the report.
package struct HeadSummary: Sendable, Equatable, Codable {
  package var positions: Int
  /// KL(reference ‖ candidate) in nats.
  package var divergence: Percentiles
  /// Share of positions where both put the same token first.
  package var topOneAgreement: Double
  /// Mean share of the reference's five most likely tokens that are among the candidate's five.
  package var topFiveAgreement: Double
  /// Mean NLL of the correct token, in nats.
  package var referenceLoss: Double
  package var candidateLoss: Double
  /// Candidate less reference.
  package var lossDifference: Double
  /// Over pairs (`RatioEstimate`); absent for a single pair.
  package var lossStandardError: Double?
  /// Mean of p(correct | candidate) − p(correct | reference).
  package var probabilityChange: Double
  /// Root mean square of the same: how far it moves in either direction.
  package var probabilityChangeRMS: Double
  /// Positions with a NaN or infinite logit; they count in nothing above but `positions`.
  package var nonFinitePositions: Int

  enum CodingKeys: String, CodingKey {
    case positions
    case divergence = "kl"
    case topOneAgreement = "top1_agreement"
    case topFiveAgreement = "top5_agreement"
    case referenceLoss = "nll_reference"
    case candidateLoss = "nll_candidate"
    case lossDifference = "nll_difference"
    case lossStandardError = "nll_standard_error"
    case probabilityChange = "probability_change"
    case probabilityChangeRMS = "probability_change_rms"
    case nonFinitePositions = "non_finite_positions"
  }

  /// - Parameter positions: in the order of `PositionRecord.precedes`.
  /// - Returns: nil when no position is left to summarise.
  package init?(_ positions: some Collection<PositionRecord>) {
    let finite = positions.filter(\.isFinite)
    guard let divergence = Percentiles(finite.map(\.divergence)) else { return nil }
    let count = Double(finite.count)
    func mean(_ value: (PositionRecord) -> Double) -> Double {
      finite.reduce(0) { $0 + value($1) } / count
    }
    self.positions = positions.count
    self.divergence = divergence
    topOneAgreement = mean { $0.topOneAgrees ? 1 : 0 }
    topFiveAgreement = mean { Double($0.sharedTopFive) / Double($0.topCount) }
    referenceLoss = mean { Double($0.referenceLoss) }
    candidateLoss = mean { Double($0.candidateLoss) }
    lossDifference = mean { Double($0.candidateLoss) - Double($0.referenceLoss) }
    probabilityChange = mean { $0.probabilityChange }
    probabilityChangeRMS = mean { $0.probabilityChange * $0.probabilityChange }.squareRoot()
    nonFinitePositions = positions.count - finite.count
    let totals = PairedTotal.perPair(finite)
    lossStandardError =
      RatioEstimate(sums: totals.map(\.difference), weights: totals.map(\.weight))?.standardError
  }
}

extension PairedTotal {
  /// One total per pair over its positions, ascending by pair.
  package static func perPair(_ positions: some Sequence<PositionRecord>) -> [PairedTotal] {
    var totals: [PairedTotal] = []
    for position in positions {
      let pair = Int(position.pair)
      if totals.last?.pair != pair {
        totals.append(PairedTotal(pair: pair, weight: 0, reference: 0, candidate: 0))
      }
      totals[totals.count - 1].weight += 1
      totals[totals.count - 1].reference += Double(position.referenceLoss)
      totals[totals.count - 1].candidate += Double(position.candidateLoss)
    }
    return totals
  }
}
