package import Bytes

/// `model.safetensors.index.json`: which tensor lies in which file.
package struct ShardIndex: Sendable {
  package static let fileName = "model.safetensors.index.json"
  package static let maximumBytes = 1 << 28
  /// More files than this are refused: each takes a file descriptor. The largest published model
  /// has under 200.
  package static let maximumShards = 1000

  /// The files in the order of their names' bytes.
  package let files: [String]
  /// Every tensor with the position of its file in `files`.
  package let weights: [(name: String, file: Int)]
  /// `metadata.total_size`: bytes of all tensors together, when it is there.
  package let totalBytes: Int?

  /// - Throws: `json.…`, `index.weightMap`, `index.path`, `index.notSafetensors`,
  ///   `index.tooManyShards`, `index.totalSize`.
  package init(parsing bytes: [UInt8]) throws(IngotError) {
    var cursor = try JSONCursor(bytes)
    var listed: [(name: String, file: String)]?
    var total: Int?
    guard try cursor.peek() == .object else {
      throw IngotError("index.weightMap", "is JSON, but not an object", offset: 0)
    }
    try cursor.object { (key, cursor) throws(IngotError) in
      switch key {
      case "weight_map": listed = try Self.weightMap(&cursor)
      case "metadata": total = try Self.totalSize(try cursor.value())
      default: try cursor.skip()
      }
    }
    try cursor.end()
    guard let listed else { throw IngotError("index.weightMap", "has no weight_map") }
    let names = Set(listed.map { ExactName($0.file) })
    guard names.count <= Self.maximumShards else {
      throw IngotError(
        "index.tooManyShards",
        "names \(names.count) files; at most \(Self.maximumShards) are supported")
    }
    files = names.map(\.text).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    var positions: [ExactName: Int] = [:]
    for (position, file) in files.enumerated() { positions[ExactName(file)] = position }
    weights = listed.map { ($0.name, positions[ExactName($0.file)] ?? 0) }
    totalBytes = total
  }

  private static func weightMap(
    _ cursor: inout JSONCursor
  ) throws(IngotError) -> [(name: String, file: String)] {
    guard try cursor.peek() == .object else {
      throw IngotError("index.weightMap", "weight_map is not an object", offset: cursor.offset)
    }
    var listed: [(name: String, file: String)] = []
    try cursor.object { (name, cursor) throws(IngotError) in
      guard try cursor.peek() == .string else {
        throw IngotError("index.weightMap", "its file is not a string", tensor: name)
      }
      let file = try cursor.string()
      guard CheckpointFolder.isPlainName(file) else {
        throw IngotError(
          "index.path", "\"\(file)\" is not the name of a file in the folder", tensor: name,
          advice: "An index may only name files beside it.")
      }
      guard file.hasSuffix(".safetensors") else {
        throw IngotError(
          "index.notSafetensors", "\"\(file)\" is not a safetensors file", tensor: name)
      }
      listed.append((name, file))
    }
    return listed
  }

  private static func totalSize(_ metadata: JSONValue) throws(IngotError) -> Int? {
    guard let object = metadata.object else {
      if metadata.isNull { return nil }
      throw IngotError("index.totalSize", "metadata is not an object")
    }
    switch object["total_size"] {
    case nil, .null: return nil
    case .integer(let size): return size
    // Some writers divide bits by 8 and leave a float.
    case .double(let size) where size == size.rounded() && abs(size) < 0x1p53: return Int(size)
    case .some(let other):
      throw IngotError(
        "index.totalSize", "metadata.total_size should be an integer, but holds \(other.kindName)")
    }
  }
}
