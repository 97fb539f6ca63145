public import Architecture
package import Bytes
internal import Kernels

/// A loaded ReFusion model: a Qwen3 decoder whose MASK token turns its head into a
/// masked-diffusion one (arXiv 2512.13586).
///
/// Loading binds views into mapped weights; it copies only norms and biases. A model is shared
/// freely between threads; each ``InferenceSession`` over it serves one sequence at a time.
public final class ReFusionModel: Sendable {
  public let configuration: ModelConfiguration
  let embedding: EmbeddingTable
  let layers: [LayerWeights]
  let finalNorm: [Float]
  let head: WeightMatrix

  /// Bytes of weights that a forward with logits reads.
  var weightBytes: Int {
    layers.flatMap(\.matrices).reduce(head.byteCount) { $0 + $1.byteCount }
  }

  /// Whether most matrices of the layers are quantized.
  var isQuantized: Bool {
    let matrices = layers.flatMap(\.matrices)
    return 2 * matrices.count(where: \.isTiled) > matrices.count
  }

  /// Binds every tensor of the model.
  ///
  /// - Throws: what the source throws for a tensor that is missing or has another shape.
  package init(source: some WeightSource) throws(IngotError) {
    configuration = source.configuration
    let table = try source.matrix(named: ModelConfiguration.embeddingName)
    embedding = EmbeddingTable(
      matrix: table, exactRows: try source.exactRows(named: ModelConfiguration.embeddingName))
    var layers: [LayerWeights] = []
    for layer in 0..<configuration.layerCount {
      layers.append(try LayerWeights(layer: layer, from: source))
    }
    self.layers = layers
    finalNorm = try source.vector(named: ModelConfiguration.finalNormName)
    head =
      configuration.tiesEmbeddings
      ? table : try source.matrix(named: ModelConfiguration.headName)
  }
}
