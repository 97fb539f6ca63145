internal import Architecture
internal import Bytes
internal import Kernels

/// The tensors of one decoder layer.
struct LayerWeights: Sendable {
  let inputNorm: [Float]
  let query: WeightMatrix
  let key: WeightMatrix
  let value: WeightMatrix
  let output: WeightMatrix
  /// Biases of q, k, v and o, when the model has them.
  let biases: (query: [Float], key: [Float], value: [Float], output: [Float])?
  let queryNorm: [Float]
  let keyNorm: [Float]
  let postAttentionNorm: [Float]
  let gate: WeightMatrix
  let up: WeightMatrix
  let down: WeightMatrix

  var matrices: [WeightMatrix] { [query, key, value, output, gate, up, down] }

  init(layer: Int, from source: some WeightSource) throws(IngotError) {
    func matrix(_ suffix: String) throws(IngotError) -> WeightMatrix {
      try source.matrix(named: ModelConfiguration.layerTensor(layer, suffix))
    }
    func vector(_ suffix: String) throws(IngotError) -> [Float] {
      try source.vector(named: ModelConfiguration.layerTensor(layer, suffix))
    }
    inputNorm = try vector("input_layernorm.weight")
    query = try matrix("self_attn.q_proj.weight")
    key = try matrix("self_attn.k_proj.weight")
    value = try matrix("self_attn.v_proj.weight")
    output = try matrix("self_attn.o_proj.weight")
    if source.configuration.attentionBias {
      biases = (
        query: try vector("self_attn.q_proj.bias"), key: try vector("self_attn.k_proj.bias"),
        value: try vector("self_attn.v_proj.bias"), output: try vector("self_attn.o_proj.bias")
      )
    } else {
      biases = nil
    }
    queryNorm = try vector("self_attn.q_norm.weight")
    keyNorm = try vector("self_attn.k_norm.weight")
    postAttentionNorm = try vector("post_attention_layernorm.weight")
    gate = try matrix("mlp.gate_proj.weight")
    up = try matrix("mlp.up_proj.weight")
    down = try matrix("mlp.down_proj.weight")
  }
}

/// Token embeddings: rows of a matrix, some of them kept exactly beside quantized ones.
struct EmbeddingTable: Sendable {
  let matrix: WeightMatrix
  let exactRows: [Int: [Float]]

  /// Writes the `matrix.columns` numbers of one token's embedding.
  func write(token: Int, into destination: UnsafeMutablePointer<Float>) {
    if let row = exactRows[token] {
      destination.update(from: row, count: row.count)
    } else {
      matrix.row(token, into: destination)
    }
  }
}
