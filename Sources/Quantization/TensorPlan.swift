package import Tensors

/// A tensor of a checkpoint, as a recipe sees it.
package typealias TensorDescription = (name: String, shape: [Int], elementType: ElementType)

/// What a recipe does to one tensor.
package struct TensorPlan: Sendable, Hashable {
  package enum Action: Sendable, Hashable {
    /// Stored bit for bit.
    case keep
    case quantize(TileLayout, RoundingMethod)
  }

  package let name: String
  package let shape: [Int]
  package let sourceType: ElementType
  package let action: Action
  /// Rows that are also stored bit for bit, ascending: the MASK row of the embedding.
  package let exactRows: [Int]

  /// The number of weights.
  package var elementCount: Int { shape.reduce(1, *) }

  /// Bytes of the stored tensor, header, padding and exact rows included.
  package var byteCount: Int {
    switch action {
    case .keep: elementCount * sourceType.byteCount
    case .quantize(let layout, _):
      layout.payloadBytes
        + Self.exactBytes(rows: exactRows.count, columns: layout.columns, type: sourceType)
    }
  }

  /// Bytes of exact rows behind the tiles: their numbers, padded to 64, and their elements (ING-065
  /// of `formats/ingot.md`).
  static func exactBytes(rows: Int, columns: Int, type: ElementType) -> Int {
    (4 * rows + 63) / 64 * 64 + rows * columns * type.byteCount
  }

  /// Bits of one weight by the scheme alone.
  package var bitsPerWeight: Double {
    switch action {
    case .keep: Double(8 * sourceType.byteCount)
    case .quantize(let layout, _): layout.scheme.bitsPerWeight
    }
  }

  /// `cb4-g32`, or the element type of a tensor that is kept.
  package var schemeName: String {
    switch action {
    case .keep: sourceType.name
    case .quantize(let layout, _): layout.scheme.name
    }
  }
}

extension [TensorPlan] {
  /// Bits of file per weight, over all tensors.
  package var bitsPerWeight: Double {
    let weights = reduce(0) { $0 + $1.elementCount }
    let bytes = reduce(0) { $0 + $1.byteCount }
    return weights > 0 ? 8 * Double(bytes) / Double(weights) : 0
  }
}
