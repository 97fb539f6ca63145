extension ParityReport {
  /// Positions listed as worst.
  static let worstCount = 12
  /// Outputs shown in full, with timelines.
  static let exampleCount = 4

  /// Derives the report from what was observed.
  ///
  /// - Parameters:
  ///   - evidence: of the whole verification (merge shards first).
  ///   - policy: what the candidate has to keep.
  ///   - looks: how many times the outcome was looked at (`SequentialLooks`), which widens the
  ///     intervals accordingly.
  package init(evidence: ParityEvidence, policy: ParityPolicy, looks: Int = 1) {
    let positions = evidence.pairs.flatMap(\.positions)
    self.policy = policy
    inputs = evidence.inputs
    run = evidence.run
    attribution = evidence.attribution
    damagedTensors = evidence.damagedTensors
    heads = NamedList()
    histograms = NamedList()
    for head in ScoringHead.allCases {
      let own = positions.filter { $0.head == head }
      if own.isEmpty { continue }
      histograms.append(head.rawValue, DivergenceHistogram(own))
      if let summary = HeadSummary(own) { heads.append(head.rawValue, summary) }
    }
    splits = DistributionSplit.all(positions)
    likelihood = Self.likelihoods(
      evidence.pairs.map(\.likelihoods), seed: evidence.inputs.seed,
      confidence: 1 - (1 - policy.confidence) / Double(max(1, looks)),
      resamples: policy.resamples)
    decode = DecodeSummary(evidence.pairs, settings: evidence.inputs.settings)
    pairs = evidence.pairs.map(PairSummary.init)
    worst = Self.worst(evidence.pairs)
    examples = Self.examples(evidence.pairs)
    nonFinitePositions = positions.count { !$0.isFinite }
    checks = []
    verdict = .undecided
    reasons = []
    judge()
  }

  /// Means and intervals by metric, from the totals of each pair in ascending order.
  static func likelihoods(
    _ pairs: [NamedList<PairedTotal>], seed: UInt64, confidence: Double, resamples: Int
  ) -> NamedList<LikelihoodSummary> {
    var names: [String] = []
    var totals: [String: [PairedTotal]] = [:]
    for entry in pairs.lazy.flatMap({ $0 }) {
      if totals[entry.name] == nil { names.append(entry.name) }
      totals[entry.name, default: []].append(entry.value)
    }
    var list = NamedList<LikelihoodSummary>()
    for name in names {
      let own = totals[name] ?? []
      let interval = BootstrapInterval(
        sums: own.map(\.difference), weights: own.map(\.weight), confidence: confidence,
        resamples: resamples, seed: seed)
      if let summary = LikelihoodSummary(interval, own) { list.append(name, summary) }
    }
    return list
  }

  private static func worst(_ pairs: [PairEvidence]) -> [WorstPosition] {
    let all = pairs.flatMap(\.worst).filter { $0.divergence > 0 }
    return Array(
      all.sorted {
        ($1.divergence, $0.pair, $0.position, $0.head)
          < ($0.divergence, $1.pair, $1.position, $1.head)
      }.prefix(worstCount))
  }

  /// Outputs that differ earliest come first; equal ones fill up, so that there is always a
  /// timeline to look at.
  private static func examples(_ pairs: [PairEvidence]) -> [DecodeExample] {
    let decoded = pairs.compactMap { pair in
      pair.decode.map {
        DecodeExample(
          pair: pair.index, query: pair.query, decode: $0, firstDivergence: $0.firstDivergence)
      }
    }
    let differing = decoded.filter { $0.firstDivergence != nil }.sorted {
      ($0.firstDivergence ?? 0, $0.pair) < ($1.firstDivergence ?? 0, $1.pair)
    }
    let equal = decoded.filter { $0.firstDivergence == nil }
    return Array((differing + equal).prefix(exampleCount))
  }
}
