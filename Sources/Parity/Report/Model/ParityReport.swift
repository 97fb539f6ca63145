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
  /// Tensors of the candidate whose bytes no longer have the checksum they were written with.
  package var damagedTensors: [String]
  /// Positions of any head with a NaN or infinite logit.
  package var nonFinitePositions: Int
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
  /// Positions and agreement by head.
  package var heads: NamedList<Head>
  package var isExact: Bool?
  package var firstDivergence: Int?
  package var editDistance: Int?
  package var referenceForwards: Int?
  package var candidateForwards: Int?
  package var decisions: Int?
  package var flips: Int?
  package var firstFlip: ReplaySummary.FirstFlip?

  /// One head's figures on this pair.
  package struct Head: Sendable, Equatable, Codable {
    /// Scored positions with finite logits.
    package var positions: Int
    package var maximumDivergence: Double
    /// Positions where both put the same token first.
    package var topOneAgreements: Int

    enum CodingKeys: String, CodingKey {
      case positions
      case maximumDivergence = "kl_max"
      case topOneAgreements = "top1_agreements"
    }
  }

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
    case heads, flips
    case decisions = "replayed_decisions"
    case firstFlip = "first_flip"
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
  package init(_ pair: PairEvidence) {
    index = pair.index
    promptTokens = pair.promptTokens
    responseTokens = pair.responseTokens
    likelihood = pair.likelihoods
    divergence = NamedList()
    heads = NamedList()
    for head in ScoringHead.allCases {
      let own = pair.positions.filter { $0.head == head && $0.isFinite }
      guard let percentiles = Percentiles(own.map(\.divergence)) else { continue }
      divergence.append(head.rawValue, percentiles.mean)
      heads.append(
        head.rawValue,
        Head(
          positions: own.count, maximumDivergence: percentiles.max,
          topOneAgreements: own.count { $0.topOneAgrees }))
    }
    isExact = pair.decode?.isExact
    firstDivergence = pair.decode?.firstDivergence
    editDistance = pair.decode?.editDistance
    referenceForwards = pair.decode?.reference.forwards
    candidateForwards = pair.decode?.candidate.forwards
    guard pair.decode != nil else { return }
    decisions = pair.replay.count
    flips = pair.replay.count { $0.flipped }
    firstFlip = pair.firstFlip
  }
}
