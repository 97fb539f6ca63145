/// Finds added tokens in text: the leftmost, and of those the longest, as the reference's
/// automaton does (`AddedVocabulary::find_matches` of the tokenizers library).
struct AddedTokenMatcher: Sendable {
  /// One added token in the text; `range` includes white space that the token takes with it.
  struct Match: Equatable {
    var id: Int
    var range: Range<Int>
  }

  private let tables: TokenizerTables
  /// The entries this matcher looks for, sorted by bytes.
  private let entries: Range<Int>
  private let isFirstByte: [Bool]
  private let classes = UnicodeClasses.shared

  init(tables: TokenizerTables, entries: Range<Int>) {
    self.tables = tables
    self.entries = entries
    var isFirstByte = [Bool](repeating: false, count: 256)
    for index in entries {
      if let first = tables.addedText(index).first { isFirstByte[Int(first)] = true }
    }
    self.isFirstByte = isFirstByte
  }

  var isEmpty: Bool { entries.isEmpty }

  /// All matches, in order; `text` is well-formed UTF-8.
  ///
  /// A token that begins with white space which the one before took is found all the same, and the
  /// text goes on behind its own end, so that ranges can overlap: as in the reference.
  func matches(in text: borrowing Span<UInt8>) -> [Match] {
    guard !isEmpty else { return [] }
    var matches: [Match] = []
    var position = 0
    var used = 0
    while position < text.count {
      guard isFirstByte[Int(text[position])], let (entry, length) = longest(at: position, in: text)
      else {
        position += 1
        continue
      }
      let range = position..<position + length
      position = range.upperBound
      guard let match = accept(entry, range, after: used, in: text) else { continue }
      used = match.range.upperBound
      matches.append(match)
    }
    return matches
  }

  /// The longest entry that starts here, by narrowing the sorted entries byte by byte.
  private func longest(
    at position: Int, in text: borrowing Span<UInt8>
  ) -> (entry: Int, length: Int)? {
    var candidates = entries
    var found: (entry: Int, length: Int)?
    var depth = 0
    while !candidates.isEmpty, position + depth < text.count {
      let byte = text[position + depth]
      let lower = firstIndex(in: candidates) { byteAt(depth, of: $0) >= Int(byte) }
      let upper = firstIndex(in: lower..<candidates.upperBound) {
        byteAt(depth, of: $0) > Int(byte)
      }
      candidates = lower..<upper
      depth += 1
      // An entry sorts before those that it begins.
      if let first = candidates.first, tables.addedText(first).count == depth {
        found = (first, depth)
      }
    }
    return found
  }

  /// −1 behind the end of the entry's text, so that it sorts first.
  private func byteAt(_ depth: Int, of entry: Int) -> Int {
    let text = tables.addedText(entry)
    return depth < text.count ? Int(text[depth]) : -1
  }

  /// The first index that satisfies a condition which, once true, stays true.
  private func firstIndex(in range: Range<Int>, where condition: (Int) -> Bool) -> Int {
    var (low, high) = (range.lowerBound, range.upperBound)
    while low < high {
      let middle = low + (high - low) / 2
      if condition(middle) { high = middle } else { low = middle + 1 }
    }
    return low
  }
}

// MARK: What surrounds a match

extension AddedTokenMatcher {
  /// Applies the token's conditions on its surroundings; nil when it does not count.
  private func accept(
    _ index: Int, _ range: Range<Int>, after used: Int, in text: borrowing Span<UInt8>
  ) -> Match? {
    guard let entry = tables.addedEntry(index) else { return nil }
    var (start, end) = (range.lowerBound, range.upperBound)
    if entry.has(TokenizerLayout.AddedFlag.singleWord) {
      if start > 0, isWord(at: UnicodeClasses.scalarStart(before: start, in: text), in: text) {
        return nil
      }
      if end < text.count, isWord(at: end, in: text) { return nil }
    }
    if entry.has(TokenizerLayout.AddedFlag.stripsLeft) {
      while start > used {
        let previous = UnicodeClasses.scalarStart(before: start, in: text)
        guard isSpace(at: previous, in: text) else { break }
        start = previous
      }
    }
    if entry.has(TokenizerLayout.AddedFlag.stripsRight) {
      while end < text.count, isSpace(at: end, in: text) {
        end += classes.classes(in: text, at: end).length
      }
    }
    return Match(id: entry.id, range: start..<end)
  }

  private func isSpace(at position: Int, in text: borrowing Span<UInt8>) -> Bool {
    classes.classes(in: text, at: position).classes & UnicodeClasses.space != 0
  }

  /// `\w` as Unicode's regular expressions define it (UTS 18, annex C).
  private func isWord(at position: Int, in text: borrowing Span<UInt8>) -> Bool {
    let value = UnicodeClasses.scalar(in: text, at: position).value
    guard let scalar = UInt32(exactly: value).flatMap(Unicode.Scalar.init) else { return false }
    let properties = scalar.properties
    if properties.isAlphabetic || properties.isJoinControl { return true }
    switch properties.generalCategory {
    case .nonspacingMark, .spacingMark, .enclosingMark, .decimalNumber, .connectorPunctuation:
      return true
    default:
      return false
    }
  }
}
