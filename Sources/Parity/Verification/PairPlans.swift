/// What is scored of one pair: a forward for each metric, the same for both models.
struct PairPlans {
  /// One forward and what it stands for.
  struct Entry {
    let metric: LikelihoodMetric
    /// 0 where the metric has no slots.
    let slotSize: Int
    /// Which draw of the objective's masks.
    let draw: Int
    let plan: ScoringPlan
  }

  private(set) var entries: [Entry] = []

  /// - Parameters:
  ///   - maskToken: nil for a model that has none: then only the causal likelihood is scored.
  ///   - seed: with the pair's index, it decides the objective's masks.
  init(
    _ pair: VerificationPair, settings: ParitySettings, seed: UInt64, maskToken: Int32?
  ) {
    entries.append(
      Entry(metric: .causal, slotSize: 0, draw: 0, plan: .causal(pair.example)))
    guard let maskToken else { return }
    for size in settings.slotSizes {
      entries.append(
        Entry(
          metric: .slot, slotSize: size, draw: 0,
          plan: .slots(pair.example, slotSize: size, maskToken: maskToken)))
    }
    addObjective(pair, settings.objectiveDraws, seed, maskToken)
  }

  /// The training objective under seeded masks.
  private mutating func addObjective(
    _ pair: VerificationPair, _ draws: Int, _ seed: UInt64, _ maskToken: Int32
  ) {
    let sizes = PerplexityEvaluator.objectiveSlotSizes
    // The first draw is the one that `ingot perplexity` takes.
    var generator = SeededGenerator(seed: seed ^ UInt64(pair.index) &* 0x9E37_79B9_7F4A_7C15)
    for draw in 0..<draws {
      let masking = SlotMasking.draw(
        responseLength: pair.example.response.count,
        slotSize: sizes[generator.index(below: sizes.count)], using: &generator)
      entries.append(
        Entry(
          metric: .objective, slotSize: masking.slotSize, draw: draw,
          plan: .objective(pair.example, masking: masking, maskToken: maskToken)))
    }
  }
}
