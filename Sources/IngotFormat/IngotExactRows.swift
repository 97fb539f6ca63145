package import Bytes
package import Tensors

/// The exact rows of one tensor, checked and ready for look-ups.
package struct IngotExactRows: Sendable {
  /// Row indices, strictly ascending.
  package let rows: [Int]
  package let type: ElementType
  package let columns: Int
  // Safe: points into the mapping, read-only, of the file that the owner keeps alive.
  private nonisolated(unsafe) let base: UnsafeRawBufferPointer

  fileprivate init(
    rows: [Int], type: ElementType, columns: Int, base: UnsafeRawBufferPointer
  ) {
    self.rows = rows
    self.type = type
    self.columns = columns
    self.base = base
  }

  /// The bytes of a row, or nil when that row is not among them.
  package func bytes(ofRow row: Int) -> UnsafeRawBufferPointer? {
    guard let index = rows.firstIndex(of: row) else { return nil }
    let rowBytes = columns * type.byteCount
    return UnsafeRawBufferPointer(rebasing: base[index * rowBytes..<(index + 1) * rowBytes])
  }
}

extension IngotFile {
  /// The exact rows stored beside a tiled tensor; nil where there are none.
  ///
  /// Reads the list of row indices, which opening does not.
  ///
  /// - Throws: `ingot.exactRows` when the list is not strictly ascending or leaves the tensor.
  package func exactRows(of tensor: IngotTensor) throws(IngotError) -> IngotExactRows? {
    guard let stored = tensor.exactRows, case .tiled(let layout) = tensor.storage else {
      return nil
    }
    let reader = ByteReader(bytes(of: tensor), baseOffset: tensor.byteRange.lowerBound)
    var rows: [Int] = []
    for index in 0..<stored.count {
      let offset = layout.payloadBytes + 4 * index
      let row = Int(try reader.integer(UInt32.self, at: offset))
      guard row < layout.rows, row > rows.last ?? -1 else {
        throw IngotError(
          "ingot.exactRows", "exact row \(row) is out of order or outside \(layout.rows) rows",
          path: path, tensor: tensor.name, offset: reader.baseOffset + offset)
      }
      rows.append(row)
    }
    let start = layout.payloadBytes + stored.indexBytes
    return IngotExactRows(
      rows: rows, type: stored.type, columns: layout.columns,
      base: try reader.slice(at: start, count: reader.count - start))
  }
}
