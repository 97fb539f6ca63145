internal import Tensors

/// What all groups of one tensor share: the header of its payload.
package struct TensorParameters: Sendable, Hashable {
  /// 16 ascending levels (cb4); zeros otherwise.
  package var codebook: [Int8]
  /// Multiplies every group's scale (cb4); 1 otherwise.
  package var tensorScale: Float

  package init(codebook: [Int8] = .init(repeating: 0, count: 16), tensorScale: Float = 1) {
    precondition(codebook.count == 16, "a codebook has 16 levels")
    self.codebook = codebook
    self.tensorScale = tensorScale
  }

  /// The 64 bytes before the first tile; see `TileLayout`.
  package var header: [UInt8] {
    var bytes = codebook.map { UInt8(bitPattern: $0) }
    withUnsafeBytes(of: tensorScale.bitPattern.littleEndian) { bytes += $0 }
    bytes += [UInt8](repeating: 0, count: TileLayout.headerBytes - bytes.count)
    return bytes
  }
}
