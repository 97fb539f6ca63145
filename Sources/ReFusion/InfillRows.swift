/// Steps D and E while they run: one row per chosen slot.
struct InfillRows {
  var tokens: [[Int32]]
  var tags: [[Bool]]
  var starts: [Int32]
  /// a: tokens of every row whose keys and values its cache region holds, as the official code counts them; whole
  /// rows are fed from there on.
  var offset = 0
  /// Columns of each row that went through the model; a token accepted among them will not again.
  var fed: [Int]
  /// The first row that holds an accepted EOS.
  var endRow: Int?
  var iterations = 0
  /// Tokens beyond the accepted ones that the next iteration looks at, at first: as many as are seldom accepted at
  /// once, and more where more were.
  var reach: Int
  /// What the last forward that verified these rows tells about iterations to come.
  var foresight: InfillForesight?

  var isComplete: Bool { tags.allSatisfy { $0.allSatisfy { $0 } } }

  /// Accepted tokens of a row.
  func accepted(_ row: Int) -> Int { tags[row].prefix { $0 }.count }

  /// Accepted tokens of a row whose keys and values its cache region holds.
  func held(_ row: Int) -> Int { min(accepted(row), fed[row]) }

  /// Rows that are not complete.
  var open: [Int] { tags.indices.filter { accepted($0) < tags[$0].count } }

  /// Accepted tokens of the row that has most, of those that are not complete.
  var longest: Int { open.map(accepted).max() ?? 0 }

  /// Where the proposals that are there already end, if every row that is not complete has some.
  var foreseenEnd: Int? {
    guard let foresight else { return nil }
    let ends = open.map { row in
      foresight.guesses[row][accepted(row)].map { accepted(row) + $0.count }
    }
    return ends.contains(nil) ? nil : ends.compactMap { $0 }.min()
  }

  /// Takes the proposals of a row before `end` that are there already; false when it has none for them.
  mutating func takeGuess(_ row: Int, before end: Int) -> Bool {
    let first = accepted(row)
    guard first < end else { return true }
    guard let guess = foresight?.guesses[row][first], first + guess.count >= end else {
      return false
    }
    tokens[row].replaceSubrange(first..<end, with: guess.prefix(end - first))
    return true
  }

  /// Whether every row that is not complete has a token that was not accepted before `end`, so that
  /// what comes after it does not matter.
  func isDecided(by accepted: [[Bool]], before end: Int) -> Bool {
    open.allSatisfy { !accepted[$0][..<end].allSatisfy { $0 } }
  }
}

/// What a forward that verified rows tells about the iterations after it. Four iterations in five gain just
/// one token (trained checkpoint, τt = 0.4), so what comes next then is worth asking in the same forward.
struct InfillForesight {
  /// What MASKs propose for each row behind so many accepted tokens.
  var guesses: [[Int: [Int32]]]
  /// The rows' tokens as they were verified.
  var tokens: [[Int32]]
  /// Columns of each row whose logits are held, and which of the scored tokens the first of them is.
  var scored: [(columns: Range<Int>, first: Int)]

  /// Which of the scored tokens judges the one at `column`, if those before it are still what they were.
  func judge(of column: Int, in row: Int, of present: [Int32]) -> Int? {
    let (columns, first) = scored[row]
    guard columns.contains(column - 1),
      tokens[row][columns.lowerBound..<column] == present[columns.lowerBound..<column]
    else { return nil }
    return first + column - 1 - columns.lowerBound
  }
}

/// A MASK that is asked in the forward that verifies a row, for what the row gains by it.
struct GuessedToken {
  var row: Int
  var column: Int
  /// Tokens of the row that it sees: the accepted ones and what the row is to gain.
  var seen: Int
  var gain: Int
}
