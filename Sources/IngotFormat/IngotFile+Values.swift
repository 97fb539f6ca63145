public import Bytes
internal import Tensors

extension IngotFile {
  /// One row of a tensor as f32, by the definitions of `formats/ingot.md`: an exact row where
  /// there is one, dequantized tiles, or dense numbers converted. Plain and slow.
  ///
  /// - Parameters:
  ///   - tensor: one of this file's.
  ///   - row: Index of the last dimension's vector; 0 for a scalar.
  /// - Throws: `ingot.elementType` for integers, booleans and 8-bit floats; `ingot.exactRows`.
  public func values(of tensor: IngotTensor, row: Int) throws(IngotError) -> [Float] {
    let columns = tensor.shape.last ?? 1
    precondition(columns > 0 && (0..<tensor.elementCount / columns).contains(row), "no such row")
    let bytes = bytes(of: tensor)
    switch tensor.storage {
    case .dense(let type):
      guard type.isComputable else {
        throw IngotError(
          "ingot.elementType", "holds \(type.name), which is not converted to f32", path: path,
          tensor: tensor.name)
      }
      let rowBytes = columns * type.byteCount
      return HalfPrecision.floats(
        UnsafeRawBufferPointer(rebasing: bytes[row * rowBytes..<(row + 1) * rowBytes]), type: type)
    case .tiled(let layout):
      if let exact = try exactRows(of: tensor), let found = exact.bytes(ofRow: row) {
        return HalfPrecision.floats(found, type: exact.type)
      }
      return [Float](unsafeUninitializedCapacity: columns) { buffer, used in
        layout.dequantize(row: row, payload: bytes, into: buffer)
        used = columns
      }
    }
  }
}
