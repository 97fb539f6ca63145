package import Bytes

/// An open safetensors file: a checked header, and its tensors' bytes on demand.
///
/// Opening reads the header only. Tensor bytes come by `read` (errors are errors, also when the
/// file shrinks or the disk fails), or from a mapping of the same file.
package final class SafetensorsFile: Sendable {
  package let path: String
  package let header: SafetensorsHeader
  private let reader: FileReader
  private let positions: [ExactName: Int]

  /// - Throws: `file.…`, `safetensors.…`, `json.…`; `signature.…` when it is another kind of file.
  package init(path: String) throws(IngotError) {
    do throws(IngotError) {
      reader = try FileReader(path: path)
      header = try Self.header(reader)
    } catch { throw error.inFile(path) }
    self.path = path
    var positions: [ExactName: Int] = [:]
    positions.reserveCapacity(header.entries.count)
    for (position, entry) in header.entries.enumerated() {
      positions[ExactName(entry.name)] = position
    }
    self.positions = positions
  }

  private static func header(_ reader: FileReader) throws(IngotError) -> SafetensorsHeader {
    let prefix = try reader.bytes(
      at: 0, count: min(reader.count, FileSignature.prefixLength))
    do throws(IngotError) {
      let length = try SafetensorsHeader.length(prefix: prefix, fileSize: reader.count)
      guard length == 0 || prefix.count > 8 && prefix[8] == UInt8(ascii: "{") else {
        throw IngotError(
          "safetensors.headerStart", "the header does not start with '{'", offset: 8)
      }
      let bytes = try reader.bytes(at: 8, count: length)
      return try SafetensorsHeader(parsing: bytes, fileSize: reader.count)
    } catch {
      let framing = ["tooShort", "headerTooLarge", "headerLength", "headerStart"]
      if framing.contains(where: { error.code == "safetensors.\($0)" }),
        let signature = FileSignature(prefix: prefix)
      {
        throw signature.error(insteadOf: "a safetensors file")
      }
      throw error
    }
  }

  /// The tensors in the order of their data.
  package var entries: [SafetensorsEntry] { header.entries }
  /// Length of the file in bytes.
  package var byteCount: Int { reader.count }

  /// The tensor with exactly this name.
  package func entry(named name: String) -> SafetensorsEntry? {
    positions[ExactName(name)].map { header.entries[$0] }
  }

  /// Fills `buffer` with bytes of a tensor.
  ///
  /// - Parameter offset: first byte, counted from the start of the tensor; the buffer must not
  ///   reach beyond its end.
  /// - Throws: `file.shrank`, `file.read`.
  package func read(
    _ entry: SafetensorsEntry, at offset: Int = 0, into buffer: UnsafeMutableRawBufferPointer
  ) throws(IngotError) {
    precondition(
      offset >= 0 && offset <= entry.byteCount && buffer.count <= entry.byteCount - offset,
      "read outside the tensor")
    do throws(IngotError) {
      try reader.read(into: buffer, at: entry.range.lowerBound + offset)
    } catch {
      var named = error
      named.tensor = entry.name
      throw named
    }
  }

  /// Lends bytes of the file, header included, without copying them; see
  /// `FileReader.withMapping`.
  ///
  /// - Throws: `file.shrank`, `file.map`, and what `body` throws.
  package func withMapping<Result>(
    of range: Range<Int>, passes: Int,
    _ body: (UnsafeRawBufferPointer) throws(IngotError) -> Result
  ) throws(IngotError) -> Result {
    try reader.withMapping(of: range, passes: passes, body)
  }

  /// Lends bytes of a tensor; `range` counts from its start.
  package func withMapping<Result>(
    of entry: SafetensorsEntry, _ range: Range<Int>, passes: Int,
    _ body: (UnsafeRawBufferPointer) throws(IngotError) -> Result
  ) throws(IngotError) -> Result {
    precondition(
      range.lowerBound >= 0 && range.upperBound <= entry.byteCount, "read outside the tensor")
    let start = entry.range.lowerBound
    return try reader.withMapping(
      of: start + range.lowerBound..<start + range.upperBound, passes: passes, body)
  }

  /// All bytes of a tensor; for small ones and tests.
  package func bytes(of entry: SafetensorsEntry) throws(IngotError) -> [UInt8] {
    try reader.bytes(at: entry.range.lowerBound, count: entry.byteCount)
  }

  /// Hints how a range of the file (not of a tensor) will be used.
  package func advise(_ advice: AccessAdvice, _ range: Range<Int>) {
    reader.advise(advice, range)
  }

  /// Maps the file, in which `entry.range` then finds a tensor.
  ///
  /// - Throws: `file.…`; `file.replaced` when the path names another file by now.
  package func map() throws(IngotError) -> MappedFile {
    let mapping = try MappedFile(path: path)
    guard mapping.identity == reader.identity else {
      throw IngotError(
        "file.replaced", "was replaced or changed since it was opened", path: path,
        advice: "Something changed the file while it was being read. Try again.")
    }
    return mapping
  }

  /// The SHA-256 of the whole file; reads all of it.
  package func checksum() throws(IngotError) -> Checksum { try reader.checksum() }
}
