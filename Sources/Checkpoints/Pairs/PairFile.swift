package import Bytes

/// A prompt and the answer it is to be followed by.
package struct Pair: Sendable, Hashable {
  package let query: String
  package let response: String

  package init(query: String, response: String) {
    self.query = query
    self.response = response
  }
}

/// Query/response pairs from a file, in the format ReFusion is trained on.
///
/// A JSON array of objects, or the same objects one a line. The fields are `query` and
/// `response`; `question` and `answer` are accepted in their place. Other fields are ignored.
package struct PairFile: Sendable {
  package static let maximumBytes = 1 << 30

  package let path: String
  package let pairs: [Pair]
  /// SHA-256 of the file.
  package let checksum: Checksum

  /// - Throws: `pairs.…` with the row, counted from 0; `json.…` with the offset; `signature.…`;
  ///   `file.…`.
  package init(path: String) throws(IngotError) {
    let reader = try FileReader(path: path)
    guard reader.count <= Self.maximumBytes else {
      throw IngotError(
        "pairs.tooLarge", "has \(reader.count) bytes; at most \(Self.maximumBytes) are read",
        path: path)
    }
    let bytes = try reader.bytes(at: 0, count: reader.count)
    do throws(IngotError) {
      pairs = try Self.parse(bytes)
    } catch {
      let prefix = Array(bytes.prefix(FileSignature.prefixLength))
      if let signature = FileSignature(prefix: prefix), signature != .json {
        throw signature.error(insteadOf: "a file of query/response pairs", path: path)
      }
      throw error.inFile(path)
    }
    self.path = path
    checksum = Checksum(of: bytes)
  }

  /// Reads pairs from memory.
  package static func parse(_ bytes: [UInt8]) throws(IngotError) -> [Pair] {
    let spaces: Set<UInt8> = [0x20, 0x09, 0x0A, 0x0D]
    let first = bytes.first { !spaces.contains($0) }
    let pairs =
      first == UInt8(ascii: "{") ? try parseLines(bytes) : try parseArray(bytes)
    guard !pairs.isEmpty else { throw IngotError("pairs.empty", "holds no pairs") }
    return pairs
  }

  private static func parseArray(_ bytes: [UInt8]) throws(IngotError) -> [Pair] {
    guard !bytes.isEmpty else { throw IngotError("pairs.empty", "is empty") }
    var cursor = try JSONCursor(bytes)
    guard try cursor.peek() == .array else {
      throw IngotError(
        "pairs.form", "is neither a JSON array of objects nor JSON objects one a line")
    }
    var pairs: [Pair] = []
    try cursor.array { (row, cursor) throws(IngotError) in
      pairs.append(try pair(&cursor, row: "row \(row)"))
    }
    try cursor.end()
    return pairs
  }

  private static func parseLines(_ bytes: [UInt8]) throws(IngotError) -> [Pair] {
    var pairs: [Pair] = []
    var start = 0
    var line = 0
    while start < bytes.count {
      let end = bytes[start...].firstIndex(of: 0x0A) ?? bytes.count
      line += 1
      let text = bytes[start..<end]
      if text.contains(where: { $0 != 0x20 && $0 != 0x09 && $0 != 0x0D }) {
        let row = "row \(pairs.count) (line \(line))"
        do throws(IngotError) {
          var cursor = try JSONCursor(Array(text))
          pairs.append(try pair(&cursor, row: row))
          try cursor.end()
        } catch { throw located(error, row: row, start: start) }
      }
      start = end + 1
    }
    return pairs
  }

  /// The same error with the row in its message and its offset counted from the file's start.
  private static func located(_ error: IngotError, row: String, start: Int) -> IngotError {
    let message = error.message.hasPrefix("row ") ? error.message : "\(row): \(error.message)"
    return IngotError(
      error.code, message, offset: error.offset.map { $0 + start }, advice: error.advice)
  }

  private static func pair(
    _ cursor: inout JSONCursor, row: String
  ) throws(IngotError) -> Pair {
    let start = cursor.offset
    guard try cursor.peek() == .object else {
      throw IngotError("pairs.form", "\(row): is not an object", offset: cursor.offset)
    }
    var texts: [String: String] = [:]
    try cursor.object { (name, cursor) throws(IngotError) in
      guard ["query", "question", "response", "answer"].contains(name) else {
        return try cursor.skip()
      }
      guard try cursor.peek() == .string else {
        throw IngotError("pairs.type", "\(row): \(name) is not a string", offset: cursor.offset)
      }
      texts[name] = try cursor.string()
    }
    func text(_ name: String, _ other: String) throws(IngotError) -> String {
      if texts[name] != nil && texts[other] != nil {
        throw IngotError(
          "pairs.ambiguous", "\(row): has both \(name) and \(other)", offset: start)
      }
      guard let text = texts[name] ?? texts[other] else {
        throw IngotError(
          "pairs.missing", "\(row): has no \(name) (nor \(other))", offset: start)
      }
      return text
    }
    return Pair(
      query: try text("query", "question"), response: try text("response", "answer"))
  }
}
