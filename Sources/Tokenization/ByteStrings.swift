/// Many short byte strings in one array.
///
/// A vocabulary has hundreds of thousands: as arrays of their own they cost more time for memory and
/// reference counts than for what is done with them.
struct ByteStrings: Sendable {
  /// All of them, one after the other.
  private(set) var bytes: [UInt8] = []
  private var ends: [Int] = []

  var count: Int { ends.count }

  mutating func append(_ string: some Collection<UInt8>) {
    bytes.append(contentsOf: string)
    ends.append(bytes.count)
  }

  /// Where a string is in `bytes`.
  func range(_ index: Int) -> Range<Int> {
    (index > 0 ? ends[index - 1] : 0)..<ends[index]
  }

  subscript(index: Int) -> ArraySlice<UInt8> { bytes[range(index)] }
}

/// The tokens of a vocabulary in the byte alphabet (a space is `Ġ`), with their ids.
struct VocabularyEntries {
  private(set) var texts = ByteStrings()
  private(set) var ids: [Int] = []

  mutating func append(_ entry: some Collection<UInt8>, id: Int) {
    texts.append(entry)
    ids.append(id)
  }
}

/// Pairs of vocabulary entries in order of rank.
struct MergePairs {
  /// Left, right, left, right, …: so that the bytes of a pair are those of the merged entry.
  private(set) var texts = ByteStrings()

  var count: Int { texts.count / 2 }

  mutating func append(_ left: some Collection<UInt8>, _ right: some Collection<UInt8>) {
    texts.append(left)
    texts.append(right)
  }

  func left(_ rank: Int) -> Range<Int> { texts.range(2 * rank) }
  func right(_ rank: Int) -> Range<Int> { texts.range(2 * rank + 1) }
  func merged(_ rank: Int) -> Range<Int> {
    left(rank).lowerBound..<right(rank).upperBound
  }
}
