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

  /// With the last accepted token this makes four. More are seldom accepted at once, and where they are,
  /// the next iteration looks further at first.
  static let leastReach = 3

  var isComplete: Bool { tags.allSatisfy { $0.allSatisfy { $0 } } }

  /// Accepted tokens of the row that has most, of those that are not complete.
  var longest: Int {
    tags.map { $0.prefix { $0 }.count }.filter { $0 < tags[0].count }.max() ?? 0
  }

  /// Whether every row that is not complete has a token that was not accepted before `end`, so that
  /// what comes after it does not matter.
  func isDecided(by accepted: [[Bool]], before end: Int) -> Bool {
    zip(tags, accepted).allSatisfy { before, now in
      before.allSatisfy { $0 } || !now[..<end].allSatisfy { $0 }
    }
  }
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
      let probabilities = verifyRows(rows, before: end, isRepeated: isRepeated)
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

  /// D.1: forward accepted tokens and MASKs from the offset; MASKs take their argmax.
  private func proposeUntagged(_ rows: inout InfillRows, before end: Int, isRepeated: Bool) {
    let offset = rows.offset
    let inputs = zip(rows.tokens, rows.tags).map { tokens, tags in
      (offset..<end).map { tags[$0] ? tokens[$0] : maskToken }
    }
    forward(rows, inputs, isRepeated: isRepeated)
    var asked: [(row: Int, column: Int)] = []
    for row in rows.tags.indices {
      for column in offset..<end where !rows.tags[row][column] { asked.append((row, column)) }
    }
    let scores = session.score(at: asked.map { $0.row * (end - offset) + $0.column - offset })
    for (place, score) in zip(asked, scores) {
      rows.tokens[place.row][place.column] = score.argmax
    }
  }

  /// D.2: forward the completed rows from the offset.
  ///
  /// - Returns: per row, the probability of each token after the one at the offset, read one token
  ///   earlier.
  private func verifyRows(
    _ rows: InfillRows, before end: Int, isRepeated: Bool
  ) -> [[Float]] {
    let width = end - rows.offset
    forward(rows, rows.tokens.map { Array($0[rows.offset..<end]) }, isRepeated: isRepeated)
    var asked: [Int] = []
    var targets: [Int32] = []
    for (row, tokens) in rows.tokens.enumerated() {
      for column in 1..<max(width, 1) {
        asked.append(row * width + column - 1)
        targets.append(tokens[rows.offset + column])
      }
    }
    let scores = session.score(at: asked, targets: targets)
    return rows.tokens.indices.map { row in
      scores[(row * (width - 1))..<((row + 1) * (width - 1))].map(\.probability)
    }
  }

  private func forward(_ rows: InfillRows, _ inputs: [[Int32]], isRepeated: Bool) {
    let places = zip(rows.starts, inputs).map {
      Array(slotPositions($0).dropFirst(rows.offset).prefix($1.count))
    }
    session.forward(
      .blockDiagonal(
        rows: inputs, positions: places, cacheLength: committed.count,
        stride: settings.slotSize, offset: rows.offset), isRepeated: isRepeated)
    trace(inputs, places, cacheLength: committed.count + rows.offset)
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
