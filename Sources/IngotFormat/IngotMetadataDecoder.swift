internal import Bytes

/// Where a metadata value lies and what it is, checked at opening; its bytes are read on demand.
struct IngotMetadataEntry: Sendable {
  let key: String
  let type: IngotMetadataType
  let encoding: IngotMetadataEncoding
  let elementCount: Int
  /// The value itself for scalars.
  let bits: UInt64
  /// Where the stored bytes lie in the file; empty for scalars.
  let range: Range<Int>
  let decodedBytes: Int
  /// SHA-256 of the decoded bytes; zero for scalars.
  let checksum: Checksum
}

/// Decodes and checks metadata entries one after the other.
struct IngotMetadataDecoder {
  private let entries: ByteReader
  private let names: ByteReader
  private let values: Range<Int>
  private var nameOffset: Int
  private var valueEnd: Int
  private var lastKey: String?

  private typealias Field = IngotLayout.Metadata

  init(entries: ByteReader, names: ByteReader, values: Range<Int>, nameOffset: Int) {
    self.entries = entries
    self.names = names
    self.values = values
    self.nameOffset = nameOffset
    valueEnd = values.lowerBound
  }

  /// - Throws: `ingot.metadata`, `ingot.reserved`, `ingot.duplicate`, `ingot.limit`.
  mutating func next(_ index: Int) throws(IngotError) -> IngotMetadataEntry {
    let start = index * IngotLayout.metadataEntryBytes
    let key = try key(start)
    guard try entries.isZero(at: start + Field.reserved16, count: 2),
      try entries.isZero(at: start + Field.reserved, count: 16)
    else { throw fault("ingot.reserved", key, start, "has reserved bytes that are not zero") }
    let code: UInt8 = try entries.integer(at: start + Field.type)
    guard let type = IngotMetadataType(rawValue: code) else {
      throw fault("ingot.metadata", key, start, "has the unknown type code \(code)")
    }
    let encodingCode: UInt8 = try entries.integer(at: start + Field.encoding)
    guard let encoding = IngotMetadataEncoding(rawValue: encodingCode) else {
      throw fault("ingot.metadata", key, start, "has the unknown encoding code \(encodingCode)")
    }
    let entry = IngotMetadataEntry(
      key: key, type: type, encoding: encoding,
      elementCount: try entries.size(at: start + Field.elementCount),
      bits: try entries.integer(at: start + Field.value),
      range: type.isScalar ? 0..<0 : try range(start, key),
      decodedBytes: try entries.size(at: start + Field.decodedBytes),
      checksum: Checksum(
        bytes: try entries.slice(at: start + Field.checksum, count: Checksum.byteCount)))
    try check(entry, start)
    return entry
  }

  /// No name and no value byte may be left over.
  func finish() throws(IngotError) {
    guard nameOffset == names.count else {
      throw IngotError(
        "ingot.name", "\(names.count - nameOffset) bytes of names belong to nothing",
        offset: names.baseOffset + nameOffset)
    }
    guard valueEnd == values.upperBound else {
      throw IngotError(
        "ingot.metadata", "\(values.upperBound - valueEnd) bytes of values belong to nothing",
        offset: valueEnd)
    }
  }

  private mutating func key(_ start: Int) throws(IngotError) -> String {
    let offset = try entries.size(at: start + Field.keyOffset)
    let length = Int(try entries.integer(UInt32.self, at: start + Field.keyBytes))
    guard offset == nameOffset else {
      throw IngotError(
        "ingot.name", "a metadata key starts at \(offset) instead of \(nameOffset)",
        offset: entries.baseOffset + start)
    }
    let bytes = try names.slice(at: offset, count: length)
    guard length <= IngotLayout.Limits.metadataKeyBytes,
      let key = String(validating: bytes, as: UTF8.self), IngotNames.isMetadataKey(key)
    else {
      throw IngotError(
        "ingot.metadata", "a metadata key is not 1…255 characters of a…z, 0…9, '.', '_', '-'",
        offset: names.baseOffset + offset)
    }
    if let lastKey, !lastKey.utf8.lexicographicallyPrecedes(key.utf8) {
      throw IngotError(
        lastKey == key ? "ingot.duplicate" : "ingot.metadata",
        "metadata keys are not in strictly ascending order at \(key)",
        offset: entries.baseOffset + start)
    }
    nameOffset += length
    lastKey = key
    return key
  }

  private mutating func range(_ start: Int, _ key: String) throws(IngotError) -> Range<Int> {
    let offset = try entries.size(at: start + Field.value)
    let stored = try entries.size(at: start + Field.storedBytes)
    if stored == 0 && offset == 0 { return 0..<0 }
    let expected = IngotLayout.aligned(valueEnd, to: IngotLayout.sectionAlignment)
    guard offset == expected, stored > 0 else {
      throw fault(
        "ingot.metadata", key, start, "starts at \(offset) instead of \(expected)")
    }
    guard offset <= values.upperBound, stored <= values.upperBound - offset else {
      throw fault("ingot.metadata", key, start, "leaves the values section")
    }
    valueEnd = offset + stored
    return offset..<valueEnd
  }

  private func check(_ entry: IngotMetadataEntry, _ start: Int) throws(IngotError) {
    if entry.type.isScalar {
      let stored = try entries.size(at: start + Field.storedBytes)
      guard entry.elementCount == 1, stored == 0, entry.decodedBytes == 0,
        entry.encoding == .plain, entry.checksum == .zero,
        IngotMetadataValue(scalar: entry.type, bits: entry.bits) != nil
      else { throw fault("ingot.metadata", entry.key, start, "is not a well-formed scalar") }
      return
    }
    guard entry.decodedBytes <= IngotLayout.Limits.valueBytes else {
      throw fault(
        "ingot.limit", entry.key, start, "has \(entry.decodedBytes) bytes; the limit is 2^28")
    }
    let isSized =
      switch entry.type {
      case .string, .bytes: entry.elementCount == entry.decodedBytes
      case .stringArray: entry.elementCount <= entry.decodedBytes / 4
      default:
        entry.elementCount <= IngotLayout.Limits.valueBytes
          && entry.elementCount * 8 == entry.decodedBytes
      }
    let isStored =
      switch entry.encoding {
      case .plain: entry.range.count == entry.decodedBytes
      case .zstd: !entry.range.isEmpty && entry.range.count < entry.decodedBytes
      }
    guard isSized, isStored else {
      throw fault("ingot.metadata", entry.key, start, "has lengths that do not agree")
    }
  }

  private func fault(
    _ code: String, _ key: String, _ start: Int, _ message: String
  ) -> IngotError {
    IngotError(code, "metadata value \(key) \(message)", offset: entries.baseOffset + start)
  }
}
