package import Architecture
package import Bytes
package import Checkpoints
package import Tensors

/// A complete ReFusion checkpoint of random weights in Hugging Face layout, small enough to write
/// in a test and the same for the same seed.
public struct SyntheticCheckpoint: Sendable {
  package var configuration: ModelConfiguration
  package var type: ElementType
  /// Files the tensors are spread over; 1 writes `model.safetensors`.
  package var shards: Int
  package var seed: UInt64
  package var hasTokenizer: Bool

  /// - Parameter configuration: The default has two layers, every matrix a multiple of 128
  ///   columns (so that each quantization scheme applies), and the vocabulary of
  ///   `SyntheticTokenizer`.
  package init(
    _ configuration: ModelConfiguration = SyntheticCheckpoint.configuration(),
    type: ElementType = .bfloat16, shards: Int = 1, seed: UInt64 = 1, hasTokenizer: Bool = true
  ) {
    self.configuration = configuration
    self.type = type
    self.shards = shards
    self.seed = seed
    self.hasTokenizer = hasTokenizer
  }

  package static func configuration(
    hidden: Int = 128, intermediate: Int = 256, layers: Int = 2, heads: Int = 4,
    keyValueHeads: Int = 2, headDimension: Int = 32, tied: Bool = false, bias: Bool = false
  ) -> ModelConfiguration {
    ModelConfiguration(
      vocabularySize: SyntheticTokenizer.vocabularySize, hiddenSize: hidden,
      intermediateSize: intermediate, layerCount: layers, attentionHeads: heads,
      keyValueHeads: keyValueHeads, headDimension: headDimension, maximumPositions: 2048,
      tiesEmbeddings: tied, attentionBias: bias,
      beginOfTextToken: SyntheticTokenizer.id(of: "<|beginoftext|>"),
      endOfTextToken: SyntheticTokenizer.id(of: "<|im_end|>"),
      maskToken: SyntheticTokenizer.id(of: "<|mask|>"))
  }

  /// Writes the files into a fresh folder, which lives as long as the result.
  package func write() throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    try write(to: folder)
    return folder
  }

  /// Writes the files into a folder.
  package func write(to folder: TemporaryFolder) throws {
    try folder.write(configurationJSON.serialized(.pretty), to: "config.json")
    try folder.write(generationJSON.serialized(.pretty), to: "generation_config.json")
    if hasTokenizer {
      for (name, bytes) in SyntheticTokenizer.files { try folder.write(bytes, to: name) }
    }
    try writeWeights(to: folder)
  }

  /// Every tensor with its bytes, in the order of `configuration.tensors`.
  package func tensors() -> [(tensor: SafetensorsWriter.Tensor, bytes: [UInt8])] {
    configuration.tensors.enumerated().map { index, schema in
      var generator = SeededGenerator(seed: seed &* 1_000_003 &+ UInt64(index))
      let tensor = SafetensorsWriter.Tensor(name: schema.name, type: type, shape: schema.shape)
      return (tensor, bytes(of: schema, &generator))
    }
  }

  private func bytes(of schema: TensorSchema, _ generator: inout SeededGenerator) -> [UInt8] {
    let count = schema.shape.reduce(1, *)
    let (mean, deviation): (Float, Float) =
      switch schema.role {
      case .norm: (1, 0.1)
      case .bias: (0, 0.05)
      case .embedding: (0, 1)
      // Keeps the variance of activations.
      case .linear, .head: (0, 1 / Float(schema.shape[1]).squareRoot())
      }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count * type.byteCount)
    for _ in 0..<count {
      let value = mean + deviation * generator.gaussian()
      switch type {
      case .float32: append(value.bitPattern, to: &bytes)
      case .float16: append(HalfPrecision.half(from: value), to: &bytes)
      case .bfloat16: append(HalfPrecision.brain(from: value), to: &bytes)
      default: preconditionFailure("synthetic weights are F32, F16 or BF16")
      }
    }
    return bytes
  }

  private func append(_ value: some FixedWidthInteger, to bytes: inout [UInt8]) {
    withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
  }

  // MARK: Files

  private func writeWeights(to folder: TemporaryFolder) throws {
    let all = tensors()
    let metadata = [(name: "format", value: "pt")]
    guard shards > 1 else {
      return try SafetensorsWriter.write(
        all, metadata: metadata, to: folder.path("model.safetensors"))
    }
    var map = JSONObject()
    for shard in 0..<shards {
      let name = shardName(shard)
      let part = all.enumerated().filter { $0.offset * shards / all.count == shard }
        .map(\.element)
      try SafetensorsWriter.write(part, metadata: metadata, to: folder.path(name))
      for (tensor, _) in part { map.append(tensor.name, .string(name)) }
    }
    let total = all.reduce(0) { $0 + $1.bytes.count }
    let index: JSONValue = [
      "metadata": ["total_size": .integer(total)], "weight_map": .object(map),
    ]
    try folder.write(index.serialized(.pretty), to: "model.safetensors.index.json")
  }

  /// `model-00001-of-00003.safetensors`.
  package func shardName(_ shard: Int) -> String {
    func padded(_ number: Int) -> String {
      String(repeating: "0", count: 5 - String(number).count) + String(number)
    }
    return "model-\(padded(shard + 1))-of-\(padded(shards)).safetensors"
  }

  /// `config.json`, with the fields of a published one.
  package var configurationJSON: JSONValue {
    let names: [ElementType: String] = [
      .float32: "float32", .float16: "float16", .bfloat16: "bfloat16",
    ]
    return [
      "architectures": [.string(configuration.architecture)],
      "attention_bias": .bool(configuration.attentionBias),
      "attention_dropout": 0.0,
      "bos_token_id": token(configuration.beginOfTextToken),
      "eos_token_id": token(configuration.endOfTextToken),
      "head_dim": .integer(configuration.headDimension),
      "hidden_act": "silu",
      "hidden_size": .integer(configuration.hiddenSize),
      "initializer_range": 0.02,
      "intermediate_size": .integer(configuration.intermediateSize),
      "mask_token_id": token(configuration.maskToken),
      "max_position_embeddings": .integer(configuration.maximumPositions),
      "max_window_layers": .integer(configuration.layerCount),
      "model_type": "qwen3",
      "num_attention_heads": .integer(configuration.attentionHeads),
      "num_hidden_layers": .integer(configuration.layerCount),
      "num_key_value_heads": .integer(configuration.keyValueHeads),
      // The shortest decimal of the float: 1e-06, as published.
      "rms_norm_eps": .double(Double("\(configuration.rmsNormEpsilon)") ?? 0),
      "rope_scaling": nil,
      "rope_theta": .double(configuration.ropeTheta),
      "sliding_window": nil,
      "tie_word_embeddings": .bool(configuration.tiesEmbeddings),
      "torch_dtype": .string(names[type] ?? ""),
      "transformers_version": "4.52.4",
      "use_cache": true,
      "use_sliding_window": false,
      "vocab_size": .integer(configuration.vocabularySize),
    ]
  }

  private var generationJSON: JSONValue {
    [
      "_from_model_config": true,
      "bos_token_id": token(configuration.beginOfTextToken),
      "eos_token_id": token(configuration.endOfTextToken),
      "transformers_version": "4.52.4",
    ]
  }

  private func token(_ id: Int?) -> JSONValue { id.map { .integer($0) } ?? .null }
}
