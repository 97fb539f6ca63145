import CIngotKernels
package import Tensors

/// Compares kernels with the scalar definition, bit for bit: what a benchmark runs before it
/// times one.
package enum KernelCheck {
  /// Whether `kernels` multiply like the scalar definition.
  ///
  /// - Parameters:
  ///   - layout: rows, columns and scheme; at most 64 rows around the first and the last are
  ///     compared, since the definition is slow.
  ///   - tokens: activations are drawn from a fixed seed.
  package static func verify(
    _ matrix: WeightMatrix, tokens: Int, kernels: KernelTable = .selected, pool: ThreadPool
  ) -> Bool {
    guard case .tiled(let layout) = matrix.storage else { return true }
    let input = activations(tokens * matrix.columns)
    let found = multiply(matrix, input, tokens, kernels, pool)
    for part in parts(of: layout) {
      guard let slice = slice(matrix, layout, tiles: part) else { return false }
      let expected = multiply(slice, input, tokens, .scalar, pool)
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

  /// Up to four tiles at either end.
  private static func parts(of layout: TileLayout) -> [Range<Int>] {
    let first = min(4, layout.tileCount)
    let last = max(first, layout.tileCount - 4)
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

  private static func multiply(
    _ matrix: WeightMatrix, _ input: [Float], _ tokens: Int, _ kernels: KernelTable,
    _ pool: ThreadPool
  ) -> [Float] {
    let engine = ComputeEngine(pool: pool, kernels: kernels)
    let count = tokens * matrix.rows
    return [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
      if let base = buffer.baseAddress {
        engine.multiply(
          [matrix], input: input, tokens: tokens, outputs: [base], arithmetic: .quantized)
      }
      initialized = count
    }
  }

  /// Numbers in ±4 from a fixed linear congruence (Numerical Recipes' constants).
  private static func activations(_ count: Int) -> [Float] {
    var state: UInt32 = 1
    return (0..<count).map { _ in
      state = state &* 1_664_525 &+ 1_013_904_223
      return Float(Int32(bitPattern: state)) * 0x1p-29
    }
  }
}

extension WeightMatrix {
  /// Random weights of a shape, for benchmarks without a file: valid codes, scales near 0.01.
  package static func random(_ layout: TileLayout, seed: UInt64 = 1) -> WeightMatrix {
    let owner = OwnedBytes(count: layout.payloadBytes)
    let words = owner.bytes.bindMemory(to: UInt64.self)
    var state = seed &* 2 &+ 1
    for index in words.indices {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      words[index] = state ^ state >> 29
    }
    var header = [UInt8](repeating: 0, count: TileLayout.headerBytes)
    if layout.scheme.kind == .cb4 {
      for level in 0..<16 { header[level] = UInt8(bitPattern: Int8(-120 + 16 * level)) }
    }
    withUnsafeBytes(of: Float(1).bitPattern.littleEndian) { scale in
      for index in 0..<4 { header[TileLayout.tensorScaleOffset + index] = scale[index] }
    }
    owner.bytes.copyBytes(from: header)
    for tile in 0..<layout.tileCount { tameScales(layout, owner.bytes, layout.tileOffset(tile)) }
    return WeightMatrix(
      tiled: layout,
      bytes: UnsafeRawBufferPointer(rebasing: owner.bytes[0..<layout.payloadBytes]), owner: owner)
  }

  /// Makes random bits of one tile's scales finite and small, and its zero points 4-bit.
  private static func tameScales(
    _ layout: TileLayout, _ bytes: UnsafeMutableRawBufferPointer, _ tile: Int
  ) {
    for index in 0..<layout.groupsPerRow * TileLayout.tileRows {
      if layout.scheme.kind != .cb4 {
        // Exponent 8 of binary16: 2⁻⁷ … 2⁻⁶.
        bytes[tile + 2 * index + 1] = 0x20 | bytes[tile + 2 * index + 1] & 3
      }
      if layout.scheme.kind == .int4z { bytes[tile + layout.zeroPointOffset + index] &= 15 }
    }
  }
}

/// Page-aligned bytes with an owner, for weights that come from no file.
private final class OwnedBytes: Sendable {
  // Safe: written before it is shared, then only read; freed with this object.
  nonisolated(unsafe) let bytes: UnsafeMutableRawBufferPointer

  init(count: Int) {
    bytes = .allocate(byteCount: (count + 63) / 64 * 64, alignment: 4096)
  }

  deinit { bytes.deallocate() }
}
