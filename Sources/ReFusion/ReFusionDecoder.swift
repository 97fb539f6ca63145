package import Bytes
internal import Kernels

/// Decodes one prompt with ReFusion: slots are drafted in parallel, verified as an autoregressive
/// text, and filled in where they fail, every key and value computed once.
///
/// Follows arXiv 2512.13586 and the official `generate.py`, step names A to E as in the design
/// notes (README, "How ReFusion decodes").
package struct ReFusionDecoder {
  let session: InferenceSession
  let settings: DecodingSettings
  let maskToken: Int32
  let endToken: Int32
  var observer: DecodingObserver

  /// X and P: committed tokens in commit order, and their positions. Their keys and values are
  /// the first `committed.count` cache entries.
  var committed: [Int32] = []
  var positions: [Int32] = []
  /// R: first positions of the undecided slots of this block, ascending.
  var undecided: [Int32] = []
  var reachedEnd = false
  var noise: GumbelNoise
  package var lookahead: DecodingLookahead
  /// Per round, for the published tokens-per-forward figure.
  var roundTokensPerForward: [Double] = []

  /// - Throws: `decode.settings`; `decode.noMask` when the model has no MASK or EOS token.
  package init(
    session: InferenceSession, settings: DecodingSettings,
    observer: DecodingObserver = DecodingObserver()
  ) throws(IngotError) {
    try settings.validate()
    guard let mask = session.model.configuration.maskToken else {
      throw IngotError(
        "decode.noMask", "the model has no mask_token_id, so it cannot decode in parallel",
        advice: "Use --decoder autoregressive, or add mask_token_id to its config.json.")
    }
    guard let end = session.model.configuration.endOfTextToken else {
      throw IngotError(
        "decode.noEOS", "the model has no eos_token_id, so decoding would never end",
        advice: "Add eos_token_id to its config.json.")
    }
    self.session = session
    self.settings = settings
    self.observer = observer
    maskToken = Int32(mask)
    endToken = Int32(end)
    noise = GumbelNoise(seed: settings.seed)
    lookahead = DecodingLookahead(session.model, on: session.engine.kernels)
  }

  /// Decodes one prompt.
  ///
  /// - Parameter prompt: at least one token id below the vocabulary size.
  /// - Returns: the generated tokens sorted by position.
  package mutating func decode(prompt: [Int32]) throws(IngotError) -> DecodingResult {
    try session.checkPrompt(prompt, generating: settings.generationLength)
    let forwardsBefore = session.forwardCount
    let passesBefore = session.passCount
    committed = []
    positions = []
    reachedEnd = false
    roundTokensPerForward = []
    var pendingPrompt = prompt
    for block in 0..<settings.blocks {
      let start = prompt.count + block * settings.blockLength
      undecided = stride(from: start, to: start + settings.blockLength, by: settings.slotSize)
        .map(Int32.init)
      while !undecided.isEmpty { round(&pendingPrompt) }
      if reachedEnd { break }
    }
    var result = result(promptCount: prompt.count)
    result.forwards = session.forwardCount - forwardsBefore
    result.passes = session.passCount - passesBefore
    return result
  }

  /// One round: plan, verify, and commit a prefix or fill in.
  private mutating func round(_ pendingPrompt: inout [Int32]) {
    let plan: SlotPlan
    let check: DraftCheck
    if draftsInPieces {
      (plan, check) = planAndVerifyInPieces(&pendingPrompt)
    } else {
      plan = self.plan(&pendingPrompt)
      check = verify(plan)
    }
    if !commitPrefix(plan, check) { infill(plan, check) }
  }

  private func result(promptCount: Int) -> DecodingResult {
    let order = positions.indices.sorted { positions[$0] < positions[$1] }
    var tokens = order.dropFirst(promptCount).map { committed[$0] }
    if settings.endOfSequence == .fixed, let end = tokens.firstIndex(of: endToken) {
      tokens.removeSubrange((end + 1)...)
    }
    let rounds = roundTokensPerForward
    return DecodingResult(
      tokens: tokens,
      publishedTokensPerForward: rounds.isEmpty ? nil : rounds.reduce(0, +) / Double(rounds.count))
  }

  /// Positions of the slot that starts at `start`.
  func slotPositions(_ start: Int32) -> Range<Int32> { start..<(start + Int32(settings.slotSize)) }

  /// Appends tokens whose keys and values already lie at the next cache entries.
  mutating func commit(_ tokens: [Int32], at places: [Int32]) {
    committed += tokens
    positions += places
    observer.commit?(tokens, places)
  }
}
