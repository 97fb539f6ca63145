public import Bytes
package import Tensors

/// One tensor of an `.ingot` file: what it is and where its bytes lie.
public struct IngotTensor: Sendable, Hashable {
  /// Its Hugging Face name, such as `model.layers.0.mlp.up_proj.weight`.
  public let name: String
  /// Dimensions, outermost first; empty for a scalar.
  public let shape: [Int]
  /// How the numbers are stored.
  package let storage: IngotStorage
  /// Rows stored exactly beside a tiled tensor; nil where there are none.
  package let exactRows: IngotExactRowsLayout?
  /// Where its bytes lie in the file; starts on a page.
  public let byteRange: Range<Int>
  /// BLAKE3 of the bytes, exact rows included.
  public let checksum: Checksum

  /// `BF16`, `int4-g64`, …
  public var typeName: String { storage.name }

  /// Numbers in the tensor.
  public var elementCount: Int { shape.reduce(1, *) }

  /// Bits stored per number, everything counted: padding, scales and exact rows.
  public var bitsPerWeight: Double {
    elementCount == 0 ? 0 : Double(byteRange.count) * 8 / Double(elementCount)
  }
}

/// How the numbers of a tensor are stored.
package enum IngotStorage: Sendable, Hashable {
  /// Row-major, the last dimension contiguous, nothing between the numbers.
  case dense(ElementType)
  /// Quantized, in the layout of `TileLayout`.
  case tiled(TileLayout)

  package var name: String {
    switch self {
    case .dense(let type): type.name
    case .tiled(let layout): layout.scheme.name
    }
  }
}

/// Rows kept exactly behind the tiles: `count` u32 row indices, ascending, padded with zeros to 64
/// bytes, then the rows, row-major in `type`.
///
/// A look-up of such a row takes the exact one; a product uses the tiles.
package struct IngotExactRowsLayout: Sendable, Hashable {
  package let count: Int
  package let type: ElementType

  package init(count: Int, type: ElementType) {
    self.count = count
    self.type = type
  }

  /// Bytes of the padded list of row indices.
  package var indexBytes: Int { IngotLayout.aligned(4 * count, to: 64) }

  /// Bytes behind the tiles for rows of `columns` numbers.
  package func byteCount(columns: Int) -> Int { indexBytes + count * columns * type.byteCount }
}

extension IngotStorage {
  /// Bytes that a tensor of this storage and shape takes, or nil when they do not fit together or
  /// the product overflows.
  package func byteCount(shape: [Int], exactRows: IngotExactRowsLayout?) -> Int? {
    guard shape.count <= IngotLayout.Limits.rank,
      shape.allSatisfy({ (0...IngotLayout.Limits.dimension).contains($0) })
    else { return nil }
    switch self {
    case .dense(let type):
      guard exactRows == nil else { return nil }
      return Self.product(shape, times: type.byteCount)
    case .tiled(let layout):
      guard shape == [layout.rows, layout.columns] else { return nil }
      guard let exactRows else { return layout.payloadBytes }
      guard exactRows.type.isComputable,
        (1...min(layout.rows, IngotLayout.Limits.exactRows)).contains(exactRows.count),
        let rowBytes = Self.product(
          [exactRows.count, layout.columns], times: exactRows.type.byteCount)
      else { return nil }
      let (sum, overflow) = layout.payloadBytes.addingReportingOverflow(
        exactRows.indexBytes + rowBytes)
      return overflow ? nil : sum
    }
  }

  private static func product(_ shape: [Int], times size: Int) -> Int? {
    // A zero anywhere makes the product zero, whatever the others would overflow to.
    if shape.contains(0) { return 0 }
    var total = size
    for dimension in shape {
      let (product, overflow) = total.multipliedReportingOverflow(by: dimension)
      if overflow || product > IngotLayout.Limits.fileBytes { return nil }
      total = product
    }
    return total
  }
}
