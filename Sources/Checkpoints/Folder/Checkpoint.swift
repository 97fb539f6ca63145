package import Architecture
package import Bytes
package import Tensors

/// A Hugging Face model folder, open and consistent: the configuration is one this program
/// computes, and the files hold exactly the tensors it asks for.
package struct Checkpoint: Sendable {
  package static let configurationName = "config.json"
  package static let generationName = "generation_config.json"
  /// Longest configuration file read. Real ones have a few kilobytes.
  package static let maximumConfigurationBytes = 1 << 24

  package let folder: CheckpointFolder
  package let configuration: ModelConfiguration
  /// `config.json` verbatim.
  package let configurationBytes: [UInt8]
  package let generation: GenerationDefaults?
  /// `generation_config.json` verbatim.
  package let generationBytes: [UInt8]?
  package let weights: CheckpointWeights
  /// In the order of `configuration.tensors`.
  package let tensors: [CheckpointTensor]
  /// An `lm_head.weight` beside tied embeddings, equal to them byte for byte and therefore left
  /// out of `tensors`.
  package let redundantHead: CheckpointTensor?

  /// Opens a folder and checks everything but the weights' values.
  ///
  /// Reads headers and configuration only, except where tied embeddings come with a head of their
  /// own: those two are compared.
  ///
  /// - Throws: `checkpoint.…`, `config.…`, `index.…`, `safetensors.…`, `signature.…`, `json.…`,
  ///   `file.…`.
  package init(path: String) throws(IngotError) {
    let folder = try CheckpointFolder(path: path)
    guard
      let bytes = try folder.bytes(
        Self.configurationName, maximum: Self.maximumConfigurationBytes)
    else {
      throw IngotError(
        "checkpoint.noConfiguration", "holds no \(Self.configurationName)", path: path,
        advice: "Expected a model folder in Hugging Face layout.")
    }
    let configuration = try folder.parse(Self.configurationName, bytes) {
      (bytes) throws(IngotError) in try ModelConfiguration(huggingFace: bytes)
    }
    let generationBytes = try folder.bytes(
      Self.generationName, maximum: Self.maximumConfigurationBytes)
    if let generationBytes {
      generation = try folder.parse(Self.generationName, generationBytes) {
        (bytes) throws(IngotError) in
        let defaults = try GenerationDefaults(huggingFace: bytes)
        if let token = defaults.tokenOutside(configuration.vocabularySize) {
          throw IngotError(
            "config.inconsistent",
            "token id \(token) is not below vocab_size (\(configuration.vocabularySize))")
        }
        return defaults
      }
    } else {
      generation = nil
    }
    let weights = try CheckpointWeights(folder: folder)
    let match = try TensorMatch(configuration, weights, path: path)
    self.folder = folder
    self.configuration = configuration
    configurationBytes = bytes
    self.generationBytes = generationBytes
    self.weights = weights
    tensors = match.tensors
    redundantHead = match.redundantHead
  }

  package var path: String { folder.path }
  package var shards: [SafetensorsFile] { weights.shards }

  /// The tensor with this Hugging Face name; linear in the tensors.
  package func tensor(named name: String) -> CheckpointTensor? {
    tensors.first { $0.name == name }
  }
}

/// A tensor the model needs, and where its bytes are.
package struct CheckpointTensor: Sendable {
  package let schema: TensorSchema
  /// Position in `Checkpoint.shards`.
  package let shard: Int
  package let file: SafetensorsFile
  package let entry: SafetensorsEntry

  package var name: String { schema.name }
  package var type: ElementType { entry.type }
  package var shape: [Int] { entry.shape }
  package var byteCount: Int { entry.byteCount }

  /// Fills `buffer` with the tensor's bytes from `offset` on.
  ///
  /// - Throws: `file.shrank`, `file.read`.
  package func read(
    at offset: Int = 0, into buffer: UnsafeMutableRawBufferPointer
  ) throws(IngotError) {
    try file.read(entry, at: offset, into: buffer)
  }

  /// Lends a range of its bytes without copying them; see `FileReader.withMapping`.
  ///
  /// - Throws: `file.shrank`, `file.map`, and what `body` throws.
  package func withMapping<Result>(
    of range: Range<Int>, passes: Int,
    _ body: (UnsafeRawBufferPointer) throws(IngotError) -> Result
  ) throws(IngotError) -> Result {
    try file.withMapping(of: entry, range, passes: passes, body)
  }

  /// All its bytes; for small tensors and tests.
  package func bytes() throws(IngotError) -> [UInt8] { try file.bytes(of: entry) }
}
