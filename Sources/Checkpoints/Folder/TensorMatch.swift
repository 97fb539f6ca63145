import Architecture
import Bytes

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Pairs the tensors a configuration asks for with those the files hold.
struct TensorMatch {
  private(set) var tensors: [CheckpointTensor] = []
  private(set) var redundantHead: CheckpointTensor?

  private let configuration: ModelConfiguration
  private let weights: CheckpointWeights
  private let path: String

  /// - Throws: `checkpoint.layerCount`, `checkpoint.missingTensor`, `checkpoint.shape`,
  ///   `checkpoint.type`, `checkpoint.tiedHead`, `checkpoint.unexpectedTensor`.
  init(
    _ configuration: ModelConfiguration, _ weights: CheckpointWeights, path: String
  ) throws(IngotError) {
    self.configuration = configuration
    self.weights = weights
    self.path = path
    // First of all: only now is the list of expected tensors no longer than the files' own.
    try checkLayerCount()
    for schema in configuration.tensors { tensors.append(try match(schema)) }
    try checkUnexpected()
  }

  private func match(_ schema: TensorSchema) throws(IngotError) -> CheckpointTensor {
    guard let (shard, entry) = weights.find(schema.name) else {
      throw IngotError("checkpoint.missingTensor", "is missing", path: path, tensor: schema.name)
    }
    return try checked(
      CheckpointTensor(schema: schema, shard: shard, file: weights.shards[shard], entry: entry))
  }

  private func checked(_ tensor: CheckpointTensor) throws(IngotError) -> CheckpointTensor {
    guard tensor.shape == tensor.schema.shape else {
      throw IngotError(
        "checkpoint.shape",
        "has shape \(tensor.shape); \(Checkpoint.configurationName) asks for \(tensor.schema.shape)",
        path: tensor.file.path, tensor: tensor.name)
    }
    guard tensor.type.isComputable else {
      throw IngotError(
        "checkpoint.type", "has type \(tensor.type.name); weights are F32, F16 or BF16",
        path: tensor.file.path, tensor: tensor.name)
    }
    return tensor
  }

  // MARK: Layers

  private func checkLayerCount() throws(IngotError) {
    guard weights.find(ModelConfiguration.embeddingName) != nil else {
      let example = weights.shards.lazy.compactMap { $0.entries.first?.name }.first
      throw IngotError(
        "checkpoint.missingTensor", "is missing", path: path,
        tensor: ModelConfiguration.embeddingName,
        advice: example.map { "The files hold other names, such as \($0)." })
    }
    var highest = -1
    for shard in weights.shards {
      for entry in shard.entries {
        if let layer = Self.layer(of: entry.name) { highest = max(highest, layer) }
      }
    }
    guard highest + 1 == configuration.layerCount else {
      throw IngotError(
        "checkpoint.layerCount",
        "num_hidden_layers is \(configuration.layerCount), but the files hold \(highest + 1) layers",
        path: path)
    }
  }

  /// The layer in a name such as `model.layers.3.mlp.up_proj.weight`.
  static func layer(of name: String) -> Int? {
    let prefix = "model.layers."
    guard name.hasPrefix(prefix) else { return nil }
    let digits = name.dropFirst(prefix.count).prefix { $0 != "." }
    // Six digits are more than any configuration is allowed.
    guard digits.utf8.count <= 6, let layer = Int(digits), layer >= 0 else { return nil }
    return layer
  }

  // MARK: Tensors nobody asked for

  private mutating func checkUnexpected() throws(IngotError) {
    let expected = Set(tensors.map { ExactName($0.name) })
    for (shard, file) in weights.shards.enumerated() {
      for entry in file.entries where !expected.contains(ExactName(entry.name)) {
        guard configuration.tiesEmbeddings, entry.name == ModelConfiguration.headName else {
          throw unexpected(entry, file)
        }
        redundantHead = try tiedHead(entry, shard)
      }
    }
  }

  private func unexpected(_ entry: SafetensorsEntry, _ file: SafetensorsFile) -> IngotError {
    var advice: String?
    if entry.name.hasSuffix("_proj.bias") && !configuration.attentionBias {
      advice = "\(Checkpoint.configurationName) says that attention has no biases."
    } else if entry.name.contains("scale") || entry.name.contains("qweight") {
      advice = "The weights look already quantized. Start from the full-precision checkpoint."
    }
    return IngotError(
      "checkpoint.unexpectedTensor", "does not belong to a Qwen3 model of this configuration",
      path: file.path, tensor: entry.name, advice: advice)
  }

  /// Accepts a head beside tied embeddings when it is the embedding matrix again.
  ///
  /// Writers that do not notice shared storage leave it there (Qwen3-0.6B is published so), and
  /// transformers ties over it. One that differs would be computed with by some versions and
  /// ignored by others, so it is refused.
  private func tiedHead(
    _ entry: SafetensorsEntry, _ shard: Int
  ) throws(IngotError) -> CheckpointTensor {
    var untied = configuration
    untied.tiesEmbeddings = false
    // The embedding comes first among the tensors of a model, an untied head last.
    let embedding = tensors[0]
    let schema = untied.tensors[tensors.count]
    let head = try checked(
      CheckpointTensor(schema: schema, shard: shard, file: weights.shards[shard], entry: entry))
    guard head.type == embedding.type, try Self.sameBytes(head, embedding) else {
      throw IngotError(
        "checkpoint.tiedHead",
        "differs from the embeddings, although tie_word_embeddings says they are the same",
        path: head.file.path, tensor: head.name,
        advice: "Set tie_word_embeddings to false to use it, or remove the tensor.")
    }
    return head
  }

  private static func sameBytes(
    _ left: CheckpointTensor, _ right: CheckpointTensor
  ) throws(IngotError) -> Bool {
    let piece = 1 << 20
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 2 * piece, alignment: 64)
    defer { buffer.deallocate() }
    for offset in stride(from: 0, to: left.byteCount, by: piece) {
      let count = min(piece, left.byteCount - offset)
      let first = UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])
      let second = UnsafeMutableRawBufferPointer(rebasing: buffer[piece..<piece + count])
      try left.read(at: offset, into: first)
      try right.read(at: offset, into: second)
      // Safe: both halves of the buffer were just filled with `count` bytes, at least one.
      guard let a = first.baseAddress, let b = second.baseAddress, memcmp(a, b, count) == 0
      else { return false }
    }
    return true
  }
}
