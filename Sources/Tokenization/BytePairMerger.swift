/// Merges the bytes of one piece into tokens, the merge of lowest rank first, the leftmost of
/// equals first (`Word::merge_all` of the tokenizers library; Sennrich et al. 2016, algorithm 1).
///
/// Holds scratch memory, so that a text of many pieces allocates once.
struct BytePairMerger {
  /// Longest piece that is merged by scanning all neighbours for each merge (quadratic, but
  /// without a heap's bookkeeping); longer ones go through a heap: n log n.
  static let scanLimit = 48

  let tables: TokenizerTables
  private var ids: [UInt32] = []
  private var merges: [TokenizerTables.Merge] = []
  private var next: [Int] = []
  private var previous: [Int] = []
  private var heap = MinHeap()

  init(tables: TokenizerTables) { self.tables = tables }

  /// Appends the tokens of a piece that is not empty.
  mutating func encode(
    _ range: Range<Int>, of text: borrowing Span<UInt8>, into output: inout [Int]
  ) {
    ids.removeAll(keepingCapacity: true)
    for position in range { ids.append(tables.token(ofByte: text[position])) }
    if range.count <= Self.scanLimit {
      mergeByScanning()
      for id in ids { output.append(Int(id)) }
    } else {
      mergeByHeap(into: &output)
    }
  }

  private mutating func mergeByScanning() {
    merges.removeAll(keepingCapacity: true)
    for index in 0..<ids.count - 1 { merges.append(tables.merge(ids[index], ids[index + 1])) }
    let count = Self.merge(&ids, &merges, tables)
    ids.removeSubrange(count...)
  }

  /// Merges until nothing can be, and returns how many symbols are left at the front of `symbols`.
  private static func merge(
    _ symbols: inout [UInt32], _ neighbours: inout [TokenizerTables.Merge],
    _ tables: TokenizerTables
  ) -> Int {
    var count = symbols.count
    var ids = symbols.mutableSpan
    var merges = neighbours.mutableSpan
    while true {
      var best = TokenizerTables.noMerge
      var position = 0
      // Equal merges have equal rank, and a rank has one merge: `<` finds the leftmost.
      for index in 0..<count - 1 where merges[index] < best {
        best = merges[index]
        position = index
      }
      guard best != TokenizerTables.noMerge else { return count }
      ids[position] = UInt32(truncatingIfNeeded: best)
      count -= 1
      for index in position + 1..<max(count, position + 1) { ids[index] = ids[index + 1] }
      for index in position..<max(count - 1, position) { merges[index] = merges[index + 1] }
      if position > 0 { merges[position - 1] = tables.merge(ids[position - 1], ids[position]) }
      if position + 1 < count {
        merges[position] = tables.merge(ids[position], ids[position + 1])
      }
    }
  }
}

// MARK: Long pieces

extension BytePairMerger {
  /// Marks a symbol that was merged into the one before it.
  private static let gone = UInt32.max
  private static let positionBits: UInt64 = 42

  private mutating func mergeByHeap(into output: inout [Int]) {
    let count = ids.count
    next = Array(1...count)
    previous = Array(-1..<count - 1)
    heap.removeAll()
    for index in 0..<count - 1 { push(index) }
    while let key = heap.popMin() {
      let position = Int(key & (1 << Self.positionBits - 1))
      let rank = key >> Self.positionBits
      guard ids[position] != Self.gone, next[position] < count else { continue }
      let after = next[position]
      let merge = tables.merge(ids[position], ids[after])
      // The neighbours have changed since this was pushed.
      guard merge != TokenizerTables.noMerge, merge >> 32 == rank else { continue }
      ids[position] = UInt32(truncatingIfNeeded: merge)
      ids[after] = Self.gone
      next[position] = next[after]
      if next[position] < count {
        previous[next[position]] = position
        push(position)
      }
      if previous[position] >= 0 { push(previous[position]) }
    }
    for id in ids where id != Self.gone { output.append(Int(id)) }
  }

  /// Pushes the merge of the symbol at `position` with the next one, if there is one.
  private mutating func push(_ position: Int) {
    let merge = tables.merge(ids[position], ids[next[position]])
    guard merge != TokenizerTables.noMerge else { return }
    heap.insert((merge >> 32) << Self.positionBits | UInt64(position))
  }
}

/// A heap of numbers, smallest first; four children a node, which share a cache line.
struct MinHeap {
  private var keys: [UInt64] = []

  mutating func removeAll() { keys.removeAll(keepingCapacity: true) }

  mutating func insert(_ key: UInt64) {
    var child = keys.count
    keys.append(key)
    while child > 0, keys[(child - 1) / 4] > key {
      keys[child] = keys[(child - 1) / 4]
      child = (child - 1) / 4
    }
    keys[child] = key
  }

  mutating func popMin() -> UInt64? {
    guard let smallest = keys.first, let key = keys.popLast() else { return nil }
    guard !keys.isEmpty else { return smallest }
    var heap = keys.mutableSpan
    var parent = 0
    while 4 * parent + 1 < heap.count {
      var child = 4 * parent + 1
      for other in child + 1..<max(child + 1, min(child + 4, heap.count))
      where heap[other] < heap[child] { child = other }
      guard heap[child] < key else { break }
      heap[parent] = heap[child]
      parent = child
    }
    heap[parent] = key
    return smallest
  }
}
