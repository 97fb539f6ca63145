import CIngotKernels
import Tensors

/// Compares kernels with the scalar definition, bit for bit: what a benchmark runs before it
/// times one.
package enum KernelCheck {
  /// Whether `kernels` multiply like the scalar definition.
  ///
  /// - Parameters:
  ///   - matrix: at most 64 rows at either end are compared, fewer for many tokens, since the
  ///     definition is slow.
  ///   - tokens: activations are drawn from a fixed seed.
  package static func verify(
    _ matrix: WeightMatrix, tokens: Int, kernels: KernelTable = .selected, pool: ThreadPool
  ) -> Bool {
    guard case .tiled(let layout) = matrix.storage else { return true }
    let input = activations(tokens * matrix.columns)
    let found = product(matrix, input, tokens, kernels, pool)
    for part in parts(of: layout, most: max(1, min(4, 128 / max(tokens, 1)))) {
      guard let slice = slice(matrix, layout, tiles: part) else { return false }
      let expected = product(slice, input, tokens, .scalar, pool)
      let start = part.lowerBound * TileLayout.tileRows
      for token in 0..<tokens {
        for row in 0..<slice.rows {
          let mine = found[token * matrix.rows + start + row]
          guard mine.bitPattern == expected[token * slice.rows + row].bitPattern else {
            return false
          }
        }
      }
    }
    return true
  }

  /// Up to `most` tiles at either end.
  private static func parts(of layout: TileLayout, most: Int) -> [Range<Int>] {
    let first = min(most, layout.tileCount)
    let last = max(first, layout.tileCount - most)
    return [0..<first, last..<layout.tileCount].filter { !$0.isEmpty }
  }

  /// Some tiles of a matrix as a matrix of their own: header and tiles, copied.
  private static func slice(
    _ matrix: WeightMatrix, _ layout: TileLayout, tiles: Range<Int>
  ) -> WeightMatrix? {
    let rows = min(
      tiles.count * TileLayout.tileRows, layout.rows - tiles.lowerBound * TileLayout.tileRows)
    guard let part = TileLayout(scheme: layout.scheme, rows: rows, columns: layout.columns)
    else { return nil }
    let copy = OwnedBytes(count: part.payloadBytes)
    let source = matrix.bytes
    copy.bytes.copyMemory(
      from: UnsafeRawBufferPointer(rebasing: source[0..<TileLayout.headerBytes]))
    let start = layout.tileOffset(tiles.lowerBound)
    UnsafeMutableRawBufferPointer(rebasing: copy.bytes[TileLayout.headerBytes...])
      .copyMemory(
        from: UnsafeRawBufferPointer(
          rebasing: source[start..<start + tiles.count * layout.tileBytes]))
    return WeightMatrix(
      tiled: part, bytes: UnsafeRawBufferPointer(rebasing: copy.bytes[0..<part.payloadBytes]),
      owner: copy)
  }

  static func product(
    _ matrix: WeightMatrix, _ input: [Float], _ tokens: Int, _ kernels: KernelTable,
    _ pool: ThreadPool, _ arithmetic: Arithmetic = .quantized
  ) -> [Float] {
    let engine = ComputeEngine(pool: pool, kernels: kernels)
    let count = tokens * matrix.rows
    return [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
      if let base = buffer.baseAddress {
        engine.multiply(
          [matrix], input: input, tokens: tokens, outputs: [base], arithmetic: arithmetic)
      }
      initialized = count
    }
  }

  /// Numbers in ±4 from a fixed linear congruence (Numerical Recipes' constants).
  static func activations(_ count: Int) -> [Float] {
    var state: UInt32 = 1
    return (0..<count).map { _ in
      state = state &* 1_664_525 &+ 1_013_904_223
      return Float(Int32(bitPattern: state)) * 0x1p-29
    }
  }
}
