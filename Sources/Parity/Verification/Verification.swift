package import Bytes

/// A whole verification: pair after pair, until all are done or the outcome is clear.
package struct Verification {
  private let verifier: PairVerifier
  private let inputs: ParityInputs
  private let policy: ParityPolicy
  private let shard: Shard?
  private let stopsEarly: Bool

  /// - Parameters:
  ///   - shard: the part of the pairs to do; nil for all of them.
  ///   - stopsEarly: look at the outcome at doubling numbers of pairs and stop when it is decided;
  ///     not for shards, which only see a part.
  package init(
    verifier: PairVerifier, inputs: ParityInputs, policy: ParityPolicy, shard: Shard? = nil,
    stopsEarly: Bool = false
  ) {
    self.verifier = verifier
    self.inputs = inputs
    self.policy = policy
    self.shard = shard
    self.stopsEarly = stopsEarly && shard == nil
  }

  /// Evidence, and how often the outcome was looked at (`ParityReport.init`).
  package struct Outcome: Sendable {
    package var evidence: ParityEvidence
    package var looks: Int
  }

  /// - Parameters:
  ///   - pairs: all pairs of the verification, in the order of the file.
  ///   - run: where it runs; `seconds` and `stoppedEarly` are filled in.
  ///   - progress: called after each pair.
  package func run(
    _ pairs: [VerificationPair], run: RunInformation, progress: () -> Void
  ) throws(IngotError) -> Outcome {
    let own = pairs.filter { shard?.contains(pair: $0.index) ?? true }
    let looks = SequentialLooks(total: max(1, own.count), confidence: policy.confidence)
    let count = stopsEarly ? looks.pairs.count : 1
    var evidence = ParityEvidence(inputs: inputs, pairs: [], run: run, shard: shard)
    let start = ContinuousClock.now
    for (done, pair) in own.enumerated() {
      let decodes = pair.index < inputs.settings.decodePairs
      evidence.pairs.append(try verifier.evidence(for: pair, decodes: decodes))
      progress()
      if stopsEarly, looks.pairs.contains(done + 1), done + 1 < own.count,
        ParityReport(evidence: evidence, policy: policy, looks: count).verdict != .undecided
      {
        evidence.run.stoppedEarly = true
        break
      }
    }
    evidence.run.seconds = (ContinuousClock.now - start) / .seconds(1)
    return Outcome(evidence: evidence, looks: count)
  }
}
