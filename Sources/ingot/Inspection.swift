import Architecture
import Bytes
import Checkpoints
import Foundation
import IngotFormat

/// What `inspect` found out about a path.
struct Inspection {
  struct Tensor {
    let name: String
    let shape: [Int]
    let type: String
    let bytes: Int
    var elements: Int { shape.reduce(1, *) }
  }

  let path: String
  /// `checkpoint`, `safetensors` or `ingot`.
  private(set) var kind = ""
  private(set) var configuration: ModelConfiguration?
  private(set) var bytes = 0
  private(set) var tensors: [Tensor] = []
  /// Everything else, in the order it is shown.
  private(set) var metadata: [(key: String, value: JSONValue)] = []

  init(path: String) throws {
    self.path = path
    var isFolder: ObjCBool = false
    _ = FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
    if isFolder.boolValue {
      try readCheckpoint()
    } else if path.hasSuffix(".safetensors") {
      try readSafetensors()
    } else {
      try readIngot()
    }
  }

  private mutating func readCheckpoint() throws {
    let checkpoint = try Checkpoint(path: path)
    kind = "checkpoint"
    configuration = checkpoint.configuration
    bytes = checkpoint.shards.reduce(0) { $0 + $1.byteCount }
    tensors = checkpoint.tensors.map {
      Tensor(name: $0.name, shape: $0.shape, type: $0.type.name, bytes: $0.byteCount)
    }
    for (name, shard) in zip(checkpoint.weights.names, checkpoint.shards) {
      metadata.append(("shard \(name)", .integer(shard.byteCount)))
    }
  }

  private mutating func readSafetensors() throws {
    let file = try SafetensorsFile(path: path)
    kind = "safetensors"
    bytes = file.byteCount
    tensors = file.entries.map {
      Tensor(name: $0.name, shape: $0.shape, type: $0.type.name, bytes: $0.byteCount)
    }
  }

  private mutating func readIngot() throws {
    let file = try IngotFile.open(path)
    kind = "ingot"
    configuration = file.configuration
    bytes = file.mapping.count
    tensors = file.tensors.map {
      Tensor(name: $0.name, shape: $0.shape, type: $0.typeName, bytes: $0.byteRange.count)
    }
    metadata.append(("format", .string("\(file.version.major).\(file.version.minor)")))
    metadata.append(("directory_sha256", .string(file.checksum.description)))
    if let tool = try file.toolVersion() { metadata.append(("tool_version", .string(tool))) }
    if let recipe = try file.recipe() { metadata.append(("recipe", .string(recipe))) }
    metadata.append(("tokenizer_bytes", .integer(try file.tokenizerBlob()?.count ?? 0)))
    metadata.append(("chat_template", .bool(try file.chatTemplate() != nil)))
    for source in try file.sources() {
      metadata.append(("source \(source.name)", .string(source.checksum.description)))
    }
  }

  var parameters: Int { tensors.reduce(0) { $0 + $1.elements } }

  /// Bytes to run it: the mapped weights, and keys and values of 4096 tokens in f32.
  var memoryNeeded: Int? {
    configuration.map { shape in
      let keyValues = 2 * shape.layerCount * shape.keyValueHeads * shape.headDimension * 4 * 4096
      return tensors.reduce(0) { $0 + $1.bytes } + keyValues
    }
  }

  var json: String {
    var writer = JSONWriter()
    writer.object { object in
      object.key("kind")
      object.value(kind)
      object.key("architecture")
      if let configuration { object.value(configuration.architecture) } else { object.null() }
      object.key("parameters")
      object.value(parameters)
      object.key("bytes")
      object.value(bytes)
      object.key("memory_needed")
      if let memoryNeeded { object.value(memoryNeeded) } else { object.null() }
      object.key("tensors")
      object.array { array in
        for tensor in tensors {
          TensorJSON.write(
            name: tensor.name, shape: tensor.shape, type: tensor.type, bytes: tensor.bytes,
            to: &array)
        }
      }
      object.key("metadata")
      object.object { members in
        for (key, value) in metadata + configurationValues {
          members.key(key)
          members.value(value)
        }
      }
    }
    return writer.text
  }

  private var configurationValues: [(key: String, value: JSONValue)] {
    guard let shape = configuration else { return [] }
    var values: [(key: String, value: JSONValue)] = [
      ("vocab_size", .integer(shape.vocabularySize)), ("hidden_size", .integer(shape.hiddenSize)),
      ("intermediate_size", .integer(shape.intermediateSize)),
      ("num_hidden_layers", .integer(shape.layerCount)),
      ("num_attention_heads", .integer(shape.attentionHeads)),
      ("num_key_value_heads", .integer(shape.keyValueHeads)),
      ("head_dim", .integer(shape.headDimension)), ("rope_theta", .double(shape.ropeTheta)),
      ("max_position_embeddings", .integer(shape.maximumPositions)),
      ("tie_word_embeddings", .bool(shape.tiesEmbeddings)),
    ]
    for (key, token) in [
      ("bos_token_id", shape.beginOfTextToken), ("eos_token_id", shape.endOfTextToken),
      ("mask_token_id", shape.maskToken),
    ] {
      if let token { values.append((key, .integer(token))) }
    }
    return values
  }
}
