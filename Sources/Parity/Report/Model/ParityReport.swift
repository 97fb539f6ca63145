/// The result of a verification: verdict first, then everything that led to it.
///
/// It is a pure function of the evidence and the policy (`init(evidence:policy:)`), so anyone with
/// the shards can derive it again, byte for byte.
package struct ParityReport: Sendable, Equatable {
  package var verdict: ParityVerdict
  package var reasons: [String]
  package var checks: [ParityCheck]
  package var policy: ParityPolicy
  /// By head: `causal`, `masked`, `autoregressive`.
  package var heads: NamedList<HeadSummary>
  /// By metric: `causal`, `slot_k8`, `objective_autoregressive`, `objective_masked`.
  package var likelihood: NamedList<LikelihoodSummary>
  package var histograms: NamedList<DivergenceHistogram>
  package var splits: [DistributionSplit]
  package var decode: DecodeSummary?
  package var attribution: Attribution?
  /// Positions where the models differ most, largest first.
  package var worst: [WorstPosition]
  /// Outputs that differ, with their text and both timelines.
  package var examples: [DecodeExample]
  package var pairs: [PairSummary]
  package var inputs: ParityInputs
  package var run: RunInformation
}

/// The figures of one pair, by which a report is re-derived (`--rerun`).
package struct PairSummary: Sendable, Equatable, Codable {
  package var index: Int
  package var promptTokens: Int
  package var responseTokens: Int
  /// By metric.
  package var likelihood: NamedList<PairedTotal>
  /// Mean KL by head.
  package var divergence: NamedList<Double>
  package var isExact: Bool?
  package var firstDivergence: Int?
  package var editDistance: Int?
  package var referenceForwards: Int?
  package var candidateForwards: Int?

  enum CodingKeys: String, CodingKey {
    case index
    case promptTokens = "prompt_tokens"
    case responseTokens = "response_tokens"
    case likelihood
    case divergence = "kl_mean"
    case isExact = "exact_output"
    case firstDivergence = "first_divergence"
    case editDistance = "edit_distance"
    case referenceForwards = "forwards_reference"
    case candidateForwards = "forwards_candidate"
  }
}

/// A pair as the report shows it: both texts and both timelines.
package struct DecodeExample: Sendable, Equatable, Codable {
  package var pair: Int
  package var query: String
  package var decode: DecodePair
  package var firstDivergence: Int?

  enum CodingKeys: String, CodingKey {
    case pair, query, decode
    case firstDivergence = "first_divergence"
  }
}

extension PairSummary {
  init(_ pair: PairEvidence) {
    index = pair.index
    promptTokens = pair.promptTokens
    responseTokens = pair.responseTokens
    likelihood = pair.likelihoods
    divergence = NamedList()
    for head in ScoringHead.allCases {
      let own = pair.positions.filter { $0.head == head && $0.isFinite }
      guard let percentiles = Percentiles(own.map(\.divergence)) else { continue }
      divergence.append(head.rawValue, percentiles.mean)
    }
    isExact = pair.decode?.isExact
    firstDivergence = pair.decode?.firstDivergence
    editDistance = pair.decode?.editDistance
    referenceForwards = pair.decode?.reference.forwards
    candidateForwards = pair.decode?.candidate.forwards
  }
}
