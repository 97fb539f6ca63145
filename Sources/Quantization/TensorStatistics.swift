internal import Kernels

/// What quantization did to a tensor, gathered tile by tile on any number of threads.
///
/// Sums are kept per tile and added up in the order of tiles, so that the result does not depend
/// on how the tiles were shared out.
package struct TensorStatistics: Sendable {
  private var tiles: [(index: Int, result: QuantizationKernel.TileResult)] = []

  package init() {}

  mutating func add(_ result: QuantizationKernel.TileResult, tile: Int) {
    tiles.append((tile, result))
  }

  /// Adds what another thread gathered about other tiles of the same tensor.
  package mutating func merge(_ other: TensorStatistics) { tiles += other.tiles }

  /// The part of the time that went into the search for scales; the rest was encoding.
  package var searchShare: Double {
    let search = tiles.reduce(0) { $0 + Double($1.result.searchTicks) }
    let encode = tiles.reduce(0) { $0 + Double($1.result.encodeTicks) }
    return search + encode > 0 ? search / (search + encode) : 0
  }

  /// The figures of the whole tensor.
  package func summary() -> TensorError {
    var total = QuantizationKernel.TileResult()
    for (_, tile) in tiles.sorted(by: { $0.index < $1.index }) {
      total.error += tile.error
      total.source += tile.source
      total.dequantized += tile.dequantized
      total.product += tile.product
      total.maximumError = max(total.maximumError, tile.maximumError)
      total.deadRows += tile.deadRows
      total.constantRows += tile.constantRows
      total.outlierGroups += tile.outlierGroups
      total.vanishedGroups += tile.vanishedGroups
    }
    return TensorError(total)
  }
}

/// How far the dequantized weights of one tensor are from its weights.
package struct TensorError: Sendable, Hashable {
  /// Root of the summed squared differences over the summed squared weights; 0 for zeros.
  package let relativeError: Double
  /// Cosine of the angle between weights and dequantized weights; 1 for zeros.
  package let cosine: Double
  package let maximumError: Double
  /// Rows of zeros.
  package let deadRows: Int
  /// Rows of one value other than zero.
  package let constantRows: Int
  /// Groups whose largest weight exceeds six times the root mean square of their row.
  package let outlierGroups: Int
  /// Groups with weights other than zero that are all stored as zero: their scale is too small.
  package let vanishedGroups: Int

  /// Of a tensor that is stored as it is.
  package static let none = TensorError(QuantizationKernel.TileResult())

  init(_ total: QuantizationKernel.TileResult) {
    relativeError = total.source > 0 ? (total.error / total.source).squareRoot() : 0
    let norms = (total.source * total.dequantized).squareRoot()
    cosine = norms > 0 ? min(total.product / norms, 1) : (total.source > 0 ? 0 : 1)
    maximumError = Double(total.maximumError)
    deadRows = total.deadRows
    constantRows = total.constantRows
    outlierGroups = total.outlierGroups
    vanishedGroups = total.vanishedGroups
  }
}
