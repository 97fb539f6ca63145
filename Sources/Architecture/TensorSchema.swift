/// One tensor a Qwen3 checkpoint must hold, by its Hugging Face name.
public struct TensorSchema: Sendable, Hashable {
  /// What the tensor does, which decides whether it can be quantized.
  public enum Role: Sendable, Hashable {
    /// Rows are looked up by token.
    case embedding
    /// A matrix of `[out, in]` that multiplies activations.
    case linear
    /// The vocabulary projection: a linear tensor too.
    case head
    /// An RMSNorm weight.
    case norm
    case bias
  }

  public let name: String
  public let shape: [Int]
  public let role: Role
}

extension ModelConfiguration {
  public static let embeddingName = "model.embed_tokens.weight"
  public static let headName = "lm_head.weight"
  public static let finalNormName = "model.norm.weight"

  /// The name of a tensor of one layer: `model.layers.3.mlp.up_proj.weight`.
  public static func layerTensor(_ layer: Int, _ suffix: String) -> String {
    "model.layers.\(layer).\(suffix)"
  }

  /// Every tensor of the model in the order the forward pass uses them, with its exact shape.
  ///
  /// Call only on a configuration whose `inconsistency` is nil: the products are unchecked.
  public var tensors: [TensorSchema] {
    var all = [
      TensorSchema(
        name: Self.embeddingName, shape: [vocabularySize, hiddenSize], role: .embedding)
    ]
    for layer in 0..<layerCount { all += layerTensors(layer) }
    all.append(TensorSchema(name: Self.finalNormName, shape: [hiddenSize], role: .norm))
    if !tiesEmbeddings {
      all.append(
        TensorSchema(name: Self.headName, shape: [vocabularySize, hiddenSize], role: .head))
    }
    return all
  }

  private func layerTensors(_ layer: Int) -> [TensorSchema] {
    let queryWidth = attentionHeads * headDimension
    let keyWidth = keyValueHeads * headDimension
    func tensor(_ suffix: String, _ shape: [Int], _ role: TensorSchema.Role) -> TensorSchema {
      TensorSchema(name: Self.layerTensor(layer, suffix), shape: shape, role: role)
    }
    var all = [tensor("input_layernorm.weight", [hiddenSize], .norm)]
    let projections = [
      ("q", queryWidth, hiddenSize), ("k", keyWidth, hiddenSize), ("v", keyWidth, hiddenSize),
      ("o", hiddenSize, queryWidth),
    ]
    for (name, rows, columns) in projections {
      all.append(tensor("self_attn.\(name)_proj.weight", [rows, columns], .linear))
      if attentionBias { all.append(tensor("self_attn.\(name)_proj.bias", [rows], .bias)) }
    }
    all += [
      tensor("self_attn.q_norm.weight", [headDimension], .norm),
      tensor("self_attn.k_norm.weight", [headDimension], .norm),
      tensor("post_attention_layernorm.weight", [hiddenSize], .norm),
      tensor("mlp.gate_proj.weight", [intermediateSize, hiddenSize], .linear),
      tensor("mlp.up_proj.weight", [intermediateSize, hiddenSize], .linear),
      tensor("mlp.down_proj.weight", [hiddenSize, intermediateSize], .linear),
    ]
    return all
  }
}
