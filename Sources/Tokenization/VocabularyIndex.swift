/// Finds byte strings among others. (A dictionary of `String`s would not do: `==` takes canonically
/// equivalent ones for the same.)
struct VocabularyIndex {
  private struct Slot {
    var hash: UInt32
    /// Which string it is; −1 in a free slot.
    var index: Int32
  }

  private let strings: ByteStrings
  private var slots: [Slot]

  /// - Parameter capacity: strings that are entered at most.
  init(_ strings: ByteStrings, capacity: Int) {
    self.strings = strings
    var log2 = 3
    while 1 << log2 < 2 * capacity { log2 += 1 }
    slots = Array(repeating: Slot(hash: 0, index: -1), count: 1 << log2)
  }

  /// Enters a string; false when an equal one is there already.
  mutating func insert(_ index: Int) -> Bool {
    let hash = Self.hash(strings.bytes, strings.range(index))
    let slot = slot(of: strings.bytes, strings.range(index), hash)
    guard slots[slot].index < 0 else { return false }
    slots[slot] = Slot(hash: hash, index: Int32(index))
    return true
  }

  /// The string that equals these bytes.
  func find(_ bytes: [UInt8], _ range: Range<Int>) -> Int? {
    let index = slots[slot(of: bytes, range, Self.hash(bytes, range))].index
    return index < 0 ? nil : Int(index)
  }

  /// Where the string is, or where it would be.
  private func slot(of bytes: [UInt8], _ range: Range<Int>, _ hash: UInt32) -> Int {
    var slot = Int(hash) & (slots.count - 1)
    while slots[slot].index >= 0 {
      if slots[slot].hash == hash, isEqual(Int(slots[slot].index), bytes, range) { return slot }
      slot = (slot + 1) & (slots.count - 1)
    }
    return slot
  }

  private func isEqual(_ index: Int, _ bytes: [UInt8], _ range: Range<Int>) -> Bool {
    let mine = strings.range(index)
    guard mine.count == range.count else { return false }
    let (own, other) = (strings.bytes.span, bytes.span)
    for offset in 0..<mine.count
    where own[mine.lowerBound + offset] != other[range.lowerBound + offset] {
      return false
    }
    return true
  }

  private static func hash(_ bytes: [UInt8], _ range: Range<Int>) -> UInt32 {
    // The standard library's hash is seeded at random: a file cannot be made to collide.
    var hasher = Hasher()
    bytes.withUnsafeBytes { hasher.combine(bytes: UnsafeRawBufferPointer(rebasing: $0[range])) }
    return UInt32(truncatingIfNeeded: hasher.finalize())
  }
}
