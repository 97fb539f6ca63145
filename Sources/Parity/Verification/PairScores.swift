/// The records and totals of one pair, put together plan by plan.
struct PairScores {
  private(set) var positions: [PositionRecord] = []
  private(set) var likelihoods = NamedList<PairedTotal>()

  private let pair: VerificationPair
  private var scoresObjective = false
  private var objectiveAutoregressive: [PositionRecord] = []
  /// Σ CE ÷ mask probability ÷ response length over all draws.
  private var objectiveMasked: PairedTotal

  init(_ pair: VerificationPair) {
    self.pair = pair
    objectiveMasked = PairedTotal(pair: pair.index, weight: 1, reference: 0, candidate: 0)
  }

  mutating func add(_ entry: PairPlans.Entry, _ comparisons: [RowComparison]) {
    let records = zip(entry.plan.scored, comparisons).map { place, comparison in
      PositionRecord(
        pair: pair.index, position: place.responseIndex, metric: entry.metric, head: place.head,
        slotSize: entry.slotSize, positionInSlot: place.positionInSlot, draw: entry.draw,
        maskRatio: Float(entry.plan.maskProbability ?? 0), correctToken: Int(place.target),
        comparison: comparison)
    }
    positions += records
    switch entry.metric {
    case .causal: likelihoods.append(PerplexityMetric.causal.name, total(records))
    case .slot:
      likelihoods.append(PerplexityMetric.slot(size: entry.slotSize).name, total(records))
    case .objective: addObjective(records, probability: entry.plan.maskProbability ?? 1)
    }
  }

  private mutating func addObjective(_ records: [PositionRecord], probability: Double) {
    scoresObjective = true
    objectiveAutoregressive += records.filter { $0.head == .autoregressive }
    let scale = 1 / probability / Double(pair.example.response.count)
    for record in records where record.head == .masked && record.isFinite {
      objectiveMasked.reference += Double(record.referenceLoss) * scale
      objectiveMasked.candidate += Double(record.candidateLoss) * scale
    }
  }

  /// Adds the objective's two losses, means over its draws, behind the other likelihoods.
  mutating func addObjectiveTotals(draws: Int) {
    guard scoresObjective else { return }
    if !objectiveAutoregressive.isEmpty {
      likelihoods.append("objective_autoregressive", total(objectiveAutoregressive))
    }
    var masked = objectiveMasked
    masked.reference /= Double(draws)
    masked.candidate /= Double(draws)
    likelihoods.append("objective_masked", masked)
  }

  private func total(_ records: [PositionRecord]) -> PairedTotal {
    // Records that are not finite are reported on their own; one of them would hide all others.
    let finite = records.filter(\.isFinite)
    return PairedTotal(
      pair: pair.index, weight: max(1, Double(finite.count)),
      reference: finite.reduce(0) { $0 + Double($1.referenceLoss) },
      candidate: finite.reduce(0) { $0 + Double($1.candidateLoss) })
  }
}
