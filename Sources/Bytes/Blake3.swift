internal import CHashes

/// BLAKE3, the hash of tensor data: 256 bits, unkeyed.
///
/// Its tree lets any number of threads hash one tensor together, and its lanes run at 2.5 to
/// 3.9 GB/s a core where SHA-256 stops at 1.1 (2 GHz Xeon, from memory and from the cache). Work is
/// cut into subtrees of 1 MiB, whose values are combined at the end.
///
/// Source: O'Connor, Aumasson, Neves, Wilcox-O'Hearn, "BLAKE3, one function, fast everywhere",
/// 2020, sections 2.1 to 2.4.
package enum Blake3 {
  /// Bytes of every subtree but the last: 1024 chunks.
  package static let subtreeBytes = 1 << 20
  static let chunkBytes = Int(INGOT_BLAKE3_CHUNK)

  /// Number of subtrees in `byteCount` bytes; no bytes have none.
  package static func subtreeCount(byteCount: Int) -> Int {
    byteCount / subtreeBytes + (byteCount % subtreeBytes == 0 ? 0 : 1)
  }

  /// The chaining value of one subtree, or the hash when there is only this one.
  ///
  /// - Parameters:
  ///   - bytes: 1 MiB, or what is left of the input; not empty.
  ///   - index: which subtree of the input it is.
  package static func subtree(
    _ bytes: UnsafeRawBufferPointer, index: Int, isOnly: Bool, width: Int = widest
  ) -> Checksum {
    precondition((1...subtreeBytes).contains(bytes.count), "not a subtree")
    let chunks = (bytes.count + chunkBytes - 1) / chunkBytes
    let first = UInt64(index) * UInt64(subtreeBytes / chunkBytes)
    return withUnsafeTemporaryAllocation(byteCount: chunks * Checksum.byteCount, alignment: 64) {
      hashChunks(bytes, first, isOnly: isOnly && chunks == 1, width, into: $0)
      return combine($0, count: chunks, isRoot: isOnly, width)
    }
  }

  /// The hash of an input from the values of its subtrees.
  package static func root(of subtrees: some Collection<Checksum>) -> Checksum {
    guard let first = subtrees.first else {
      return of(UnsafeRawBufferPointer(start: nil, count: 0))
    }
    guard subtrees.count > 1 else { return first }
    let bytes = subtrees.count * Checksum.byteCount
    return withUnsafeTemporaryAllocation(byteCount: bytes, alignment: 64) { values in
      for (index, value) in subtrees.enumerated() {
        let place = index * Checksum.byteCount
        value.store(
          in: UnsafeMutableRawBufferPointer(rebasing: values[place..<place + Checksum.byteCount]))
      }
      return combine(values, count: subtrees.count, isRoot: true, widest)
    }
  }

  /// The hash of one buffer, in one thread.
  package static func of(_ bytes: UnsafeRawBufferPointer, width: Int = widest) -> Checksum {
    guard !bytes.isEmpty else {
      var empty = [UInt8](repeating: 0, count: Checksum.byteCount)
      ingot_blake3_chunk(nil, 0, 0, 1, &empty)
      return empty.withUnsafeBytes { Checksum(bytes: $0) }
    }
    let count = subtreeCount(byteCount: bytes.count)
    return root(
      of: (0..<count).map { index in
        let start = index * subtreeBytes
        let piece = bytes[start..<min(start + subtreeBytes, bytes.count)]
        return subtree(
          UnsafeRawBufferPointer(rebasing: piece), index: index, isOnly: count == 1, width: width)
      })
  }

  /// The widest vectors of this machine; all from 0 up to it give the same values.
  package static let widest = Int(ingot_blake3_widths()) - 1

  private static func hashChunks(
    _ bytes: UnsafeRawBufferPointer, _ first: UInt64, isOnly: Bool, _ width: Int,
    into values: UnsafeMutableRawBufferPointer
  ) {
    let input = bytes.assumingMemoryBound(to: UInt8.self).baseAddress
    let output = values.assumingMemoryBound(to: UInt8.self).baseAddress
    guard let input, let output else { return }
    let whole = isOnly ? 0 : bytes.count / chunkBytes
    ingot_blake3_chunks(Int32(width), input, whole, first, output)
    let rest = bytes.count - whole * chunkBytes
    guard rest > 0 else { return }
    ingot_blake3_chunk(
      input + whole * chunkBytes, rest, first + UInt64(whole), isOnly ? 1 : 0,
      output + whole * Checksum.byteCount)
  }

  /// Combines neighbours level by level; the last of an odd number waits for the next level. That
  /// is the tree of section 2.1, whose left sides are full.
  private static func combine(
    _ values: UnsafeMutableRawBufferPointer, count: Int, isRoot: Bool, _ width: Int
  ) -> Checksum {
    var left = count
    let nodes = values.assumingMemoryBound(to: UInt8.self).baseAddress
    while let nodes, left > (isRoot ? 2 : 1) {
      ingot_blake3_parents(Int32(width), nodes, left / 2, nodes)
      if !left.isMultiple(of: 2) {
        (nodes + left / 2 * Checksum.byteCount).update(
          from: nodes + (left - 1) * Checksum.byteCount, count: Checksum.byteCount)
      }
      left = (left + 1) / 2
    }
    if let nodes, isRoot, left == 2 { ingot_blake3_root(nodes, nodes) }
    return Checksum(bytes: UnsafeRawBufferPointer(values))
  }
}
