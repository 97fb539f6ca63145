internal import Kernels

// Steps A and B of one slot, a few tokens first: where one of them does not pass, or ends the text, the others do not
// matter.

extension ReFusionDecoder {
  /// Whether a round can draft in pieces: nobody sees what is left out, or samples from it.
  var draftsInPieces: Bool {
    undecided.count == 1 && settings.temperature == 0 && !observer.seesWholeRows
  }

  /// Steps A and B where one slot is undecided, which is chosen then.
  ///
  /// MASKs have their keys and values behind those of the slot's tokens, a multiple of 16 entries from their own
  /// places, as attention sums entries by their place among 16: so the later ones still see the first.
  mutating func planAndVerifyInPieces(_ pendingPrompt: inout [Int32]) -> (SlotPlan, DraftCheck) {
    let size = settings.slotSize
    let prompt = pendingPrompt
    if !prompt.isEmpty {
      committed = prompt
      positions = prompt.indices.map(Int32.init)
      pendingPrompt = []
    }
    let start = undecided[0]
    let masks = committed.count + (size + 15) / 16 * 16
    var confidence: Float = 0
    var (drafts, check) = verifyInPieces(start) { piece in
      let before = piece.lowerBound == 0 ? prompt : []
      var batch = ForwardBatch.causal(
        tokens: before, positions: before.indices.map(Int32.init), cacheLength: 0)
      for column in piece {
        batch.append(
          token: maskToken, position: start + Int32(column), destination: masks + column,
          prefixEnd: committed.count, start: masks)
      }
      session.forward(batch, isRepeated: piece.lowerBound > 0)
      let scores = session.score(at: piece.map { before.count + $0 - piece.lowerBound })
      if piece.lowerBound == 0 { confidence = scores[0].argmaxProbability }
      return scores.map(\.argmax)
    }
    drafts += Array(repeating: maskToken, count: size - drafts.count)
    return (
      SlotPlan(chosen: [0], starts: [start], drafts: [drafts], confidences: [confidence]), check
    )
  }

  /// Step B of one slot. No token goes through the model twice, but for the one before a piece, which judges its
  /// first.
  ///
  /// - Parameter draft: tokens of a piece of the slot, asked for once the pieces before it have passed.
  /// - Returns: the tokens that were asked for.
  func verifyInPieces(
    _ start: Int32, draft: (_ piece: Range<Int>) -> [Int32]
  ) -> (drafts: [Int32], check: DraftCheck) {
    let size = settings.slotSize
    var tokens: [Int32] = []
    // The first one was judged by its MASK.
    var accepted = 1
    while tokens.count < size, accepted >= tokens.count, !tokens.contains(endToken) {
      let piece = tokens.count..<(tokens.isEmpty ? min(lookahead.piece, size) : size)
      tokens += draft(piece)
      let first = max(piece.lowerBound - 1, 0)
      session.forward(
        .causal(
          tokens: tokens[first...], positions: slotPositions(start).dropFirst(first),
          cacheLength: committed.count + first), isRepeated: piece.lowerBound > 0)
      let judged = (first + 1)..<piece.upperBound
      let scores = session.score(
        at: judged.map { $0 - 1 - first }, targets: Array(tokens[judged]))
      accepted += scores.prefix { $0.probability > settings.tokenThreshold }.count
    }
    let tags = (0..<size).map { $0 < accepted }
    return (tokens, DraftCheck(tags: [tags], acceptedPrefix: accepted, fed: tokens.count))
  }
}
