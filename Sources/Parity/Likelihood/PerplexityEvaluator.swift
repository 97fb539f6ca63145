package import ReFusion

/// A likelihood that `ingot perplexity` reports.
package enum PerplexityMetric: Sendable, Hashable {
  case causal
  case slot(size: Int)
  case objective

  /// The key in JSON results: `causal`, `slot_k8`, `objective`.
  package var name: String {
    switch self {
    case .causal: "causal"
    case .slot(let size): "slot_k\(size)"
    case .objective: "objective"
    }
  }
}

/// Likelihoods of a set of examples under one model.
///
/// Sums are kept a pair at a time: tokens of one response are not independent, pairs are.
package struct PerplexityEvaluator {
  package let metrics: [PerplexityMetric]
  /// Seeds the objective's masks.
  package let seed: UInt64
  /// Slot sizes the objective draws from.
  package static let objectiveSlotSizes = [4, 8, 16, 32]

  package private(set) var pairs = 0
  package private(set) var tokens = 0
  private var sums: [PerplexityMetric: [Double]] = [:]
  private var weights: [PerplexityMetric: [Double]] = [:]
  private var autoregressiveSums: [Double] = []
  private var autoregressiveCounts: [Double] = []
  private var maskedLosses: [Double] = []

  package init(metrics: [PerplexityMetric], seed: UInt64 = 0) {
    self.metrics = metrics
    self.seed = seed
  }

  /// Scores one example.
  ///
  /// - Parameters:
  ///   - pair: its index in the pairs file, which alone seeds its masks.
  ///   - session: a session over the model; its cache is overwritten.
  package mutating func add(_ example: Example, pair: Int, on session: InferenceSession) {
    pairs += 1
    tokens += example.response.count
    for metric in metrics {
      switch metric {
      case .causal:
        record(metric, ScoringPlan.causal(example).negativeLogLikelihoods(on: session))
      case .slot(let size):
        guard let mask = session.model.configuration.maskToken else { continue }
        let plan = ScoringPlan.slots(example, slotSize: size, maskToken: Int32(mask))
        record(metric, plan.negativeLogLikelihoods(on: session))
      case .objective:
        addObjective(example, pair: pair, on: session)
      }
    }
  }

  private mutating func record(_ metric: PerplexityMetric, _ losses: [Float]) {
    sums[metric, default: []].append(losses.reduce(0) { $0 + Double($1) })
    weights[metric, default: []].append(Double(losses.count))
  }

  private mutating func addObjective(
    _ example: Example, pair: Int, on session: InferenceSession
  ) {
    guard let mask = session.model.configuration.maskToken else { return }
    var generator = SeededGenerator(seed: seed ^ UInt64(pair) &* 0x9E37_79B9_7F4A_7C15)
    let sizes = Self.objectiveSlotSizes
    let masking = SlotMasking.draw(
      responseLength: example.response.count, slotSize: sizes[generator.index(below: sizes.count)],
      using: &generator)
    let plan = ScoringPlan.objective(example, masking: masking, maskToken: Int32(mask))
    let losses = ObjectiveLosses(
      plan: plan, losses: plan.negativeLogLikelihoods(on: session),
      responseLength: example.response.count)
    autoregressiveSums.append(losses.autoregressiveSum)
    autoregressiveCounts.append(Double(losses.autoregressiveCount))
    maskedLosses.append(losses.masked)
  }

  /// Mean NLL per response token of a causal or slot metric, and its standard error over pairs.
  package func estimate(_ metric: PerplexityMetric) -> RatioEstimate? {
    guard let sums = sums[metric], let weights = weights[metric] else { return nil }
    return RatioEstimate(sums: sums, weights: weights)
  }

  /// Mean cross-entropy over all AR labels.
  package var autoregressiveLoss: RatioEstimate? {
    RatioEstimate(sums: autoregressiveSums, weights: autoregressiveCounts)
  }

  /// Mean over pairs of Σ CE ÷ p ÷ L.
  package var maskedLoss: RatioEstimate? {
    RatioEstimate(sums: maskedLosses, weights: maskedLosses.map { _ in 1 })
  }
}

/// The two losses of the training objective on one example (arXiv 2512.13586, eq. 5 and 6).
package struct ObjectiveLosses: Sendable, Hashable {
  package private(set) var autoregressiveSum = 0.0
  package private(set) var autoregressiveCount = 0
  /// Σ over masks of CE ÷ mask probability ÷ response length.
  package private(set) var masked = 0.0

  /// - Parameters:
  ///   - plan: an objective plan.
  ///   - losses: its NLLs in nats, in order.
  ///   - responseLength: L, EOS included.
  package init(plan: ScoringPlan, losses: [Float], responseLength: Int) {
    let probability = plan.maskProbability ?? 1
    for (target, loss) in zip(plan.scored, losses) {
      if target.head == .masked {
        masked += Double(loss) / probability / Double(responseLength)
      } else {
        autoregressiveSum += Double(loss)
        autoregressiveCount += 1
      }
    }
  }
}
