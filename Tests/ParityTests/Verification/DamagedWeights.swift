import Architecture
import Bytes
import Kernels
import ReFusion
import Tensors

/// A model's weights with one thing wrong.
struct DamagedWeights: WeightSource {
  enum Damage: Sendable {
    /// Every weight of a matrix times a factor: a wrong scale.
    case scaled(String, Float)
    /// One group of 64 weights times a factor: one bit of one scale.
    case group(String, row: Int, Float)
    /// A row of a matrix set to zero.
    case zeroedRow(String, Int)
    /// A bit of a quantized matrix's stored bytes, counted from its first tile.
    case flippedBit(String, byte: Int, bit: Int)
    /// Two layers change places.
    case swappedLayers(Int, Int)
  }

  let source: any WeightSource
  let damage: Damage

  var configuration: ModelConfiguration { source.configuration }

  /// The name of the stored tensor that stands for `name`.
  private func stored(_ name: String) -> String {
    guard case .swappedLayers(let a, let b) = damage else { return name }
    for (from, to) in [(a, b), (b, a)] {
      let prefix = "model.layers.\(from)."
      if name.hasPrefix(prefix) { return "model.layers.\(to)." + name.dropFirst(prefix.count) }
    }
    return name
  }

  func vector(named name: String) throws(IngotError) -> [Float] {
    try source.vector(named: stored(name))
  }

  func exactRows(named name: String) throws(IngotError) -> [Int: [Float]] {
    try source.exactRows(named: stored(name))
  }

  func matrix(named name: String) throws(IngotError) -> WeightMatrix {
    let matrix = try source.matrix(named: stored(name))
    switch damage {
    case .scaled(name, let factor):
      return rewritten(matrix) { _, values in
        for index in values.indices { values[index] *= factor }
      }
    case .group(name, let row, let factor):
      return rewritten(matrix) { index, values in
        if index == row { for column in 64..<128 { values[column] *= factor } }
      }
    case .zeroedRow(name, let row):
      return rewritten(matrix) { index, values in
        if index == row { for column in values.indices { values[column] = 0 } }
      }
    case .flippedBit(name, let byte, let bit):
      guard case .tiled(let layout) = matrix.storage else { return matrix }
      let copy = ByteStore(matrix.bytes)
      copy.bytes[layout.tileOffset(0) + byte] ^= 1 << bit
      return WeightMatrix(tiled: layout, bytes: UnsafeRawBufferPointer(copy.bytes), owner: copy)
    default: return matrix
    }
  }

  /// A copy in f32 with rows changed; widening bf16 changes nothing.
  private func rewritten(
    _ matrix: WeightMatrix, _ change: (Int, UnsafeMutableBufferPointer<Float>) -> Void
  ) -> WeightMatrix {
    let copy = FloatStore(count: matrix.rows * matrix.columns)
    for row in 0..<matrix.rows {
      let values = UnsafeMutableBufferPointer(
        rebasing: copy.values[(row * matrix.columns)..<((row + 1) * matrix.columns)])
      matrix.row(row, into: values.baseAddress!)
      change(row, values)
    }
    return WeightMatrix(
      dense: .float32, rows: matrix.rows, columns: matrix.columns,
      bytes: UnsafeRawBufferPointer(copy.values), owner: copy)
  }
}

/// Bytes that live as long as the matrix over them.
private final class ByteStore: @unchecked Sendable {
  // Safe: written before it is shared, freed in deinit.
  let bytes: UnsafeMutableRawBufferPointer
  init(_ source: UnsafeRawBufferPointer) {
    bytes = .allocate(byteCount: source.count, alignment: 64)
    bytes.copyMemory(from: source)
  }
  deinit { bytes.deallocate() }
}

/// Numbers that live as long as the matrix over them.
private final class FloatStore: @unchecked Sendable {
  // Safe: written before it is shared, freed in deinit.
  let values: UnsafeMutableBufferPointer<Float>
  init(count: Int) { values = .allocate(capacity: count) }
  deinit { values.deallocate() }
}
