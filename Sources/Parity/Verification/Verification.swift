package import Bytes

/// A whole verification: pair after pair, until all are done or the outcome is clear.
package struct Verification {
  private let verifier: PairVerifier
  private let inputs: ParityInputs
  private let policy: ParityPolicy
  private let shard: Shard?
  private let stopsEarly: Bool
  private let turns: ModelTurns

  /// - Parameters:
  ///   - shard: the part of the pairs to do; nil for all of them.
  ///   - stopsEarly: look at the outcome at doubling numbers of pairs and stop when it is decided;
  ///     not for shards, which only see a part.
  ///   - turns: how the models share the memory; no figure depends on it.
  package init(
    verifier: PairVerifier, inputs: ParityInputs, policy: ParityPolicy, shard: Shard? = nil,
    stopsEarly: Bool = false, turns: ModelTurns = .sideBySide
  ) {
    self.verifier = verifier
    self.inputs = inputs
    self.policy = policy
    self.shard = shard
    self.stopsEarly = stopsEarly && shard == nil
    self.turns = turns
  }

  /// Evidence, and how often the outcome was looked at (`ParityReport.init`).
  package struct Outcome: Sendable {
    package var evidence: ParityEvidence
    package var looks: Int
  }

  /// Passes over a pair that `progress` is called for: one on each model.
  package static let passesPerPair = 2

  /// - Parameters:
  ///   - pairs: all pairs of the verification, in the order of the file.
  ///   - run: where it runs; times and `stoppedEarly` are filled in.
  ///   - progress: called after each pass over a pair.
  package func run(
    _ pairs: [VerificationPair], run: RunInformation, progress: () -> Void
  ) throws(IngotError) -> Outcome {
    let own = pairs.filter { shard?.contains(pair: $0.index) ?? true }
    let looks = SequentialLooks(total: max(1, own.count), confidence: policy.confidence)
    let count = stopsEarly ? looks.pairs.count : 1
    var evidence = ParityEvidence(inputs: inputs, pairs: [], run: run, shard: shard)
    let start = ContinuousClock.now
    let arithmeticBefore = verifier.scorer.arithmeticSeconds
    while evidence.pairs.count < own.count {
      let done = evidence.pairs.count
      let nextLook = stopsEarly ? looks.pairs.first { $0 > done } ?? own.count : own.count
      let end = min(done + turns.pairsAtOnce, nextLook)
      evidence.pairs += try turn(own[done..<end], progress)
      if stopsEarly, end == nextLook, end < own.count,
        ParityReport(evidence: evidence, policy: policy, looks: count).verdict != .undecided
      {
        evidence.run.stoppedEarly = true
        break
      }
    }
    evidence.run.seconds = (ContinuousClock.now - start) / .seconds(1)
    evidence.run.modelSeconds = verifier.scorer.arithmeticSeconds - arithmeticBefore
    return Outcome(evidence: evidence, looks: count)
  }

  /// The evidence of some pairs: all of them on the reference, then all on the candidate.
  private func turn(
    _ pairs: ArraySlice<VerificationPair>, _ progress: () -> Void
  ) throws(IngotError) -> [PairEvidence] {
    let plans = pairs.map(verifier.plans)
    var references: [PairVerifier.Pass] = []
    for (pair, plans) in zip(pairs, plans) {
      let decodes = pair.index < inputs.settings.decodePairs
      references.append(try verifier.referencePass(pair, plans, decodes: decodes))
      progress()
    }
    turns.release(.reference)
    var candidates: [PairVerifier.Pass] = []
    for (index, pair) in pairs.enumerated() {
      candidates.append(
        try verifier.candidatePass(pair, plans[index], along: references[index]))
      progress()
    }
    turns.release(.candidate)
    return pairs.enumerated().map { index, pair in
      verifier.evidence(for: pair, plans[index], references[index], candidates[index])
    }
  }
}
