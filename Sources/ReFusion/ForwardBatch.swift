package import Kernels

/// The tokens of one call of the model: what they are, where they stand, where their keys and
/// values go, and what they see.
///
/// ReFusion's attention is causal by order in the cache, not by position: a token carries its
/// original position for RoPE and its own place in the cache.
package struct ForwardBatch: Sendable {
  package private(set) var tokens: [Int32] = []
  package private(set) var positions: [Int32] = []
  /// Cache entry each token's key and value are written to.
  package private(set) var destinations: [Int32] = []
  package private(set) var spans: [AttentionSpan] = []

  package init() {}

  package var count: Int { tokens.count }

  /// The first cache entry above everything this batch writes or reads.
  package var capacityNeeded: Int { Int(destinations.max() ?? -1) + 1 }

  /// Adds a token that sees the entries below `prefixEnd` and those from `start` up to its own, except
  /// the ones in `hole`.
  package mutating func append(
    token: Int32, position: Int32, destination: Int, prefixEnd: Int, start: Int,
    hole: Range<Int> = 0..<0
  ) {
    tokens.append(token)
    positions.append(position)
    destinations.append(Int32(destination))
    spans.append(
      AttentionSpan(
        prefixEnd: Int32(prefixEnd), start: Int32(start), end: Int32(destination + 1),
        hole: Int32(hole.lowerBound)..<Int32(hole.upperBound)))
  }

  /// Tokens appended after `cacheLength` committed ones; each sees the cache and those before it.
  package static func causal(
    tokens: some Sequence<Int32>, positions: some Sequence<Int32>, cacheLength: Int
  ) -> ForwardBatch {
    var batch = ForwardBatch()
    for (index, (token, position)) in zip(tokens, positions).enumerated() {
      batch.append(
        token: token, position: position, destination: cacheLength + index,
        prefixEnd: cacheLength, start: cacheLength)
    }
    return batch
  }

  /// Rows that share a cached prefix and do not see each other: infill of several slots as one
  /// block-diagonal forward, where the official code copies the cache once a row.
  ///
  /// - Parameters:
  ///   - rows: tokens of each row from `offset` on.
  ///   - positions: their positions, same shape.
  ///   - cacheLength: committed entries every row sees.
  ///   - stride: cache entries kept for each row; row r owns `cacheLength + r·stride ...`.
  ///   - offset: tokens of each row that its region already holds.
  package static func blockDiagonal(
    rows: [[Int32]], positions: [[Int32]], cacheLength: Int, stride: Int, offset: Int
  ) -> ForwardBatch {
    var batch = ForwardBatch()
    for (row, (tokens, places)) in zip(rows, positions).enumerated() {
      batch.append(
        row: tokens, positions: places, cacheLength: cacheLength,
        region: cacheLength + row * stride, offset: offset)
    }
    return batch
  }

  /// Adds tokens of one such row, whose entries begin at `region`.
  package mutating func append(
    row: [Int32], positions: [Int32], cacheLength: Int, region: Int, offset: Int
  ) {
    for (index, (token, position)) in zip(row, positions).enumerated() {
      append(
        token: token, position: position, destination: region + offset + index,
        prefixEnd: cacheLength, start: region)
    }
  }
}
