public import Bytes

/// A packed `.ingot` file for transport: lossless, compressed block by block, so that any part of
/// it can be read without the rest. See `formats/ingot.md`, section 15.
public final class IngotArchive: Sendable {
  /// Length of the file it unpacks to.
  public let unpackedBytes: Int
  /// Length of the archive.
  public let packedBytes: Int
  /// In file order.
  let blocks: [Block]
  let reader: FileReader

  static let magic: [UInt8] = [0x89, 0x49, 0x4E, 0x47, 0x4F, 0x54, 0x50, 0x0A]
  static let headerBytes = 128
  static let entryBytes = 64
  /// Unpacked bytes of a block, at most.
  static let blockBytes = 1 << 20

  /// A piece of the file.
  struct Block: Sendable {
    /// Where its unpacked bytes lie in the file.
    let range: Range<Int>
    /// Where its stored bytes lie in the archive.
    let stored: Range<Int>
    /// Bytes of the numbers that were split into planes; 1 for none.
    let planes: Int
    let isCompressed: Bool
    /// Of the unpacked bytes.
    let checksum: Checksum
  }

  /// Opens an archive and checks its table.
  ///
  /// - Throws: `file.*`; `archive.magic`, `archive.version`, `archive.length`, `archive.checksum`,
  ///   `archive.table` for what breaks the format.
  public init(path: String) throws(IngotError) {
    reader = try FileReader(path: path)
    packedBytes = reader.count
    do throws(IngotError) {
      (unpackedBytes, blocks) = try Self.table(reader)
    } catch {
      throw error.inFile(path)
    }
  }

  private static func table(_ file: FileReader) throws(IngotError) -> (Int, [Block]) {
    guard file.count >= headerBytes else {
      throw IngotError("archive.magic", "is not a packed .ingot file")
    }
    let header = try file.bytes(at: 0, count: headerBytes)
    let (unpacked, count, offset) = try header.withRawBytes { (bytes) throws(IngotError) in
      try fields(ByteReader(bytes), fileBytes: file.count)
    }
    let table = try file.bytes(at: offset, count: count * entryBytes)
    let expected = Checksum(of: Array(header[..<48]) + table)
    guard expected.bytes == Array(header[48..<80]) else {
      throw IngotError(
        "archive.checksum", "the table of blocks is damaged", offset: 48,
        advice: "Transfer the archive again.")
    }
    let blocks = try table.withRawBytes { (bytes) throws(IngotError) in
      try decode(ByteReader(bytes, baseOffset: offset), count: count, tableOffset: offset)
    }
    guard blocks.last?.range.upperBound ?? 0 == unpacked else {
      throw IngotError("archive.table", "the blocks do not add up to \(unpacked) bytes")
    }
    return (unpacked, blocks)
  }

  private static func fields(
    _ reader: ByteReader, fileBytes: Int
  ) throws(IngotError) -> (unpacked: Int, count: Int, offset: Int) {
    guard try reader.slice(at: 0, count: 8).elementsEqual(magic) else {
      throw IngotError("archive.magic", "is not a packed .ingot file", offset: 0)
    }
    guard try reader.integer(UInt32.self, at: 8) == IngotLayout.endiannessMarker,
      try reader.integer(UInt16.self, at: 12) == 1
    else {
      throw IngotError(
        "archive.version", "has a byte order or version this program does not read", offset: 8)
    }
    let unpacked = try reader.size(at: 16)
    let count = try reader.size(at: 24)
    let offset = try reader.size(at: 32)
    guard try reader.size(at: 40) == fileBytes else {
      throw IngotError(
        "archive.length", "has \(fileBytes) bytes instead of \(try reader.size(at: 40))",
        offset: 40, advice: "Transfer the archive again.")
    }
    guard offset >= headerBytes, offset <= fileBytes, count <= fileBytes / entryBytes,
      fileBytes - offset == count * entryBytes, try reader.isZero(at: 80, count: 48)
    else {
      throw IngotError("archive.table", "the table of blocks is not where it must be", offset: 24)
    }
    return (unpacked, count, offset)
  }

  /// Blocks lie in order and without gaps, in the file and in the archive.
  private static func decode(
    _ reader: ByteReader, count: Int, tableOffset: Int
  ) throws(IngotError) -> [Block] {
    var blocks: [Block] = []
    blocks.reserveCapacity(count)
    var (start, storedStart) = (0, headerBytes)
    for index in 0..<count {
      let entry = index * entryBytes
      let stored = Int(try reader.integer(UInt32.self, at: entry + 8))
      let length = Int(try reader.integer(UInt32.self, at: entry + 12))
      let planes = Int(try reader.integer(UInt8.self, at: entry + 16))
      let encoding: UInt8 = try reader.integer(at: entry + 17)
      let isSound =
        switch encoding {
        case 0: stored == length && planes == 1
        case 1: stored < length && [1, 2, 4, 8].contains(planes) && length % planes == 0
        default: false
        }
      guard isSound, try reader.size(at: entry) == storedStart,
        (1...blockBytes).contains(length), stored > 0, stored <= tableOffset - storedStart,
        length <= IngotLayout.Limits.fileBytes - start,
        try reader.isZero(at: entry + 18, count: 14)
      else {
        throw IngotError(
          "archive.table", "block \(index) is not well-formed", offset: reader.baseOffset + entry)
      }
      blocks.append(
        Block(
          range: start..<start + length, stored: storedStart..<storedStart + stored,
          planes: planes, isCompressed: encoding == 1,
          checksum: Checksum(
            bytes: try reader.slice(at: entry + 32, count: Checksum.byteCount))))
      start += length
      storedStart += stored
    }
    guard storedStart == tableOffset else {
      throw IngotError("archive.table", "bytes of the archive belong to no block")
    }
    return blocks
  }
}
