package import Tensors

extension WeightMatrix {
  /// Random weights of a shape, for benchmarks without a file: valid codes, scales near 0.01.
  package static func random(_ layout: TileLayout, seed: UInt64 = 1) -> WeightMatrix {
    let owner = OwnedBytes(count: layout.payloadBytes)
    owner.fill(seed: seed)
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

  /// Random dense weights with magnitudes from 2⁻⁷ to 2⁻⁵.
  ///
  /// - Parameter type: f32, f16 or bf16.
  package static func random(
    _ type: ElementType, rows: Int, columns: Int, seed: UInt64 = 1
  ) -> WeightMatrix {
    let count = rows * columns * type.byteCount
    let owner = OwnedBytes(count: count)
    owner.fill(seed: seed)
    // Keeps signs and fractions, and one bit of the exponent.
    let (kept, set): (UInt64, UInt64) =
      switch type {
      case .float16: (0x87FF_87FF_87FF_87FF, 0x2000_2000_2000_2000)
      case .bfloat16: (0x80FF_80FF_80FF_80FF, 0x3C00_3C00_3C00_3C00)
      default: (0x80FF_FFFF_80FF_FFFF, 0x3C00_0000_3C00_0000)
      }
    let words = owner.bytes.bindMemory(to: UInt64.self)
    for index in words.indices { words[index] = words[index] & kept | set }
    return WeightMatrix(
      dense: type, rows: rows, columns: columns,
      bytes: UnsafeRawBufferPointer(rebasing: owner.bytes[0..<count]), owner: owner)
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

/// Page-aligned bytes with an owner, for weights that come from no file: in huge pages where the
/// system has them.
final class OwnedBytes: Sendable {
  // Safe: written before it is shared, then only read; freed with this object.
  nonisolated(unsafe) let bytes: UnsafeMutableRawBufferPointer
  private let memory: ZeroedPages

  init(count: Int) {
    memory = ZeroedPages(count: (count + 63) / 64 * 64)
    bytes = UnsafeMutableRawBufferPointer(start: memory.base, count: memory.count)
  }

  /// Fills the bytes from a linear congruence (Knuth's MMIX constants).
  func fill(seed: UInt64) {
    let words = bytes.bindMemory(to: UInt64.self)
    var state = seed &* 2 &+ 1
    for index in words.indices {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      words[index] = state ^ state >> 29
    }
  }
}
