package import Bytes
internal import Foundation
internal import ReFusion

/// A query/response pair with its token ids.
package struct VerificationPair: Sendable {
  /// In the pairs file; it alone seeds the pair's masks.
  package let index: Int
  package let query: String
  package let response: String
  package let example: Example

  package init(index: Int, query: String, response: String, example: Example) {
    self.index = index
    self.query = query
    self.response = response
    self.example = example
  }
}

/// Collects the evidence of one pair after another.
package struct PairVerifier {
  package let scorer: ModelPairScorer
  package let settings: ParitySettings
  package let seed: UInt64
  /// Token ids to text, for the examples.
  private let text: ([Int32]) -> String

  /// Worst positions kept per pair.
  private static let worstPerPair = 2

  package init(
    scorer: ModelPairScorer, settings: ParitySettings, seed: UInt64,
    text: @escaping ([Int32]) -> String
  ) {
    self.scorer = scorer
    self.settings = settings
    self.seed = seed
    self.text = text
  }

  /// Scores a pair under every metric and, where asked, decodes it with both models.
  package func evidence(
    for pair: VerificationPair, decodes: Bool
  ) throws(IngotError) -> PairEvidence {
    var positions: [PositionRecord] = []
    var likelihoods = NamedList<PairedTotal>()
    func add(_ name: String, _ records: [PositionRecord]) {
      positions += records
      likelihoods.append(name, Self.total(pair.index, records))
    }
    add(
      PerplexityMetric.causal.name,
      records(pair, .causal(pair.example), metric: .causal, slotSize: 0))
    if let mask = scorer.maskToken {
      for size in settings.slotSizes {
        let plan = ScoringPlan.slots(pair.example, slotSize: size, maskToken: mask)
        add(
          PerplexityMetric.slot(size: size).name,
          records(pair, plan, metric: .slot, slotSize: size))
      }
      addObjective(pair, mask, &positions, &likelihoods)
    }
    var result = PairEvidence(
      index: pair.index, promptTokens: pair.example.prompt.count,
      responseTokens: pair.example.response.count, query: pair.query, positions: positions,
      likelihoods: likelihoods, worst: worst(pair, positions))
    if decodes, let settings = settings.decoding, scorer.maskToken != nil {
      let decoded = try DecodeComparison(scorer: scorer, settings: settings, text: text)
        .run(pair)
      result.decode = decoded.pair
      result.replay = decoded.replay
    }
    return result
  }

  private func records(
    _ pair: VerificationPair, _ plan: ScoringPlan, metric: LikelihoodMetric, slotSize: Int,
    draw: Int = 0
  ) -> [PositionRecord] {
    zip(plan.scored, scorer.compare(plan)).map { place, comparison in
      PositionRecord(
        pair: pair.index, position: place.responseIndex, metric: metric, head: place.head,
        slotSize: slotSize, positionInSlot: place.positionInSlot, draw: draw,
        maskRatio: Float(plan.maskProbability ?? 0), correctToken: Int(place.target),
        comparison: comparison)
    }
  }

  private static func total(_ pair: Int, _ records: [PositionRecord]) -> PairedTotal {
    // Records that are not finite are reported on their own; one of them would hide all others.
    let finite = records.filter(\.isFinite)
    return PairedTotal(
      pair: pair, weight: max(1, Double(finite.count)),
      reference: finite.reduce(0) { $0 + Double($1.referenceLoss) },
      candidate: finite.reduce(0) { $0 + Double($1.candidateLoss) })
  }

  /// The training objective under seeded masks, the same for both models.
  private func addObjective(
    _ pair: VerificationPair, _ mask: Int32, _ positions: inout [PositionRecord],
    _ likelihoods: inout NamedList<PairedTotal>
  ) {
    var autoregressive: [PositionRecord] = []
    var masked = PairedTotal(pair: pair.index, weight: 1, reference: 0, candidate: 0)
    let sizes = PerplexityEvaluator.objectiveSlotSizes
    // The first draw is the one that `ingot perplexity` takes.
    var generator = SeededGenerator(seed: seed ^ UInt64(pair.index) &* 0x9E37_79B9_7F4A_7C15)
    for draw in 0..<settings.objectiveDraws {
      let masking = SlotMasking.draw(
        responseLength: pair.example.response.count,
        slotSize: sizes[generator.index(below: sizes.count)], using: &generator)
      let plan = ScoringPlan.objective(pair.example, masking: masking, maskToken: mask)
      let records = records(
        pair, plan, metric: .objective, slotSize: masking.slotSize, draw: draw)
      positions += records
      autoregressive += records.filter { $0.head == .autoregressive }
      let scale =
        1 / masking.probability / Double(pair.example.response.count)
        / Double(settings.objectiveDraws)
      for record in records where record.head == .masked && record.isFinite {
        masked.reference += Double(record.referenceLoss) * scale
        masked.candidate += Double(record.candidateLoss) * scale
      }
    }
    guard settings.objectiveDraws > 0 else { return }
    if !autoregressive.isEmpty {
      likelihoods.append("objective_autoregressive", Self.total(pair.index, autoregressive))
    }
    likelihoods.append("objective_masked", masked)
  }

  /// The positions that moved most, with the text around them.
  private func worst(
    _ pair: VerificationPair, _ positions: [PositionRecord]
  ) -> [WorstPosition] {
    let finite = positions.filter { $0.isFinite && $0.divergence > 0 }
    let sorted = finite.sorted {
      $0.divergence != $1.divergence
        ? $0.divergence > $1.divergence : PositionRecord.precedes($0, $1)
    }
    // One metric after another scores the same token; show different tokens.
    var shown: [PositionRecord] = []
    for record in sorted where shown.count < Self.worstPerPair {
      if !shown.contains(where: { $0.position == record.position }) { shown.append(record) }
    }
    return
      shown
      .map { record in
        let before = pair.example.response.prefix(Int(record.position))
        return WorstPosition(
          pair: pair.index, position: Int(record.position), head: record.head.rawValue,
          divergence: Double(record.divergence), context: String(text(Array(before)).suffix(80)),
          correct: name(record.correctToken), referenceToken: name(record.referenceTop),
          candidateToken: name(record.candidateTop),
          referenceProbability: exp(-Double(record.referenceLoss)),
          candidateProbability: exp(-Double(record.candidateLoss)))
      }
  }

  /// A token as text; special and partial ones by their number.
  private func name(_ token: UInt32) -> String {
    if Int(token) == scorer.endToken.map(Int.init) { return "EOS" }
    let text = text([Int32(token)])
    return text.isEmpty ? "#\(token)" : text
  }
}
