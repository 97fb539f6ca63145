internal import Kernels

extension ReFusionDecoder {
  /// Steps D and E: the first chosen slot did not pass, so every chosen slot is completed on its
  /// own, all rows in one block-diagonal forward over the shared cache, and committed in place.
  mutating func infill(_ plan: SlotPlan, _ check: DraftCheck) {
    var rows = InfillRows(
      tokens: plan.drafts, tags: check.tags, starts: plan.starts,
      fed: Array(repeating: 0, count: plan.chosen.count), reach: lookahead.reach)
    // Step B left the first slot's tokens in its row, and they saw nothing else. Others saw the slots before.
    rows.fed[0] = check.fed
    while !rows.isComplete {
      iterate(&rows)
      rows.iterations += 1
    }
    roundTokensPerForward.append(
      Double(settings.slotSize * plan.chosen.count) / Double(2 * rows.iterations + 2))
    commitRows(rows)
    removeChosen(plan, endRow: rows.endRow)
  }

  /// One iteration of D, on as few tokens of the rows as decide it, or on none where that is known.
  ///
  /// A row gains the tokens before the first that is not accepted; those after it are proposed anew in
  /// the next iteration, and no token depends on one after it. So an iteration that finds such a token
  /// in each row among the next few is the same as one on whole rows.
  private mutating func iterate(_ rows: inout InfillRows) {
    let size = settings.slotSize
    let longest = rows.longest
    // Somebody who watches sees whole rows, as the official code computes them.
    var end = observer.seesWholeRows ? size : min(longest + rows.reach, size)
    // Fewer tokens that are proposed already are better than more that are not.
    if let foreseen = rows.foreseenEnd, foreseen > longest + 1 || foreseen == size {
      end = min(end, foreseen)
    }
    var isRepeated = false
    while true {
      proposeUntagged(&rows, before: end, isRepeated: isRepeated)
      let probabilities =
        foreseenProbabilities(rows, before: end, isRepeated: isRepeated)
        ?? verifyRows(&rows, before: end, isRepeated: isRepeated)
      let accepted = acceptedTags(rows, probabilities, before: end)
      if end == size || rows.isDecided(by: accepted, before: end) {
        accept(&rows, accepted, probabilities)
        break
      }
      end = min(longest + 2 * max(end - longest, rows.reach), size)
      isRepeated = true
    }
    rows.reach = max(lookahead.reach, 2 * (rows.longest - longest))
  }

  /// The first token of a row that a forward takes: the one behind those whose keys and values are there. The
  /// official code feeds the last of these again, for logits that judge a token which is accepted anyway.
  private func first(_ rows: InfillRows, _ row: Int) -> Int {
    observer.seesWholeRows ? rows.offset : rows.held(row)
  }

  /// D.1: forward MASKs behind the accepted tokens; they take their argmax. Rows whose proposals
  /// are there already have no part in it, and where all are, the call is counted and not made.
  private func proposeUntagged(_ rows: inout InfillRows, before end: Int, isRepeated: Bool) {
    let asked = rows.tags.indices.filter {
      observer.seesWholeRows || !rows.takeGuess($0, before: end)
    }
    guard !asked.isEmpty else { return session.countForward(isRepeated: isRepeated) }
    let inputs = asked.map { row in
      (first(rows, row)..<end).map { rows.tags[row][$0] ? rows.tokens[row][$0] : maskToken }
    }
    forward(rows, asked, inputs, before: end, isRepeated: isRepeated)
    var places: [(row: Int, column: Int, input: Int)] = []
    var start = 0
    for (row, input) in zip(asked, inputs) {
      for (index, column) in (first(rows, row)..<end).enumerated() where !rows.tags[row][column] {
        places.append((row, column, start + index))
      }
      start += input.count
    }
    for row in asked { rows.fed[row] = rows.accepted(row) }
    let scores = session.score(at: places.map(\.input))
    for (place, score) in zip(places, scores) {
      rows.tokens[place.row][place.column] = score.argmax
    }
    rows.foresight = nil
  }

  /// D.2 where the last forward has told its outcome: it verified the same tokens up to one that is not
  /// accepted now, and proposed what follows. The call is counted and not made.
  ///
  /// - Returns: as `verifyRows`; nil when not all is known.
  private func foreseenProbabilities(
    _ rows: InfillRows, before end: Int, isRepeated: Bool
  ) -> [[Float]]? {
    guard let foresight = rows.foresight else { return nil }
    var found = rows.tokens.map { _ in [Float](repeating: 0, count: end) }
    for row in rows.open {
      // The first token that was not accepted yet passes unseen.
      var column = rows.accepted(row) + 1
      while true {
        guard column < end,
          let judge = foresight.judge(of: column, in: row, of: rows.tokens[row]),
          let probability = session.scoredProbability(at: judge, of: rows.tokens[row][column])
        else { return nil }
        found[row][column] = probability
        if probability <= settings.tokenThreshold { break }
        column += 1
      }
      guard foresight.guesses[row][column] != nil else { return nil }
    }
    session.countForward(isRepeated: isRepeated)
    return found
  }

  /// D.2: forward the completed rows, and MASKs that guess at what follows.
  ///
  /// - Returns: per row, the probability of the token at each column before `end`, read one token earlier;
  ///   zeros at columns up to the first that was forwarded, which pass unseen.
  private func verifyRows(
    _ rows: inout InfillRows, before end: Int, isRepeated: Bool
  ) -> [[Float]] {
    let guessed = guessedTokens(rows, before: end)
    let inputs = rows.tokens.indices.map { Array(rows.tokens[$0][min(first(rows, $0), end)..<end]) }
    forward(
      rows, Array(inputs.indices), inputs, guessed: guessed, before: end, isRepeated: isRepeated)
    var asked: [Int] = []
    var targets: [Int32] = []
    var scored: [(columns: Range<Int>, first: Int)] = []
    var start = 0
    for (row, input) in inputs.enumerated() {
      let columns = end - input.count..<end
      // The last one judges nothing now; but where the next iteration may be foretold, the second one is asked.
      let isAsked = lookahead.gains > 1 && input.count <= 2 && !observer.seesWholeRows
      let judges = columns.dropLast(isAsked ? 0 : 1)
      scored.append((judges, asked.count))
      asked += judges.map { start + $0 - columns.lowerBound }
      targets += judges.map { $0 + 1 < end ? rows.tokens[row][$0 + 1] : maskToken }
      start += input.count
    }
    // What is asked of a MASK is its argmax, whatever its target.
    asked += guessed.indices.map { start + $0 }
    targets += guessed.map { _ in maskToken }
    let scores = session.score(at: asked, targets: targets)
    var guesses = [[Int: [Int32]]](repeating: [:], count: inputs.count)
    for (place, score) in zip(guessed, scores.suffix(guessed.count)) {
      guesses[place.row][place.seen, default: []].append(score.argmax)
    }
    rows.fed = rows.fed.map { _ in end }
    rows.foresight = InfillForesight(guesses: guesses, tokens: rows.tokens, scored: scored)
    return scored.map { columns, first in
      var probabilities = [Float](repeating: 0, count: end)
      for column in columns where column + 1 < end {
        probabilities[column + 1] = scores[first + column - columns.lowerBound].probability
      }
      return probabilities
    }
  }

  /// The MASKs that the next iterations would forward first, by what each row gains now: one token, or two
  /// where few rows leave room for it.
  private func guessedTokens(_ rows: InfillRows, before end: Int) -> [GuessedToken] {
    guard !observer.seesWholeRows else { return [] }
    let open = rows.open
    let last = min(rows.longest + 1 + lookahead.reach, settings.slotSize)
    return (1...(open.count <= 2 ? lookahead.gains : 1)).flatMap { gain in
      open.flatMap { row -> [GuessedToken] in
        let accepted = rows.accepted(row)
        let seen = accepted + gain
        // A row that an EOS ends needs no proposals.
        guard seen < last, seen <= end, !rows.tokens[row][accepted..<seen].contains(endToken)
        else { return [] }
        return (seen..<last).map { GuessedToken(row: row, column: $0, seen: seen, gain: gain) }
      }
    }
  }

  /// Forwards tokens of some rows, and MASKs behind what their rows have.
  ///
  /// - Parameters:
  ///   - asked: the rows.
  ///   - inputs: tokens of each, from the first that is not held up to column `end`.
  ///   - guessed: their keys and values go behind all rows', those of each gain behind the one before, a
  ///     multiple of 16 entries from their own places: attention sums entries by their place among 16, so
  ///     guesses have the bits of what they stand for.
  private func forward(
    _ rows: InfillRows, _ asked: [Int], _ inputs: [[Int32]], guessed: [GuessedToken] = [],
    before end: Int, isRepeated: Bool
  ) {
    let size = settings.slotSize
    let cacheLength = committed.count
    let places = zip(asked, inputs).map { row, input in
      Array(slotPositions(rows.starts[row]).dropFirst(first(rows, row)).prefix(input.count))
    }
    var batch = ForwardBatch()
    for (row, (tokens, positions)) in zip(asked, zip(inputs, places)) {
      batch.append(
        row: tokens, positions: positions, cacheLength: cacheLength,
        region: cacheLength + row * size, offset: first(rows, row))
    }
    let columns = guessed.map(\.column)
    let width = max(end, (columns.max() ?? 0) + 1) - (columns.min() ?? 0)
    let distance = ((rows.tokens.count - 1) * size + width + 15) / 16 * 16
    for guess in guessed {
      let region = cacheLength + guess.row * size
      let shift = distance * guess.gain
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
          || probabilities[row][column] > settings.tokenThreshold
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
      rows.fed.removeSubrange((end + 1)...)
      rows.foresight = nil
      rows.tags[end] = rows.tags[end].map { _ in true }
      rows.endRow = end
      reachedEnd = true
    }
    let shortest = rows.tags.map { $0[offset...].filter { $0 }.count }.min() ?? 0
    // The official code feeds the last accepted token again.
    rows.offset += rows.isComplete ? shortest : shortest - 1
    observer.decision?(
      .infill(
        offset: offset, tokens: rows.tokens,
        probabilities: probabilities.map { Array($0.dropFirst(offset + 1)) },
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
