package import Bytes
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
///
/// A pair takes two passes, one on each model, and a comparison of what they left. The passes of
/// several pairs may be taken one model after the other, so that only one of two large models has
/// to be in memory; the evidence does not depend on it.
package struct PairVerifier {
  package let scorer: ModelPairScorer
  package let settings: ParitySettings
  package let seed: UInt64
  /// Token ids to text, for the examples.
  let text: ([Int32]) -> String

  package init(
    scorer: ModelPairScorer, settings: ParitySettings, seed: UInt64,
    text: @escaping ([Int32]) -> String
  ) {
    self.scorer = scorer
    self.settings = settings
    self.seed = seed
    self.text = text
  }

  /// What a pass of one model over a pair leaves behind.
  struct Pass {
    /// Hidden states of the scored inputs, one list a plan.
    let hidden: [[Float]]
    let decoded: DecodedPair?
    /// The reference's decisions taken again; empty for the reference itself.
    var replay: [ReplayDecision] = []
  }

  /// Bytes that two passes over a pair of this length keep until they are compared.
  package func bytesKept(responseTokens: Int) -> Int {
    let plans = 1 + settings.slotSizes.count + settings.objectiveDraws
    let width =
      scorer.reference.model.configuration.hiddenSize
      + scorer.candidate.model.configuration.hiddenSize
    return plans * responseTokens * width * MemoryLayout<Float>.size
  }

  /// Scores a pair under every metric and, where asked, decodes it with both models.
  package func evidence(
    for pair: VerificationPair, decodes: Bool
  ) throws(IngotError) -> PairEvidence {
    let plans = plans(for: pair)
    let reference = try referencePass(pair, plans, decodes: decodes)
    let candidate = try candidatePass(pair, plans, along: reference)
    return evidence(for: pair, plans, reference, candidate)
  }

  func plans(for pair: VerificationPair) -> PairPlans {
    PairPlans(pair, settings: settings, seed: seed, maskToken: scorer.maskToken)
  }

  func referencePass(
    _ pair: VerificationPair, _ plans: PairPlans, decodes: Bool
  ) throws(IngotError) -> Pass {
    let session = scorer.reference
    let hidden = plans.entries.map { ModelPairScorer.hiddenStates($0.plan, on: session) }
    guard decodes, let decoding = settings.decoding, scorer.maskToken != nil else {
      return Pass(hidden: hidden, decoded: nil)
    }
    return Pass(
      hidden: hidden,
      decoded: try DecodedPair(pair, on: session, settings: decoding, text: text))
  }

  /// - Parameter reference: the reference's pass, whose decisions the candidate takes again.
  func candidatePass(
    _ pair: VerificationPair, _ plans: PairPlans, along reference: Pass
  ) throws(IngotError) -> Pass {
    let session = scorer.candidate
    let hidden = plans.entries.map { ModelPairScorer.hiddenStates($0.plan, on: session) }
    guard let trajectory = reference.decoded?.decisions, let decoding = settings.decoding else {
      return Pass(hidden: hidden, decoded: nil)
    }
    let decoded = try DecodedPair(pair, on: session, settings: decoding, text: text)
    var replay = DecodeReplay(
      session: session, prompt: pair.example.prompt, settings: decoding, pair: pair.index)
    replay.run(trajectory)
    return Pass(hidden: hidden, decoded: decoded, replay: replay.decisions)
  }

  func evidence(
    for pair: VerificationPair, _ plans: PairPlans, _ reference: Pass, _ candidate: Pass
  ) -> PairEvidence {
    var scores = PairScores(pair)
    for (index, entry) in plans.entries.enumerated() {
      scores.add(
        entry,
        scorer.compare(
          entry.plan.scored, reference: reference.hidden[index],
          candidate: candidate.hidden[index]))
    }
    scores.addObjectiveTotals(draws: settings.objectiveDraws)
    var result = PairEvidence(
      index: pair.index, promptTokens: pair.example.prompt.count,
      responseTokens: pair.example.response.count, query: pair.query,
      positions: scores.positions, likelihoods: scores.likelihoods,
      worst: worst(pair, scores.positions))
    if let a = reference.decoded, let b = candidate.decoded {
      result.decode = DecodePair(
        reference: a.run, candidate: b.run,
        expectedAnswer: FinalAnswer.extract(pair.response))
      result.replay = candidate.replay
      result.firstFlip = ReplaySummary.FirstFlip(candidate.replay, name: name)
    }
    return result
  }
}
