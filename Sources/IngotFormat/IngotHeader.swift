internal import Bytes

/// The first 256 bytes, checked against the file's real length.
struct IngotHeader: Sendable {
  let major: UInt16
  let minor: UInt16
  let optionalFeatures: UInt64
  let dataAlignment: Int
  let fileBytes: Int
  let tensorCount: Int
  let metadataCount: Int
  /// In the order of `IngotLayout.Section`; they follow each other without overlap.
  let sections: [Range<Int>]
  let dataOffset: Int
  let directoryChecksum: Checksum

  private typealias Field = IngotLayout.Header

  /// - Throws: `ingot.magic`, `ingot.partial`, `ingot.endianness`, `ingot.version`,
  ///   `ingot.features`, `ingot.length`, `ingot.reserved`, `ingot.limit`, `ingot.section`.
  ///
  /// - Parameters:
  ///   - reader: The first 256 bytes, fewer when the file is shorter.
  ///   - actualBytes: The length of the file.
  init(_ reader: ByteReader, actualBytes: Int) throws(IngotError) {
    try Self.checkIdentity(reader)
    major = try reader.integer(at: Field.major)
    minor = try reader.integer(at: Field.minor)
    try Self.checkVersion(reader, major: major, minor: minor)
    optionalFeatures = try reader.integer(at: Field.optionalFeatures)
    dataAlignment = Int(try reader.integer(UInt32.self, at: Field.dataAlignment))
    guard dataAlignment.nonzeroBitCount == 1,
      (IngotLayout.pageBytes...IngotLayout.pageLimit).contains(dataAlignment)
    else {
      throw IngotError(
        "ingot.alignment", "data alignment \(dataAlignment) is not a power of two, 4 KiB…1 MiB",
        offset: Field.dataAlignment)
    }
    fileBytes = try Self.fileBytes(reader, actualBytes)
    tensorCount = try Self.count(
      reader, at: Field.tensorCount, limit: IngotLayout.Limits.tensorCount, "tensors")
    metadataCount = try Self.count(
      reader, at: Field.metadataCount, limit: IngotLayout.Limits.metadataCount, "metadata values")
    guard try reader.isZero(at: Field.reserved, count: Field.directoryChecksum - Field.reserved)
    else {
      throw IngotError(
        "ingot.reserved", "reserved header bytes are not zero", offset: Field.reserved)
    }
    sections = try Self.sections(
      reader, tensorCount: tensorCount, metadataCount: metadataCount, fileBytes: fileBytes)
    dataOffset = try reader.size(at: Field.dataOffset)
    let valuesEnd = sections[IngotLayout.Section.values.rawValue].upperBound
    guard dataOffset == IngotLayout.aligned(valuesEnd, to: dataAlignment), dataOffset <= fileBytes
    else {
      throw IngotError(
        "ingot.section",
        "tensor data starts at \(dataOffset), not on the first page after byte \(valuesEnd)",
        offset: Field.dataOffset)
    }
    directoryChecksum = Checksum(
      bytes: try reader.slice(at: Field.directoryChecksum, count: Checksum.byteCount))
  }

  private static func checkIdentity(_ reader: ByteReader) throws(IngotError) {
    guard reader.count >= IngotLayout.magic.count else { throw notIngot(reader) }
    let magic = try reader.slice(at: 0, count: IngotLayout.magic.count)
    if magic.elementsEqual(IngotLayout.partialMagic) {
      throw IngotError(
        "ingot.partial", "is the unfinished temporary of an interrupted conversion", offset: 0,
        advice: "Run the conversion again with --resume.")
    }
    guard magic.elementsEqual(IngotLayout.magic) else { throw notIngot(reader) }
    guard reader.count >= IngotLayout.headerBytes else {
      throw IngotError(
        "ingot.length", "has \(reader.count) bytes; the header alone has 256",
        advice: "The file is cut short. Copy it again.")
    }
    let marker: UInt32 = try reader.integer(at: Field.endianness)
    guard marker == IngotLayout.endiannessMarker else {
      throw IngotError(
        "ingot.endianness",
        marker == IngotLayout.endiannessMarker.byteSwapped
          ? "was written in big-endian byte order, which the format does not have"
          : "the endianness marker is damaged", offset: Field.endianness)
    }
  }

  private static func notIngot(_ reader: ByteReader) -> IngotError {
    IngotError(
      "ingot.magic", reader.count == 0 ? "is empty" : "is not an .ingot file", offset: 0,
      advice: "`ingot convert` and `ingot quantize` write .ingot files.")
  }

  private static func checkVersion(
    _ reader: ByteReader, major: UInt16, minor: UInt16
  ) throws(IngotError) {
    guard major == IngotLayout.majorVersion else {
      throw IngotError(
        "ingot.version", "has format version \(major).\(minor); this program reads version 1",
        offset: Field.major,
        advice: major > IngotLayout.majorVersion ? "Use a newer ingot." : nil)
    }
    guard try reader.integer(UInt32.self, at: Field.headerBytes) == UInt32(IngotLayout.headerBytes)
    else {
      throw IngotError("ingot.header", "the header length is not 256", offset: Field.headerBytes)
    }
    let required: UInt64 = try reader.integer(at: Field.requiredFeatures)
    let unknown = required & ~IngotLayout.knownFeatures
    guard unknown == 0 else {
      throw IngotError(
        "ingot.features",
        "needs features this program does not know (bits 0x\(String(unknown, radix: 16)))",
        offset: Field.requiredFeatures, advice: "Use a newer ingot.")
    }
  }

  private static func fileBytes(
    _ reader: ByteReader, _ actualBytes: Int
  ) throws(IngotError) -> Int {
    let stored = try reader.size(at: Field.fileBytes)
    guard stored <= IngotLayout.Limits.fileBytes else {
      throw IngotError(
        "ingot.limit", "claims \(stored) bytes; the limit is 2^60", offset: Field.fileBytes)
    }
    guard stored == actualBytes else {
      throw IngotError(
        "ingot.length", "has \(actualBytes) bytes instead of \(stored)", offset: Field.fileBytes,
        advice: stored > actualBytes ? "The file is cut short. Copy it again." : nil)
    }
    return stored
  }

  private static func count(
    _ reader: ByteReader, at offset: Int, limit: Int, _ what: String
  ) throws(IngotError) -> Int {
    let count = try reader.size(at: offset)
    guard count <= limit else {
      throw IngotError("ingot.limit", "\(count) \(what); the limit is \(limit)", offset: offset)
    }
    return count
  }

  /// Each section starts on the first multiple of 64 after its predecessor, and has the length its
  /// count demands.
  private static func sections(
    _ reader: ByteReader, tensorCount: Int, metadataCount: Int, fileBytes: Int
  ) throws(IngotError) -> [Range<Int>] {
    var result: [Range<Int>] = []
    var end = IngotLayout.headerBytes
    for section in IngotLayout.Section.allCases {
      let field = Field.sections + 16 * section.rawValue
      let start = try reader.size(at: field)
      let length = try reader.size(at: field + 8)
      guard start == IngotLayout.aligned(end, to: IngotLayout.sectionAlignment) else {
        throw IngotError(
          "ingot.section", "section \(section) starts at \(start), not right after byte \(end)",
          offset: field)
      }
      guard start <= fileBytes, length <= fileBytes - start else {
        throw IngotError(
          "ingot.section", "section \(section) (\(length) bytes from \(start)) leaves the file",
          offset: field)
      }
      let demanded: Int? =
        switch section {
        case .tensors: tensorCount * IngotLayout.tensorEntryBytes
        case .nameOrder: tensorCount * 4
        case .metadata: metadataCount * IngotLayout.metadataEntryBytes
        case .names, .values: nil
        }
      guard demanded == nil || demanded == length else {
        throw IngotError(
          "ingot.section", "section \(section) has \(length) bytes instead of \(demanded ?? 0)",
          offset: field + 8)
      }
      end = start + length
      result.append(start..<end)
    }
    return result
  }
}

extension IngotHeader {
  /// Where the metadata values begin: the end of what is copied and verified at opening.
  var valuesStart: Int { sections[IngotLayout.Section.values.rawValue].lowerBound }
}
