import Architecture
package import Bytes

/// The safetensors files of a folder, opened and checked against their index.
///
/// As Hugging Face does, `model.safetensors` is taken when it exists, else the files that
/// `model.safetensors.index.json` names.
package struct CheckpointWeights: Sendable {
  package static let singleFileName = "model.safetensors"

  /// In the order of their names.
  package let shards: [SafetensorsFile]
  /// File names beside `shards`.
  package let names: [String]
  /// The shard of each tensor.
  private let shardOfTensor: [ExactName: Int]

  /// - Throws: `safetensors.…`, `index.…`, `checkpoint.…`, `signature.…`.
  package init(folder: CheckpointFolder) throws(IngotError) {
    if let path = try folder.filePath(Self.singleFileName) {
      shards = [try SafetensorsFile(path: path)]
      names = [Self.singleFileName]
      shardOfTensor = try Self.shardOfTensor(shards, names)
      return
    }
    guard
      let bytes = try folder.bytes(ShardIndex.fileName, maximum: ShardIndex.maximumBytes)
    else { throw try Self.noWeights(folder) }
    let index = try folder.parse(ShardIndex.fileName, bytes) { (bytes) throws(IngotError) in
      try ShardIndex(parsing: bytes)
    }
    var shards: [SafetensorsFile] = []
    for name in index.files {
      guard let path = try folder.filePath(name) else {
        throw IngotError(
          "index.missingShard", "\(name) is named by the index, but is not there",
          path: folder.path, advice: "Download the missing file.")
      }
      shards.append(try SafetensorsFile(path: path))
    }
    self.shards = shards
    names = index.files
    shardOfTensor = try Self.shardOfTensor(shards, names)
    try check(index, folder)
  }

  /// The tensor with exactly this name and its shard.
  package func find(_ name: String) -> (shard: Int, entry: SafetensorsEntry)? {
    guard let shard = shardOfTensor[ExactName(name)],
      let entry = shards[shard].entry(named: name)
    else { return nil }
    return (shard, entry)
  }

  private static func shardOfTensor(
    _ shards: [SafetensorsFile], _ names: [String]
  ) throws(IngotError) -> [ExactName: Int] {
    var result: [ExactName: Int] = [:]
    for (shard, file) in shards.enumerated() {
      for entry in file.entries {
        if let other = result.updateValue(shard, forKey: ExactName(entry.name)) {
          throw IngotError(
            "index.duplicateTensor", "is in \(names[other]) and again in \(names[shard])",
            path: file.path, tensor: entry.name)
        }
      }
    }
    return result
  }

  /// Compares what the index says with what the files hold.
  private func check(_ index: ShardIndex, _ folder: CheckpointFolder) throws(IngotError) {
    func fault(_ code: String, _ message: String, _ tensor: String?) -> IngotError {
      IngotError(
        "index.\(code)", message, path: "\(folder.path)/\(ShardIndex.fileName)", tensor: tensor)
    }
    var listed: Set<ExactName> = []
    listed.reserveCapacity(index.weights.count)
    for (name, file) in index.weights {
      listed.insert(ExactName(name))
      guard let found = shardOfTensor[ExactName(name)] else {
        throw fault("missingTensor", "is listed in \(names[file]), but is in no file", name)
      }
      guard found == file else {
        throw fault("wrongShard", "is listed in \(names[file]), but is in \(names[found])", name)
      }
    }
    var total = 0
    for (shard, file) in shards.enumerated() {
      for entry in file.entries {
        guard listed.contains(ExactName(entry.name)) else {
          throw fault("unlistedTensor", "is in \(names[shard]), but the index omits it", entry.name)
        }
        // The sum cannot overflow: each file's tensors fit the file.
        total += entry.byteCount
      }
    }
    if let expected = index.totalBytes, expected != total {
      throw fault(
        "totalSize", "says the tensors have \(expected) bytes; they have \(total)", nil)
    }
  }

  /// What to say about a folder without safetensors files.
  private static func noWeights(_ folder: CheckpointFolder) throws(IngotError) -> IngotError {
    let kinds: [(suffixes: [String], code: String, what: String)] = [
      ([".gguf"], "gguf", "a GGUF file"),
      ([".bin", ".pt", ".pth", ".ckpt", ".pkl"], "pickle", "weights as a Python pickle"),
      ([".h5", ".msgpack"], "foreignWeights", "weights of another framework"),
      ([".safetensors"], "strayShards", "safetensors files under unexpected names"),
    ]
    let names = try folder.names()
    for kind in kinds {
      let match = names.first { name in kind.suffixes.contains { name.hasSuffix($0) } }
      guard let match else { continue }
      return IngotError(
        "checkpoint.\(kind.code)", "holds \(kind.what) (\(match)) and no \(singleFileName)",
        path: folder.path,
        advice: kind.code == "strayShards"
          ? "Expected \(singleFileName), or \(ShardIndex.fileName) and the files it names."
          : "Convert the weights to safetensors, or download that variant of the model.")
    }
    return IngotError(
      "checkpoint.noWeights", "holds no \(singleFileName) and no \(ShardIndex.fileName)",
      path: folder.path, advice: "Expected a model folder in Hugging Face layout.")
  }
}
