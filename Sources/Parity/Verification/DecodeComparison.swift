internal import Bytes
package import ReFusion

/// Decodes one prompt with both models, and replays the reference's decisions on the candidate.
struct DecodeComparison {
  let scorer: ModelPairScorer
  let settings: ParitySettings.Decoding
  let text: ([Int32]) -> String

  func run(
    _ pair: VerificationPair
  ) throws(IngotError) -> (pair: DecodePair, replay: [ReplayDecision]) {
    let reference = try decode(pair.example.prompt, scorer.reference)
    let candidate = try decode(pair.example.prompt, scorer.candidate)
    var replay = DecodeReplay(
      session: scorer.candidate, prompt: pair.example.prompt, settings: settings, pair: pair.index)
    replay.run(reference.decisions)
    return (
      DecodePair(
        reference: reference.run, candidate: candidate.run,
        expectedAnswer: FinalAnswer.extract(pair.response)), replay.decisions
    )
  }

  private func decode(
    _ prompt: [Int32], _ session: InferenceSession
  ) throws(IngotError) -> (run: DecodeRun, decisions: [DecodingDecision]) {
    var decisions: [DecodingDecision] = []
    var decoder = try ReFusionDecoder(
      session: session, settings: settings.runtime,
      observer: DecodingObserver(decision: { decisions.append($0) }))
    let start = ContinuousClock.now
    let result = try decoder.decode(prompt: prompt)
    let seconds = (ContinuousClock.now - start) / .seconds(1)
    let run = DecodeRun(
      tokens: result.tokens, text: text(result.tokens), forwards: result.forwards,
      publishedTokensPerForward: result.publishedTokensPerForward, seconds: seconds,
      timeline: DecodeTimeline(
        decisions, promptLength: prompt.count, slotSize: settings.slotSize))
    return (run, decisions)
  }
}

extension ParitySettings.Decoding {
  /// The same settings as the runtime takes them; greedy, since sampling would hide differences.
  var runtime: DecodingSettings {
    DecodingSettings(
      slotSize: slotSize, blocks: blocks, slotThreshold: Float(slotThreshold),
      tokenThreshold: Float(tokenThreshold), maximumTokens: maximumTokens,
      endOfSequence: EndOfSequenceHandling(rawValue: endOfSequence) ?? .fixed)
  }

  package init(_ settings: DecodingSettings) {
    self.init(
      slotSize: settings.slotSize, blocks: settings.blocks,
      slotThreshold: Double(settings.slotThreshold),
      tokenThreshold: Double(settings.tokenThreshold), maximumTokens: settings.maximumTokens,
      endOfSequence: settings.endOfSequence.rawValue)
  }
}

extension DecodeTimeline {
  /// The slots each forward of a decoding worked on, from its decisions.
  init(_ decisions: [DecodingDecision], promptLength: Int, slotSize: Int) {
    self.init(slotSize: slotSize, steps: [])
    var chosen: [Int] = []
    for decision in decisions {
      switch decision {
      case .plan(let starts, _, _, let indices):
        let slots = starts.map { (Int($0) - promptLength) / slotSize }
        chosen = indices.map { slots[$0] }
        steps.append(Step(work: .plan, slots: slots))
      case .verify:
        steps.append(Step(work: .verify, slots: chosen))
      case .prefixCommit(let count, _):
        steps[steps.count - 1].committed = Array(chosen.prefix(count))
      case .infill(_, let tokens, _, let accepted, _):
        let rows = Array(chosen.prefix(tokens.count))
        steps.append(Step(work: .propose, slots: chosen))
        steps.append(Step(work: .check, slots: chosen))
        chosen = rows
        if accepted.allSatisfy({ $0 == slotSize }) { steps[steps.count - 1].committed = rows }
      }
    }
  }
}
