internal import Kernels

/// Step A's outcome: the drafted slots that go on to verification.
struct SlotPlan {
  /// Indices in the undecided list, ascending.
  var chosen: [Int]
  /// First positions of the chosen slots.
  var starts: [Int32]
  /// The drafts, `[chosen][slot size]`.
  var drafts: [[Int32]]
  /// Probabilities of the drafts' first tokens.
  var confidences: [Float]
}

extension ReFusionDecoder {
  /// Step A: MASK every undecided slot, draft all, and choose those whose first token is likely.
  ///
  /// The masks' keys and values are dropped again by not counting them in; the prompt of the very
  /// first call stays. The vocabulary projection runs at the first token of each slot, then at the
  /// other tokens of the chosen ones only.
  mutating func plan(_ pendingPrompt: inout [Int32]) -> SlotPlan {
    let size = settings.slotSize
    let cacheLength = committed.count
    let masks = pendingPrompt.count
    var places = (0..<Int32(masks)).map { $0 }
    for start in undecided { places += slotPositions(start) }
    let tokens =
      pendingPrompt + Array(repeating: maskToken, count: size * undecided.count)
    session.forward(.causal(tokens: tokens, positions: places, cacheLength: cacheLength))
    trace([tokens], [places], cacheLength: cacheLength)
    if masks > 0 {
      committed = pendingPrompt
      positions = Array(places[..<masks])
      pendingPrompt = []
    }

    let firsts = draft(at: undecided.indices.map { masks + $0 * size })
    let chosen = choose(firsts.map(\.probability))
    let others = draft(
      at: chosen.flatMap { slot in (1..<size).map { masks + slot * size + $0 } })
    observer.decision?(
      .plan(
        starts: undecided, firstTokens: firsts.map(\.token),
        confidences: firsts.map(\.probability), chosen: chosen))
    return SlotPlan(
      chosen: chosen, starts: chosen.map { undecided[$0] },
      drafts: chosen.enumerated().map { ordinal, slot in
        let rest = others[(ordinal * (size - 1))..<((ordinal + 1) * (size - 1))]
        return [firsts[slot].token] + rest.map(\.token)
      },
      confidences: chosen.map { firsts[$0].probability })
  }

  /// All slots above the threshold, or the single most confident one (the lowest index of equals).
  private func choose(_ confidences: [Float]) -> [Int] {
    let confident = confidences.indices.filter { confidences[$0] > settings.slotThreshold }
    if !confident.isEmpty { return confident }
    var best = 0
    for index in confidences.indices where confidences[index] > confidences[best] { best = index }
    return [best]
  }

  /// The drafted token at some inputs of the last forward, and its probability at temperature 1.
  private mutating func draft(at indices: [Int]) -> [(token: Int32, probability: Float)] {
    guard settings.temperature > 0 else {
      return session.score(at: indices).map { ($0.argmax, $0.argmaxProbability) }
    }
    let tokens = session.sample(at: indices, temperature: settings.temperature, noise: &noise)
    let scores = session.score(at: indices, targets: tokens)
    return zip(tokens, scores).map { ($0, $1.probability) }
  }

  /// Reports the last forward to the trace, which alone needs logits at every input.
  func trace(_ inputs: [[Int32]], _ places: [[Int32]], cacheLength: Int) {
    guard let report = observer.forward else { return }
    let scores = session.score(at: Array(0..<inputs.reduce(0) { $0 + $1.count }))
    var rest = scores[...]
    var argmax: [[Int32]] = []
    var probabilities: [[Float]] = []
    for row in inputs {
      argmax.append(rest.prefix(row.count).map(\.argmax))
      probabilities.append(rest.prefix(row.count).map(\.argmaxProbability))
      rest = rest.dropFirst(row.count)
    }
    report(
      TracedForward(
        cacheLength: cacheLength, inputIDs: inputs, positionIDs: places, argmax: argmax,
        argmaxProbability: probabilities))
  }
}
