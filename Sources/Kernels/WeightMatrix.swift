import CIngotKernels
package import Tensors

/// The weights of a linear layer, rows × columns, in bytes that somebody else owns.
package struct WeightMatrix: Sendable {
  package enum Storage: Sendable, Hashable {
    /// Row-major f32, f16 or bf16 at any alignment.
    case dense(ElementType)
    /// Tiles as `TileLayout` lays them out.
    case tiled(TileLayout)
  }

  /// Output features.
  package let rows: Int
  /// Input features.
  package let columns: Int
  package let storage: Storage
  /// Keeps the bytes alive: the mapping, usually.
  package let owner: (any AnyObject & Sendable)?
  // Safe: read-only, and alive as long as `owner`.
  nonisolated(unsafe) let base: UnsafeRawPointer

  /// - Parameters:
  ///   - dense: f32, f16 or bf16.
  ///   - bytes: rows × columns elements, row-major.
  ///   - owner: what keeps `bytes` alive; nil when the caller does.
  package init(
    dense: ElementType, rows: Int, columns: Int, bytes: UnsafeRawBufferPointer,
    owner: (any AnyObject & Sendable)?
  ) {
    precondition(dense.isComputable, "\(dense.name) is not a type to compute with")
    precondition(rows > 0 && columns > 0)
    precondition(bytes.count == rows * columns * dense.byteCount)
    guard let base = bytes.baseAddress else { preconditionFailure("no bytes") }
    self.rows = rows
    self.columns = columns
    storage = .dense(dense)
    self.base = base
    self.owner = owner
  }

  /// - Parameters:
  ///   - bytes: the payload, `layout.payloadBytes` long.
  ///   - owner: what keeps `bytes` alive; nil when the caller does.
  package init(
    tiled layout: TileLayout, bytes: UnsafeRawBufferPointer, owner: (any AnyObject & Sendable)?
  ) {
    precondition(bytes.count == layout.payloadBytes)
    guard let base = bytes.baseAddress else { preconditionFailure("no bytes") }
    rows = layout.rows
    columns = layout.columns
    storage = .tiled(layout)
    self.base = base
    self.owner = owner
  }

  /// Writes one row as f32: an embedding look-up.
  ///
  /// - Parameter output: `columns` numbers.
  package func row(_ index: Int, into output: UnsafeMutablePointer<Float>) {
    precondition((0..<rows).contains(index), "row \(index) of \(rows)")
    switch storage {
    case .dense(let type):
      let start = base + index * columns * type.byteCount
      ingot_dense_to_f32(start, Int32(type.rawValue), Int64(columns), output)
    case .tiled:
      withTiled { ingot_dequantize_row($0, Int64(index), output) }
    }
  }

  /// The weights as stored; valid while `owner` lives.
  package var bytes: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: base, count: byteCount)
  }

  /// Whether they are quantized.
  package var isTiled: Bool {
    if case .tiled = storage { true } else { false }
  }

  /// Bytes of the weights as stored.
  package var byteCount: Int {
    switch storage {
    case .dense(let type): rows * columns * type.byteCount
    case .tiled(let layout): layout.payloadBytes
    }
  }

  /// The C view of a tiled matrix; a caller's bug on a dense one.
  func withTiled<Result>(_ body: (UnsafePointer<ingot_tiled>) -> Result) -> Result {
    guard case .tiled(let layout) = storage else { preconditionFailure("not a tiled matrix") }
    var view = ingot_tiled(
      payload: base.assumingMemoryBound(to: UInt8.self), rows: Int64(rows),
      columns: Int64(columns), tile_bytes: Int64(layout.tileBytes),
      zero_offset: Int64(layout.zeroPointOffset), code_offset: Int64(layout.codeOffset),
      kind: Int32(layout.scheme.kind.rawValue), group: Int32(layout.scheme.groupSize))
    return withUnsafePointer(to: &view, body)
  }
}
