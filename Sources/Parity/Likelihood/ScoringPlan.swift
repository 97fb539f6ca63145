package import ReFusion

/// One distribution to look at: which input it is read at, and the token that is right there.
package struct ScoringTarget: Sendable, Hashable {
  /// Index into the batch's tokens.
  package let input: Int
  package let target: Int32
  package let head: ScoringHead
  /// Index of the target in its slot; 0 for causal scoring.
  package let positionInSlot: Int
  /// Index of the target in the response.
  package let responseIndex: Int
}

/// One forward of the model and what to read from it. The same plan is run on both models of a
/// comparison, so that they see equal masks and equal order.
package struct ScoringPlan: Sendable {
  package var batch: ForwardBatch
  package var scored: [ScoringTarget]
  /// The share of slots expected to be masked (`p`), for the training objective only.
  package var maskProbability: Double?

  /// Negative log-likelihood (nats) of each scored target, in order.
  package func negativeLogLikelihoods(on session: InferenceSession) -> [Float] {
    session.forward(batch)
    return session.score(at: scored.map(\.input), targets: scored.map(\.target))
      .map { -$0.logProbability }
  }
}
