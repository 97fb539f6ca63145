package import Architecture
package import Bytes

extension ModelConfiguration {
  /// Reads `config.json` as Hugging Face's `Qwen3Config` does, and refuses by name what this
  /// program does not compute.
  ///
  /// Absent fields take the defaults of `transformers/models/qwen3/configuration_qwen3.py`; a
  /// null `num_key_value_heads` means as many as query heads, and a null boolean means false.
  /// Fields that do not change the computation are ignored, `auto_map` and the names of Python
  /// files among them.
  ///
  /// - Throws: `json.…` when it is no JSON, `config.architecture`, `config.quantized`,
  ///   `config.activation`, `config.slidingWindow`, `config.layerTypes`, `config.rope`,
  ///   `config.type`, `config.range`, `config.inconsistent`.
  package init(huggingFace bytes: [UInt8]) throws(IngotError) {
    let fields = try ConfigurationFields(parsing: bytes)
    let architecture = try Self.supportedArchitecture(fields)
    try Self.refuseUnsupported(fields)
    let heads = try fields.integer("num_attention_heads", default: 32)
    let keyValueHeads =
      fields.isPresent("num_key_value_heads")
      ? try fields.integer("num_key_value_heads") ?? heads : 32
    let layerCount = try fields.integer("num_hidden_layers", default: 32)
    try Self.requireFullAttention(fields, layerCount: layerCount)
    self.init(
      architecture: architecture,
      vocabularySize: try fields.integer("vocab_size", default: 151_936),
      hiddenSize: try fields.integer("hidden_size", default: 4096),
      intermediateSize: try fields.integer("intermediate_size", default: 22_016),
      layerCount: layerCount, attentionHeads: heads, keyValueHeads: keyValueHeads,
      headDimension: try fields.integer("head_dim", default: 128),
      rmsNormEpsilon: Float(try fields.number("rms_norm_eps") ?? 1e-6),
      ropeTheta: try Self.ropeTheta(fields),
      maximumPositions: try fields.integer("max_position_embeddings", default: 32_768),
      tiesEmbeddings: try fields.bool("tie_word_embeddings") ?? false,
      attentionBias: try fields.bool("attention_bias") ?? false,
      beginOfTextToken: try fields.tokens("bos_token_id").first,
      endOfTextToken: try fields.tokens("eos_token_id").first,
      maskToken: try fields.integer("mask_token_id"))
    if let inconsistency {
      throw IngotError("config.inconsistent", inconsistency)
    }
  }

  private static let architectureName = "Qwen3ForCausalLM"
  private static let modelType = "qwen3"

  private static func supportedArchitecture(
    _ fields: ConfigurationFields
  ) throws(IngotError) -> String {
    let advice = "Ingot runs Qwen3 and the ReFusion models built on it."
    let names = try fields.strings("architectures") ?? []
    if let other = names.first(where: { $0 != architectureName }) {
      throw IngotError(
        "config.architecture", "architecture \(other) is not supported", advice: advice)
    }
    let type = try fields.string("model_type")
    if let type, type != modelType {
      throw IngotError(
        "config.architecture", "model type \(type) is not supported", advice: advice)
    }
    if names.isEmpty && type == nil {
      throw IngotError(
        "config.architecture", "names neither an architecture nor a model type", advice: advice)
    }
    return architectureName
  }

  private static func refuseUnsupported(_ fields: ConfigurationFields) throws(IngotError) {
    for name in ["quantization_config", "compression_config"] {
      guard let value = fields.value(name) else { continue }
      let method = value.object?["quant_method"]?.string ?? "of an unnamed method"
      throw IngotError(
        "config.quantized", "the weights are already quantized (\(method))",
        advice: "Start from the full-precision checkpoint.")
    }
    // Both names mean x·sigmoid(x).
    if let activation = try fields.string("hidden_act"), !["silu", "swish"].contains(activation) {
      throw IngotError("config.activation", "activation \(activation) is not supported")
    }
    if try fields.bool("use_sliding_window") ?? false {
      throw IngotError("config.slidingWindow", "sliding window attention is not supported")
    }
  }

  private static func requireFullAttention(
    _ fields: ConfigurationFields, layerCount: Int
  ) throws(IngotError) {
    guard let types = try fields.strings("layer_types") else { return }
    if let other = types.first(where: { $0 != "full_attention" }) {
      throw IngotError("config.layerTypes", "layers of type \(other) are not supported")
    }
    guard types.count == layerCount else {
      throw IngotError(
        "config.layerTypes",
        "layer_types has \(types.count) entries, num_hidden_layers is \(layerCount)")
    }
  }

  /// RoPE's base from wherever this version of transformers put it: `rope_theta` (until 4.x) or
  /// `rope_parameters.rope_theta` (5.x).
  private static func ropeTheta(_ fields: ConfigurationFields) throws(IngotError) -> Double {
    var theta = try fields.number("rope_theta")
    for name in ["rope_scaling", "rope_parameters"] {
      guard let value = fields.value(name) else { continue }
      guard let object = value.object else {
        throw fields.mismatch(name, "an object", value)
      }
      let nested = ConfigurationFields(object: object, prefix: "\(name).")
      try requireDefaultRope(nested, name)
      guard let inner = try nested.number("rope_theta") else { continue }
      if let theta, theta != inner {
        throw IngotError(
          "config.rope", "rope_theta is \(theta) in one place and \(inner) in \(name)")
      }
      theta = inner
    }
    if let factor = try fields.number("partial_rotary_factor"), factor != 1 {
      throw IngotError("config.rope", "partial_rotary_factor \(factor) is not supported")
    }
    return theta ?? 10_000
  }

  /// Accepts the plain RoPE only: type `default` (or none) and no other parameter.
  private static func requireDefaultRope(
    _ fields: ConfigurationFields, _ name: String
  ) throws(IngotError) {
    for key in ["rope_type", "type"] {
      if let type = try fields.string(key), type != "default" {
        throw IngotError("config.rope", "RoPE scaling of type \(type) is not supported")
      }
    }
    if let factor = try fields.number("partial_rotary_factor"), factor != 1 {
      throw IngotError("config.rope", "partial_rotary_factor \(factor) is not supported")
    }
    let known = ["rope_type", "type", "rope_theta", "partial_rotary_factor"]
    if let other = fields.object.first(where: { !known.contains($0.name) && !$0.value.isNull }) {
      throw IngotError("config.rope", "\(name) holds \(other.name), which is not supported")
    }
  }
}

extension GenerationDefaults {
  /// Reads `generation_config.json`; unknown fields are ignored.
  ///
  /// - Throws: `json.…`, `config.type`, `config.range`.
  package init(huggingFace bytes: [UInt8]) throws(IngotError) {
    let fields = try ConfigurationFields(parsing: bytes)
    self.init(
      endOfTextTokens: try fields.tokens("eos_token_id"),
      beginOfTextToken: try fields.tokens("bos_token_id").first,
      padToken: try fields.tokens("pad_token_id").first,
      samples: try fields.bool("do_sample"),
      temperature: try fields.number("temperature"),
      topK: try fields.integer("top_k"),
      topP: try fields.number("top_p"),
      repetitionPenalty: try fields.number("repetition_penalty"),
      maximumNewTokens: try fields.integer("max_new_tokens"))
  }

  /// The first token id that is not below `vocabularySize`, or nil; padding, which is never
  /// computed with, is not looked at.
  package func tokenOutside(_ vocabularySize: Int) -> Int? {
    (endOfTextTokens + [beginOfTextToken].compactMap { $0 })
      .first { !(0..<vocabularySize).contains($0) }
  }
}
