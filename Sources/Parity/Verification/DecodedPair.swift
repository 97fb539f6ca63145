internal import Bytes
package import ReFusion

/// What one model decoded, and the decisions it took on the way.
struct DecodedPair {
  let run: DecodeRun
  let decisions: [DecodingDecision]

  /// - Parameter text: token ids to text.
  init(
    _ pair: VerificationPair, on session: InferenceSession, settings: ParitySettings.Decoding,
    text: ([Int32]) -> String
  ) throws(IngotError) {
    let prompt = pair.example.prompt
    var decisions: [DecodingDecision] = []
    var decoder = try ReFusionDecoder(
      session: session, settings: settings.runtime,
      observer: DecodingObserver(decision: { decisions.append($0) }))
    let start = ContinuousClock.now
    let result = try decoder.decode(prompt: prompt)
    let seconds = (ContinuousClock.now - start) / .seconds(1)
    run = DecodeRun(
      tokens: result.tokens, text: text(result.tokens), forwards: result.forwards,
      publishedTokensPerForward: result.publishedTokensPerForward, seconds: seconds,
      timeline: DecodeTimeline(
        decisions, promptLength: prompt.count, slotSize: settings.slotSize))
    self.decisions = decisions
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
      slotThreshold: Self.asGiven(settings.slotThreshold),
      tokenThreshold: Self.asGiven(settings.tokenThreshold),
      maximumTokens: settings.maximumTokens,
      endOfSequence: settings.endOfSequence.rawValue)
  }

  /// Through its shortest decimal: 0.4 is to be recorded as 0.4, not as 0.4000000059604645.
  private static func asGiven(_ threshold: Float) -> Double {
    Double(threshold.description) ?? Double(threshold)
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
