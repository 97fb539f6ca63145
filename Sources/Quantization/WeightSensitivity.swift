package import Bytes
package import Tensors

/// Sensitivity by the weights alone: the noise a linear layer adds to its output, relative to the
/// output, when inputs are white. That is the squared relative error of its weights.
///
/// Every tensor counts the same whatever its size, because each adds its noise to the same
/// residual stream; a small tensor's noise is cheaper to remove. Measured on a sample of rows.
package struct WeightSensitivity: SensitivitySource {
  /// Tiles of 16 rows that stand for a tensor.
  static let sampledTiles = 8

  /// Reads rows of a tensor, row-major.
  package typealias Reader = (TensorDescription, Range<Int>) throws(IngotError) -> [UInt8]
  private let read: Reader

  package init(reading read: @escaping Reader) { self.read = read }

  package func error(
    of tensor: TensorDescription, in scheme: QuantizationScheme
  ) throws(IngotError) -> Double {
    let (rows, columns) = (tensor.shape[0], tensor.shape[1])
    let height = TileLayout.tileRows
    let tiles = (rows + height - 1) / height
    let count = min(Self.sampledTiles, tiles)
    var sample: [UInt8] = []
    var sampledRows = 0
    for index in 0..<count {
      let first = index * tiles / count * height
      let block = first..<min(first + height, rows)
      sample += try read(tensor, block)
      sampledRows += block.count
    }
    guard let layout = TileLayout(scheme: scheme, rows: sampledRows, columns: columns) else {
      preconditionFailure("\(scheme.name) does not fit \(columns) columns")
    }
    var quantizer = try TensorQuantizer(
      layout: layout, method: .search, sourceType: tensor.elementType, name: tensor.name)
    return try quantizer.relativeError(ofAllRows: sample)
  }
}

extension TensorQuantizer {
  /// Quantizes a whole small tensor for its squared relative error alone.
  fileprivate mutating func relativeError(ofAllRows source: [UInt8]) throws(IngotError) -> Double {
    let rows = 0..<layout.rows
    // One allocation for source and tiles: a closure over the array would lose the typed error.
    let memory = UnsafeMutableRawBufferPointer.allocate(
      byteCount: source.count + layout.payloadBytes - TileLayout.headerBytes, alignment: 64)
    defer { memory.deallocate() }
    let bytes = UnsafeMutableRawBufferPointer(rebasing: memory[..<source.count])
    bytes.copyBytes(from: source)
    let weights = UnsafeRawBufferPointer(bytes)
    if needsSurvey { try prepare(try survey(rows: rows, source: weights)) }
    var statistics = TensorStatistics()
    try quantize(
      rows: rows, source: weights, into: .init(rebasing: memory[source.count...]),
      statistics: &statistics)
    let error = statistics.summary().relativeError
    return error * error
  }
}
