internal import Kernels

/// Steps D and E while they run: one row per chosen slot.
private struct InfillRows {
  var tokens: [[Int32]]
  var tags: [[Bool]]
  var starts: [Int32]
  /// a: tokens of every row whose keys and values its cache region holds.
  var offset = 0
  /// The first row that holds an accepted EOS.
  var endRow: Int?
  var iterations = 0
  /// Tokens beyond the accepted ones that the next iteration looks at, at first.
  var reach = InfillRows.leastReach
  /// Proposals for the next iteration that are there already, one set a row at most.
  var guesses: [InfillGuess?] = []

  /// With the last accepted token this makes four. More are seldom accepted at once, and where they are,
  /// the next iteration looks further at first.
  static let leastReach = 3

  var isComplete: Bool { tags.allSatisfy { $0.allSatisfy { $0 } } }

  /// Accepted tokens of a row.
  func accepted(_ row: Int) -> Int { tags[row].prefix { $0 }.count }

  /// Accepted tokens of the row that has most, of those that are not complete.
  var longest: Int { tags.indices.map(accepted).filter { $0 < tags[0].count }.max() ?? 0 }

  /// Takes the proposals of a row before `end` from its guess; false when it has none for them.
  mutating func takeGuess(_ row: Int, before end: Int) -> Bool {
    let first = accepted(row)
    guard first < end else { return true }
    guard row < guesses.count, let guess = guesses[row], guess.first == first,
      first + guess.tokens.count >= end
    else { return false }
    tokens[row].replaceSubrange(first..<end, with: guess.tokens.prefix(end - first))
    return true
  }

  /// Whether every row that is not complete has a token that was not accepted before `end`, so that
  /// what comes after it does not matter.
  func isDecided(by accepted: [[Bool]], before end: Int) -> Bool {
    zip(tags, accepted).allSatisfy { before, now in
      before.allSatisfy { $0 } || !now[..<end].allSatisfy { $0 }
    }
  }
}

/// What MASKs propose for a row if its present iteration gains one token, asked in the same forward that
/// finds out: four iterations in five gain just one (trained checkpoint, τt = 0.4), and a forward of a few
/// tokens costs as much as one of a few more.
private struct InfillGuess {
  /// The row's accepted tokens then.
  var first: Int
  /// From there on.
  var tokens: [Int32]
}

/// A MASK of a guess in the forward that verifies a row.
private struct GuessedToken {
  var row: Int
  var column: Int
  /// Tokens of the row that it sees: the accepted ones and the next.
  var seen: Int
}

extension ReFusionDecoder {
  /// Steps D and E: the first chosen slot did not pass, so every chosen slot is completed on its
  /// own, all rows in one block-diagonal forward over the shared cache, and committed in place.
  mutating func infill(_ plan: SlotPlan, _ check: DraftCheck) {
    var rows = InfillRows(tokens: plan.drafts, tags: check.tags, starts: plan.starts)
    while !rows.isComplete {
      iterate(&rows)
      rows.iterations += 1
    }
    roundTokensPerForward.append(
      Double(settings.slotSize * plan.chosen.count) / Double(2 * rows.iterations + 2))
    commitRows(rows)
    removeChosen(plan, endRow: rows.endRow)
  }

  /// One iteration of D, on as few tokens of the rows as decide it.
  ///
  /// A row gains the tokens before the first that is not accepted; those after it are proposed anew in
  /// the next iteration, and no token depends on one after it. So an iteration that finds such a token
  /// in each row among the next few is the same as one on whole rows.
  private mutating func iterate(_ rows: inout InfillRows) {
    let size = settings.slotSize
    // Somebody who watches sees whole rows, as the official code computes them.
    var reach = observer.seesWholeRows ? size : rows.reach
    let longest = rows.longest
    var isRepeated = false
    while true {
      let end = min(longest + reach, size)
      proposeUntagged(&rows, before: end, isRepeated: isRepeated)
      let probabilities = verifyRows(&rows, before: end, isRepeated: isRepeated)
      let accepted = acceptedTags(rows, probabilities, before: end)
      if end == size || rows.isDecided(by: accepted, before: end) {
        accept(&rows, accepted, probabilities)
        break
      }
      reach *= 2
      isRepeated = true
    }
    rows.reach = max(InfillRows.leastReach, 2 * (rows.longest - longest))
  }

  /// D.1: forward accepted tokens and MASKs from the offset; MASKs take their argmax. Rows whose proposals
  /// are there already have no part in it, and where all are, the call is counted and not made.
  private func proposeUntagged(_ rows: inout InfillRows, before end: Int, isRepeated: Bool) {
    let offset = rows.offset
    let width = end - offset
    let asked = rows.tags.indices.filter {
      observer.seesWholeRows || !rows.takeGuess($0, before: end)
    }
    guard !asked.isEmpty else { return session.countForward(isRepeated: isRepeated) }
    let inputs = asked.map { row in
      (offset..<end).map { rows.tags[row][$0] ? rows.tokens[row][$0] : maskToken }
    }
    forward(rows, asked, inputs, before: end, isRepeated: isRepeated)
    var places: [(ordinal: Int, column: Int)] = []
    for (ordinal, row) in asked.enumerated() {
      for column in offset..<end where !rows.tags[row][column] { places.append((ordinal, column)) }
    }
    let scores = session.score(at: places.map { $0.ordinal * width + $0.column - offset })
    for (place, score) in zip(places, scores) {
      rows.tokens[asked[place.ordinal]][place.column] = score.argmax
    }
  }

  /// D.2: forward the completed rows from the offset, and MASKs that guess at what follows.
  ///
  /// - Returns: per row, the probability of each token after the one at the offset, read one token
  ///   earlier.
  private func verifyRows(
    _ rows: inout InfillRows, before end: Int, isRepeated: Bool
  ) -> [[Float]] {
    let width = end - rows.offset
    let count = rows.tokens.count
    let guessed = guessedTokens(rows)
    forward(
      rows, Array(rows.tokens.indices), rows.tokens.map { Array($0[rows.offset..<end]) },
      guessed: guessed, before: end, isRepeated: isRepeated)
    var asked: [Int] = []
    var targets: [Int32] = []
    for (row, tokens) in rows.tokens.enumerated() {
      for column in 1..<max(width, 1) {
        asked.append(row * width + column - 1)
        targets.append(tokens[rows.offset + column])
      }
    }
    // What is asked of a MASK is its argmax, whatever its target.
    asked += guessed.indices.map { count * width + $0 }
    targets += guessed.map { _ in maskToken }
    let scores = session.score(at: asked, targets: targets)
    rows.guesses = Array(repeating: nil, count: count)
    for (place, score) in zip(guessed, scores.suffix(guessed.count)) {
      let known = rows.guesses[place.row]?.tokens ?? []
      rows.guesses[place.row] = InfillGuess(first: place.seen, tokens: known + [score.argmax])
    }
    return rows.tokens.indices.map { row in
      scores[(row * (width - 1))..<((row + 1) * (width - 1))].map(\.probability)
    }
  }

  /// The MASKs that the next iteration would forward first if every row gains one token now.
  private func guessedTokens(_ rows: InfillRows) -> [GuessedToken] {
    guard !observer.seesWholeRows else { return [] }
    let size = settings.slotSize
    let end = min(rows.longest + 1 + InfillRows.leastReach, size)
    return rows.tokens.indices.flatMap { row -> [GuessedToken] in
      let next = rows.accepted(row)
      // A row that an EOS ends needs no proposals.
      guard next + 1 < end, rows.tokens[row][next] != endToken else { return [] }
      return (next + 1..<end).map { GuessedToken(row: row, column: $0, seen: next + 1) }
    }
  }

  /// Forwards tokens of some rows from the offset, and MASKs behind what their rows have.
  ///
  /// - Parameters:
  ///   - asked: the rows.
  ///   - inputs: tokens of each, up to column `end`, as far as any row's reach.
  ///   - guessed: their keys and values go behind all rows', a multiple of 16 entries from their own
  ///     places: attention sums entries by their place among 16, so guesses have the bits of what they
  ///     stand for.
  private func forward(
    _ rows: InfillRows, _ asked: [Int], _ inputs: [[Int32]], guessed: [GuessedToken] = [],
    before end: Int, isRepeated: Bool
  ) {
    let size = settings.slotSize
    let cacheLength = committed.count
    let places = zip(asked, inputs).map { row, input in
      Array(slotPositions(rows.starts[row]).dropFirst(rows.offset).prefix(input.count))
    }
    var batch = ForwardBatch()
    for (row, (tokens, positions)) in zip(asked, zip(inputs, places)) {
      batch.append(
        row: tokens, positions: positions, cacheLength: cacheLength,
        region: cacheLength + row * size, offset: rows.offset)
    }
    let first = guessed.map(\.column).min() ?? 0
    let shift = ((rows.tokens.count - 1) * size + end - first + 15) / 16 * 16
    for guess in guessed {
      let region = cacheLength + guess.row * size
      batch.append(
        token: maskToken, position: rows.starts[guess.row] + Int32(guess.column),
        destination: region + shift + guess.column, prefixEnd: cacheLength, start: region,
        hole: region + guess.seen..<region + shift + guess.seen)
    }
    session.forward(batch, isRepeated: isRepeated)
    trace(inputs, places, cacheLength: cacheLength + rows.offset)
  }

  /// D.2: the tags after this iteration; beyond `end` they are as before.
  private func acceptedTags(
    _ rows: InfillRows, _ probabilities: [[Float]], before end: Int
  ) -> [[Bool]] {
    let offset = rows.offset
    return rows.tags.indices.map { row in
      let before = rows.tags[row]
      // The token at the offset stands, and so does any whose left neighbour did before this step:
      // every row gains at least one token.
      let passes = (offset..<end).map { column in
        column == offset || before[column - 1]
          || probabilities[row][column - offset - 1] > settings.tokenThreshold
      }
      return Array(before[..<offset]) + Self.cumulativeAnd(passes + Array(before[end...]))
    }
  }

  /// D.2 to D.4: accept tokens, cut at an EOS, move the offset.
  private mutating func accept(
    _ rows: inout InfillRows, _ accepted: [[Bool]], _ probabilities: [[Float]]
  ) {
    rows.tags = accepted
    let offset = rows.offset
    if let end = firstRowWithEnd(rows) {
      rows.tokens.removeSubrange((end + 1)...)
      rows.tags.removeSubrange((end + 1)...)
      rows.starts.removeSubrange((end + 1)...)
      rows.tags[end] = rows.tags[end].map { _ in true }
      rows.endRow = end
      reachedEnd = true
    }
    let shortest = rows.tags.map { $0[offset...].filter { $0 }.count }.min() ?? 0
    // The last accepted token is fed again: its logits judge the next one.
    rows.offset += rows.isComplete ? shortest : shortest - 1
    observer.decision?(
      .infill(
        offset: offset, tokens: rows.tokens, probabilities: probabilities,
        accepted: rows.tags.map { $0.filter { $0 }.count }, endsWithEOS: rows.endRow != nil))
  }

  private func firstRowWithEnd(_ rows: InfillRows) -> Int? {
    rows.tokens.indices.first { row in
      (rows.offset..<settings.slotSize).contains {
        rows.tags[row][$0] && rows.tokens[row][$0] == endToken
      }
    }
  }

  /// E: rows lie one after the other behind the cache, so committing them is counting them in.
  private mutating func commitRows(_ rows: InfillRows) {
    let tokens = rows.tokens.flatMap { $0 }
    let places = rows.starts.flatMap { Array(slotPositions($0)) }
    let count = tokens.firstIndex(of: endToken).map { $0 + 1 } ?? tokens.count
    commit(Array(tokens[..<count]), at: Array(places[..<count]))
  }

  private mutating func removeChosen(_ plan: SlotPlan, endRow: Int?) {
    var removed = Set(plan.chosen)
    if let endRow {
      // The official code takes the row's index for the slot's, and so drops undecided slots that
      // stand before the EOS.
      let first = settings.endOfSequence == .official ? endRow : plan.chosen[endRow]
      removed.formUnion(first..<undecided.count)
    }
    remove(removed)
  }
}
