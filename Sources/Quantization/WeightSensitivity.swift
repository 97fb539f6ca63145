package import Architecture
package import Bytes
package import Tensors

/// Sensitivity by the weights alone: the noise a linear layer adds to its output, relative to the
/// output, when inputs are white, times what such noise does where the tensor is.
///
/// The noise is the squared relative error of the tensor's weights, measured on a sample of rows.
/// A layer's tensors count the same whatever their size, because each adds its noise to the same
/// residual stream; the head's noise reaches the logits whole. Measured on a trained checkpoint of 6
/// layers (GSM8K, 64 pairs, KL divergence when one kind of tensor at a time goes from 4 to 8 bits):
/// head 2.1e-3, embedding 3.6e-4, a tensor of a layer 5e-6 to 3.3e-5, 2.1e-5 in the mean. The first
/// and the last layer count three times what one between them does (mean of both heads: 1.7e-4 and
/// 2.1e-4 a layer, 0.3e-4 to 1.1e-4 between); llama.cpp gives the first and the last eighth of the
/// layers more bits for the same reason (`use_more_bits` in `llama-quant.cpp`).
package struct WeightSensitivity: SensitivitySource {
  /// Tiles of 16 rows that stand for a tensor.
  static let sampledTiles = 8

  /// Reads rows of a tensor, row-major.
  package typealias Reader = (TensorDescription, Range<Int>) throws(IngotError) -> [UInt8]
  private let read: Reader
  private let model: ModelConfiguration

  package init(of model: ModelConfiguration, reading read: @escaping Reader) {
    self.model = model
    self.read = read
  }

  /// What noise in a tensor does to the logits, relative to noise in the head.
  private func weight(of tensor: TensorDescription) -> Double {
    switch tensor.name {
    case ModelConfiguration.headName: 1
    case ModelConfiguration.embeddingName: model.tiesEmbeddings ? 1 : 1.0 / 6
    default: share(ofLayerWith: tensor.name) / (16 * Double(max(model.layerCount, 1)))
    }
  }

  /// What a layer's noise does relative to the mean of all layers: the outer eighths count thrice.
  private func share(ofLayerWith name: String) -> Double {
    let (layers, outer) = (model.layerCount, model.outerLayers)
    let parts = name.split(separator: ".")
    guard parts.count > 2, let layer = Int(parts[2]), !outer.isEmpty else { return 1 }
    return (outer.contains(layer) ? 3 : 1) * Double(layers) / Double(layers + 2 * outer.count)
  }

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
    return try weight(of: tensor) * quantizer.relativeError(ofAllRows: sample)
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
