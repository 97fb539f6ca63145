internal import ReFusion

/// Runs a candidate along the reference's decoding: the same inputs at every forward, its own
/// keys, values and probabilities.
///
/// Everything a forward is given follows from the reference's decisions, so the candidate sees
/// exactly the reference's situation, and a decision differs only because of its own distribution.
struct DecodeReplay {
  private let session: InferenceSession
  private let settings: ParitySettings.Decoding
  private let pair: Int
  private let promptLength: Int
  private let maskToken: Int32
  private let endToken: Int32

  private(set) var decisions: [ReplayDecision] = []

  private var pendingPrompt: [Int32]
  /// Tokens whose keys and values the cache holds for good.
  private var committed = 0
  private var forward = 0
  /// First positions of the chosen slots, and what is known of them in this round.
  private var starts: [Int32] = []
  private var tokens: [[Int32]] = []
  /// Accepted tokens at the start of each slot.
  private var accepted: [Int] = []
  /// The candidate's drafts at the chosen slots, until `verify` tells the reference's.
  private var ownDrafts: [[Int32]] = []

  private var size: Int { settings.slotSize }
  private var slotThreshold: Float { Float(settings.slotThreshold) }
  private var tokenThreshold: Float { Float(settings.tokenThreshold) }

  /// - Parameter session: of the candidate; its cache is overwritten.
  init(
    session: InferenceSession, prompt: [Int32], settings: ParitySettings.Decoding, pair: Int
  ) {
    self.session = session
    self.settings = settings
    self.pair = pair
    promptLength = prompt.count
    pendingPrompt = prompt
    maskToken = Int32(session.model.configuration.maskToken ?? 0)
    endToken = Int32(session.model.configuration.endOfTextToken ?? -1)
  }

  mutating func run(_ trajectory: [DecodingDecision]) {
    for decision in trajectory {
      switch decision {
      case .plan(let starts, _, let confidences, let chosen):
        plan(starts, confidences, chosen)
      case .verify(let drafts, let probabilities, let count):
        verify(drafts, probabilities, accepted: count)
      case .prefixCommit(let slots, let endsWithEOS):
        commitPrefix(slots, endsWithEOS: endsWithEOS)
      case .infill(let offset, let tokens, let probabilities, let accepted, let ends):
        infill(offset, tokens, probabilities, accepted, endsWithEOS: ends)
      }
    }
  }

  // MARK: Step A

  private mutating func plan(_ open: [Int32], _ confidences: [Float], _ chosen: [Int]) {
    let masks = pendingPrompt.count
    let places = (0..<Int32(masks)).map { $0 } + open.flatMap { slotPositions($0) }
    session.forward(
      .causal(
        tokens: pendingPrompt + Array(repeating: maskToken, count: size * open.count),
        positions: places, cacheLength: committed))
    committed += masks
    pendingPrompt = []

    let firsts = session.score(at: open.indices.map { masks + $0 * size })
    let own = Self.choose(firsts.map(\.argmaxProbability), above: slotThreshold)
    for index in open.indices {
      record(
        .slotChoice, at: open[index], flipped: chosen.contains(index) != own.contains(index),
        confidences[index], firsts[index].argmaxProbability)
    }
    let inputs = chosen.flatMap { slot in (0..<size).map { masks + slot * size + $0 } }
    let drafts = session.score(at: inputs).map(\.argmax)
    ownDrafts = chosen.indices.map { Array(drafts[($0 * size)..<(($0 + 1) * size)]) }
    starts = chosen.map { open[$0] }
    forward += 1
  }

  /// The decoder's rule: all above the threshold, or the single most confident one.
  private static func choose(_ confidences: [Float], above threshold: Float) -> Set<Int> {
    let confident = confidences.indices.filter { confidences[$0] > threshold }
    if !confident.isEmpty { return Set(confident) }
    var best = 0
    for index in confidences.indices where confidences[index] > confidences[best] { best = index }
    return [best]
  }

  // MARK: Step B

  private mutating func verify(
    _ drafts: [[Int32]], _ probabilities: [[Float]], accepted count: Int
  ) {
    for (row, draft) in drafts.enumerated() {
      for (column, token) in draft.enumerated() {
        record(
          .draftToken, at: starts[row] + Int32(column), flipped: ownDrafts[row][column] != token,
          Float(token), Float(ownDrafts[row][column]), forward: forward - 1)
      }
    }
    let flat = drafts.flatMap { $0 }
    session.forward(
      .causal(
        tokens: flat, positions: starts.flatMap { slotPositions($0) }, cacheLength: committed))
    let inner = flat.indices.filter { $0 % size != 0 }
    let scores = session.score(at: inner.map { $0 - 1 }, targets: inner.map { flat[$0] })
    var passes = [Bool](repeating: true, count: flat.count)
    for (index, score) in zip(inner, scores) {
      let position = starts[index / size] + Int32(index % size)
      passes[index] = compare(
        probabilities[index / size][index % size], score.probability, at: position)
    }
    let ownCount = passes.prefix { $0 }.count
    record(
      .acceptedLength, at: starts.first ?? 0, flipped: ownCount != count, Float(count),
      Float(ownCount))
    let end = flat.prefix(count).contains(endToken)
    let ownEnd = flat.prefix(ownCount).contains(endToken)
    record(
      .endOfSequence, at: starts.first ?? 0, flipped: end != ownEnd, end ? 1 : 0, ownEnd ? 1 : 0)
    tokens = drafts
    accepted = probabilities.map { row in
      row.indices.prefix { $0 == 0 || row[$0] > tokenThreshold }.count
    }
    forward += 1
  }

  /// Records an acceptance.
  ///
  /// - Returns: whether the candidate accepts.
  private mutating func compare(_ reference: Float, _ own: Float, at position: Int32) -> Bool {
    let passes = own > tokenThreshold
    record(
      .acceptance, at: position, flipped: passes != (reference > tokenThreshold), reference, own)
    return passes
  }

  // MARK: Steps C to E

  private mutating func commitPrefix(_ slots: Int, endsWithEOS: Bool) {
    let flat = tokens.prefix(slots).flatMap { $0 }
    let end = endsWithEOS ? flat.firstIndex(of: endToken) : nil
    committed += end.map { $0 + 1 } ?? flat.count
  }

  private mutating func infill(
    _ offset: Int, _ outcome: [[Int32]], _ probabilities: [[Float]], _ counts: [Int],
    endsWithEOS: Bool
  ) {
    // Rows behind an EOS are gone from the outcome; rows do not see each other, so they are
    // left out here altogether.
    let rows = outcome.count
    starts = Array(starts.prefix(rows))
    tokens = Array(tokens.prefix(rows))
    accepted = Array(accepted.prefix(rows))
    propose(offset, outcome)
    check(offset, outcome, probabilities, counts, endsWithEOS: endsWithEOS)
    tokens = outcome
    accepted = counts
    guard counts.allSatisfy({ $0 == size }) else { return }
    let flat = outcome.flatMap { $0 }
    committed += flat.firstIndex(of: endToken).map { $0 + 1 } ?? flat.count
  }

  /// D.1: which tokens the candidate would have put at the MASKs.
  private mutating func propose(_ offset: Int, _ outcome: [[Int32]]) {
    let inputs = zip(tokens, accepted).map { row, count in
      (offset..<size).map { $0 < count ? row[$0] : maskToken }
    }
    run(inputs, offset)
    let width = size - offset
    var asked: [(row: Int, column: Int)] = []
    for row in outcome.indices {
      for column in max(offset, accepted[row])..<max(size, accepted[row]) {
        asked.append((row, column))
      }
    }
    let scores = session.score(at: asked.map { $0.row * width + $0.column - offset })
    for (place, score) in zip(asked, scores) {
      let token = outcome[place.row][place.column]
      record(
        .draftToken, at: starts[place.row] + Int32(place.column), flipped: score.argmax != token,
        Float(token), Float(score.argmax))
    }
    forward += 1
  }

  /// D.2: what it accepts of the reference's tokens.
  private mutating func check(
    _ offset: Int, _ outcome: [[Int32]], _ probabilities: [[Float]], _ counts: [Int],
    endsWithEOS: Bool
  ) {
    run(outcome.map { Array($0[offset...]) }, offset)
    let width = size - offset
    for row in outcome.indices {
      let columns = Array((offset + 1)..<max(size, offset + 1))
      let scores = session.score(
        at: columns.map { row * width + $0 - 1 - offset },
        targets: columns.map { outcome[row][$0] })
      var ownCount = offset + 1
      for (column, score) in zip(columns, scores) {
        // A token whose left neighbour stood before this step is accepted whatever its probability.
        let isFree = column - 1 < accepted[row]
        let passes =
          isFree
          || compare(
            probabilities[row][column - offset - 1], score.probability,
            at: starts[row] + Int32(column))
        if passes, ownCount == column { ownCount += 1 }
      }
      // An EOS tags its whole row: how much was accepted is then no decision.
      guard !endsWithEOS else { continue }
      record(
        .acceptedLength, at: starts[row], flipped: ownCount != counts[row], Float(counts[row]),
        Float(ownCount))
    }
    forward += 1
  }

  private func run(_ inputs: [[Int32]], _ offset: Int) {
    session.forward(
      .blockDiagonal(
        rows: inputs, positions: starts.map { Array(slotPositions($0).dropFirst(offset)) },
        cacheLength: committed, stride: size, offset: offset))
  }

  private func slotPositions(_ start: Int32) -> Range<Int32> { start..<(start + Int32(size)) }

  private mutating func record(
    _ kind: ReplayDecision.Kind, at position: Int32, flipped: Bool, _ reference: Float,
    _ candidate: Float, forward: Int? = nil
  ) {
    decisions.append(
      ReplayDecision(
        pair: pair, forward: forward ?? self.forward, position: Int(position) - promptLength,
        kind: kind, flipped: flipped, reference: reference, candidate: candidate))
  }
}
