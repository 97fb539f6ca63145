package import Bytes
import Tensors

/// The parsed and checked header of a safetensors file.
///
/// Layout: header length (u64, little endian) · header (JSON, may end in spaces) · tensor data.
/// Everything is checked here, so that an entry can be used without another thought. The rules
/// are those of `safetensors/src/tensor.rs` in huggingface/safetensors, and two it leaves to its
/// callers: no name twice, and the header starts with `{`.
package struct SafetensorsHeader: Sendable {
  /// Longest header accepted, as upstream.
  package static let maximumBytes = 100_000_000

  /// The members of `__metadata__`, in the order of the header.
  package let metadata: [(name: String, value: String)]
  /// The tensors in the order of their data, which is without gaps.
  package let entries: [SafetensorsEntry]
  /// Where tensor data starts in the file, in bytes.
  package let dataStart: Int

  /// Reads the length field.
  ///
  /// - Parameters:
  ///   - prefix: the first bytes of the file, at least 8 if it has them.
  ///   - fileSize: of the whole file, in bytes.
  /// - Returns: bytes of the header.
  /// - Throws: `safetensors.tooShort`, `safetensors.headerTooLarge`, `safetensors.headerLength`.
  package static func length(prefix: [UInt8], fileSize: Int) throws(IngotError) -> Int {
    guard fileSize >= 8, prefix.count >= 8 else {
      throw IngotError(
        "safetensors.tooShort", "has \(fileSize) bytes; a safetensors file has at least 10")
    }
    let length = prefix[..<8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    guard length <= UInt64(maximumBytes) else {
      throw IngotError(
        "safetensors.headerTooLarge",
        "announces a header of \(length) bytes; at most \(maximumBytes) are allowed", offset: 0)
    }
    guard Int(length) <= fileSize - 8 else {
      throw IngotError(
        "safetensors.headerLength",
        "announces a header of \(length) bytes, but only \(fileSize - 8) follow", offset: 0,
        advice: "The file is cut off; download it again.")
    }
    return Int(length)
  }

  /// Parses and checks a header.
  ///
  /// - Parameters:
  ///   - bytes: the header, without the length field.
  ///   - fileSize: of the whole file, in bytes.
  /// - Throws: `json.…` and `safetensors.…`; offsets count from the start of the file.
  package init(parsing bytes: [UInt8], fileSize: Int) throws(IngotError) {
    guard bytes.first == UInt8(ascii: "{") else {
      throw IngotError(
        "safetensors.headerStart", "the header does not start with '{'", offset: 8)
    }
    let dataStart = 8 + bytes.count
    var parser = SafetensorsHeaderParser(dataStart: dataStart, dataBytes: fileSize - dataStart)
    do throws(IngotError) {
      try parser.parse(bytes)
    } catch {
      var moved = error
      // The parser counts from the start of the header.
      if moved.tensor == nil, let offset = moved.offset { moved.offset = offset + 8 }
      throw moved
    }
    metadata = parser.metadata
    entries = try parser.ordered()
    self.dataStart = dataStart
  }
}
