import Foundation
import Parity
import Testing

@Suite struct DecodeComparisonTests {
  private func pair(_ a: [Int32], _ b: [Int32]) -> DecodePair {
    DecodePair(
      reference: DecodeRun(tokens: a, text: "", forwards: 1),
      candidate: DecodeRun(tokens: b, text: "", forwards: 1))
  }

  @Test func equalityDivergenceAndDistance() {
    #expect(pair([1, 2, 3], [1, 2, 3]).isExact)
    #expect(pair([1, 2, 3], [1, 2, 3]).firstDivergence == nil)
    #expect(pair([1, 2, 3], [1, 9, 3]).firstDivergence == 1)
    #expect(pair([1, 2, 3], [1, 2]).firstDivergence == 2)
    #expect(pair([], [1]).firstDivergence == 0)
    // kitten → sitting.
    #expect(levenshtein([1, 2, 3, 3, 4, 5], [6, 2, 3, 3, 2, 5, 7]) == 3)
    #expect(levenshtein([], [1, 2]) == 2)
    #expect(levenshtein([1, 2], []) == 2)
    #expect(levenshtein([1, 2], [2, 1]) == 2)
  }

  @Test(arguments: [
    ("so 7.\n#### 42", "42"), ("#### 1\n#### $1,234.\nmore", "1234"), ("####  -3.5 ", "-3.5"),
    ("no marker", nil), ("####", nil), ("#### \n5", nil),
  ])
  func finalAnswers(text: String, answer: String?) {
    #expect(FinalAnswer.extract(text) == answer)
  }
}

@Suite struct ReplaySummaryTests {
  private let settings = ParitySettings.Decoding(
    slotSize: 8, blocks: 1, slotThreshold: 0.5, tokenThreshold: 0.25, maximumTokens: 8,
    endOfSequence: "fixed")

  private func decision(
    _ reference: Float, _ candidate: Float, kind: ReplayDecision.Kind = .slotChoice,
    pair: Int = 0, forward: Int = 0
  ) -> ReplayDecision {
    let threshold: Float = kind == .slotChoice ? 0.5 : 0.25
    return ReplayDecision(
      pair: pair, forward: forward, position: 0, kind: kind,
      flipped: (reference > threshold) != (candidate > threshold), reference: reference,
      candidate: candidate)
  }

  private func summary(_ decisions: [ReplayDecision]) throws -> ReplaySummary {
    var synthetic = SyntheticEvidence(noise: 0, pairs: 1)
    var evidence = synthetic.evidence()
    evidence.inputs.settings.decoding = settings
    evidence.pairs[0].replay = decisions
    let report = ParityReport(evidence: evidence, policy: ParityPolicy(name: ""))
    return try #require(report.decode?.replay)
  }

  @Test func equalDecisionsPredictAndShowNoFlip() throws {
    let replay = try summary([0.1, 0.4999, 0.5, 0.5001, 0.99].map { decision($0, $0) })
    let kind = try #require(replay.kinds["slot_choice"])
    #expect(kind.flips == 0 && kind.predictedFlips == 0 && kind.noise == 0)
    #expect(replay.firstFlip == nil)
    #expect(replay.thresholds["slot"]?.suggested == 0.5)
  }

  /// Noise of equal size everywhere: predictions and observations agree.
  @Test func predictedFlipsMatchIndependentNoise() throws {
    var generator = SeededGenerator(seed: 8)
    let decisions = (0..<4000).map { _ in
      let odds = generator.unit() * 8 - 4
      let moved = odds + (generator.unit() - 0.5)
      func probability(_ x: Double) -> Float { Float(1 / (1 + exp(-x))) }
      return decision(probability(odds), probability(moved))
    }
    let kind = try #require(try summary(decisions).kinds["slot_choice"])
    let predicted = try #require(kind.predictedFlips)
    // About 125 flips: four standard deviations are 45.
    #expect(kind.flips > 60)
    #expect(abs(predicted - Double(kind.flips)) < 45, "\(predicted), \(kind.flips)")
  }

  @Test func theSuggestedThresholdRestoresTheReferencesRate() throws {
    // The candidate is less confident throughout; the reference accepts 2 of 4.
    let replay = try summary([
      decision(0.2, 0.1), decision(0.45, 0.3), decision(0.6, 0.41), decision(0.9, 0.7),
    ])
    let threshold = try #require(replay.thresholds["slot"])
    #expect(threshold.referenceRate == 0.5)
    #expect(threshold.candidateRate == 0.25)
    #expect(abs(threshold.suggested - 0.355) < 1e-6)
  }

  @Test func theFirstFlipIsTheEarliestByPairAndForward() throws {
    let replay = try summary([
      decision(0.6, 0.4, pair: 2, forward: 1), decision(0.6, 0.4, pair: 1, forward: 9),
      decision(0.6, 0.7, pair: 0, forward: 0),
      decision(0.3, 0.2, kind: .acceptance, pair: 1, forward: 4),
    ])
    let first = try #require(replay.firstFlip)
    #expect(first.pair == 1 && first.forward == 4 && first.kind == "acceptance")
  }
}
