internal import Foundation

/// Which likelihood a position was scored under.
package enum LikelihoodMetric: UInt8, Sendable, Hashable, CaseIterable {
  /// The ordinary next-token likelihood, left to right.
  case causal = 0
  /// The noiseless slot likelihood: first token of a slot by the mask, the others by the shift.
  case slot = 1
  /// The training objective with seeded masks, the same for both models.
  case objective = 2
}

/// One token of one response, scored by both models.
///
/// Kept for every position, so that shards merge to the same figures in any order: about 56 bytes
/// a position, and a million positions are far more than a verification needs.
package struct PositionRecord: Sendable, Hashable {
  /// Index of the pair in the pairs file.
  package var pair: UInt32
  /// Index of the token in the response; the EOS is the last.
  package var position: UInt32
  package var metric: LikelihoodMetric
  package var head: ScoringHead
  /// Tokens in a full slot; 0 where the metric has no slots.
  package var slotSize: UInt16
  /// Index of the token in its slot; 0 where the metric has no slots.
  package var positionInSlot: UInt16
  /// Which draw of masks, where an objective is drawn more than once per pair.
  package var draw: UInt16
  /// The objective's masking probability p; 0 for the other metrics.
  package var maskRatio: Float
  /// KL(reference ‖ candidate) in nats.
  package var divergence: Float
  /// −log p(correct token), in nats.
  package var referenceLoss: Float
  package var candidateLoss: Float
  /// The reference's largest probability.
  package var confidence: Float
  package var correctToken: UInt32
  package var referenceTop: UInt32
  package var candidateTop: UInt32
  /// Of the reference's five most likely tokens, how many are among the candidate's five.
  package var sharedTopFive: UInt8
  /// Five, or the vocabulary size where that is smaller.
  package var topCount: UInt8
  /// False when a logit was NaN or infinite.
  package var isFinite: Bool

  package init(
    pair: Int, position: Int, metric: LikelihoodMetric, head: ScoringHead, slotSize: Int = 0,
    positionInSlot: Int = 0, draw: Int = 0, maskRatio: Float = 0, correctToken: Int,
    comparison: RowComparison
  ) {
    self.pair = UInt32(pair)
    self.position = UInt32(position)
    self.metric = metric
    self.head = head
    self.slotSize = UInt16(clamping: slotSize)
    self.positionInSlot = UInt16(clamping: positionInSlot)
    self.draw = UInt16(clamping: draw)
    self.maskRatio = maskRatio
    divergence = Float(comparison.divergence)
    referenceLoss = Float(comparison.referenceLoss)
    candidateLoss = Float(comparison.candidateLoss)
    confidence = Float(comparison.referenceConfidence)
    self.correctToken = UInt32(correctToken)
    referenceTop = UInt32(comparison.referenceTop)
    candidateTop = UInt32(comparison.candidateTop)
    sharedTopFive = UInt8(comparison.sharedTopFive)
    topCount = UInt8(comparison.topCount)
    isFinite = comparison.isFinite
  }

  package var topOneAgrees: Bool { referenceTop == candidateTop }

  /// p(correct | candidate) − p(correct | reference).
  package var probabilityChange: Double {
    exp(-Double(candidateLoss)) - exp(-Double(referenceLoss))
  }
}

extension PositionRecord {
  /// The order in which every sum is taken, whatever order shards and threads delivered.
  static func precedes(_ a: PositionRecord, _ b: PositionRecord) -> Bool {
    a.sortKey < b.sortKey
  }

  private var sortKey: (UInt32, UInt8, UInt16, UInt16, UInt32, UInt8) {
    (pair, metric.rawValue, slotSize, draw, position, head.order)
  }
}
