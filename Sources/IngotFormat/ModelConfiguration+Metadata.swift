package import Architecture
internal import Bytes

/// Names of the metadata values that this version gives a meaning.
package enum IngotKey {
  package static let modelPrefix = "model."
  package static let configuration = "file.config.json"
  package static let generationConfiguration = "file.generation_config.json"
  package static let chatTemplate = "chat_template"
  package static let tokenizer = "tokenizer"
  package static let recipe = "quantization.recipe"
  package static let recipeChecksum = "quantization.recipe_sha256"
  package static let sourceNames = "source.names"
  package static let sourceSizes = "source.sizes"
  package static let sourceChecksums = "source.sha256"
  package static let tool = "tool.version"
}

extension ModelConfiguration {
  /// The typed `model.*` metadata values, named as in `config.json`.
  package var ingotMetadata: [IngotPlan.Metadata] {
    func item(_ name: String, _ value: IngotMetadataValue) -> IngotPlan.Metadata {
      IngotPlan.Metadata(IngotKey.modelPrefix + name, value)
    }
    var items = [
      item("architecture", .string(architecture)),
      item("rms_norm_eps", .float(Double(rmsNormEpsilon))),
      item("rope_theta", .float(ropeTheta)),
      item("tie_word_embeddings", .bool(tiesEmbeddings)),
      item("attention_bias", .bool(attentionBias)),
    ]
    for (name, value) in [
      ("vocab_size", vocabularySize), ("hidden_size", hiddenSize),
      ("intermediate_size", intermediateSize), ("num_hidden_layers", layerCount),
      ("num_attention_heads", attentionHeads), ("num_key_value_heads", keyValueHeads),
      ("head_dim", headDimension), ("max_position_embeddings", maximumPositions),
    ] {
      items.append(item(name, .unsigned(UInt64(clamping: value))))
    }
    for (name, token) in [
      ("bos_token_id", beginOfTextToken), ("eos_token_id", endOfTextToken),
      ("mask_token_id", maskToken),
    ] {
      if let token { items.append(item(name, .unsigned(UInt64(clamping: token)))) }
    }
    return items
  }

  /// - Throws: `ingot.configuration` when a value is missing, of another type or impossible.
  init(ingotMetadata view: IngotMetadataView) throws(IngotError) {
    let reader = ModelMetadataReader(view: view)
    self.init(
      architecture: try reader.string("architecture"),
      vocabularySize: try reader.size("vocab_size"),
      hiddenSize: try reader.size("hidden_size"),
      intermediateSize: try reader.size("intermediate_size"),
      layerCount: try reader.size("num_hidden_layers"),
      attentionHeads: try reader.size("num_attention_heads"),
      keyValueHeads: try reader.size("num_key_value_heads"),
      headDimension: try reader.size("head_dim"),
      rmsNormEpsilon: Float(try reader.double("rms_norm_eps")),
      ropeTheta: try reader.double("rope_theta"),
      maximumPositions: try reader.size("max_position_embeddings"),
      tiesEmbeddings: try reader.bool("tie_word_embeddings"),
      attentionBias: try reader.bool("attention_bias"),
      beginOfTextToken: try reader.optionalSize("bos_token_id"),
      endOfTextToken: try reader.optionalSize("eos_token_id"),
      maskToken: try reader.optionalSize("mask_token_id"))
    if let inconsistency {
      throw IngotError(
        "ingot.configuration", "the model configuration is impossible: \(inconsistency)")
    }
  }
}

/// Reads `model.*` values of the right type.
private struct ModelMetadataReader {
  let view: IngotMetadataView

  func string(_ name: String) throws(IngotError) -> String {
    guard case .string(let text) = try required(name) else { throw wrong(name, "a string") }
    return text
  }

  func double(_ name: String) throws(IngotError) -> Double {
    guard case .float(let value) = try required(name) else { throw wrong(name, "an f64") }
    return value
  }

  func bool(_ name: String) throws(IngotError) -> Bool {
    guard case .bool(let value) = try required(name) else { throw wrong(name, "a bool") }
    return value
  }

  func size(_ name: String) throws(IngotError) -> Int {
    guard let value = try optionalSize(name) else { throw wrong(name, "there") }
    return value
  }

  func optionalSize(_ name: String) throws(IngotError) -> Int? {
    guard let value = try view.value(IngotKey.modelPrefix + name) else { return nil }
    guard case .unsigned(let bits) = value, let size = Int(exactly: bits) else {
      throw wrong(name, "a u64 below 2^63")
    }
    return size
  }

  private func required(_ name: String) throws(IngotError) -> IngotMetadataValue {
    guard let value = try view.value(IngotKey.modelPrefix + name) else {
      throw wrong(name, "there")
    }
    return value
  }

  private func wrong(_ name: String, _ expected: String) -> IngotError {
    IngotError("ingot.configuration", "metadata value model.\(name) is not \(expected)")
  }
}
