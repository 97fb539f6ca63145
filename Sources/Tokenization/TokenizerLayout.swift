internal import Bytes

/// Where everything is in the mapped form of a tokenizer: `formats/tokenizer.md`, version 1.
///
/// The sections follow the header in a fixed order, each padded to 8 bytes, so that eleven numbers
/// of the header place them all and nothing else needs checking when the tokenizer opens.
struct TokenizerLayout: Sendable, Equatable {
  static let magic: [UInt8] = Array("INGOTTOK".utf8)
  static let version: UInt32 = 1
  static let headerBytes = 64
  /// Bounds that keep every size and every time small; all public vocabularies are far below.
  static let maximumTokens = 1 << 20
  static let maximumAddedTokens = 1 << 16
  static let maximumAddedTokenBytes = 1024
  static let maximumSlotsLog2 = 24
  static let maximumProbes = 256
  /// Merge ranks fit 22 bits.
  static let maximumMerges = 1 << 22

  var tokenCount: Int
  var addedCount: Int
  /// How many added tokens, the first ones, are looked for before normalisation.
  var rawAddedCount: Int
  var tokenBytesCount: Int
  var addedBytesCount: Int
  var mergeSlotsLog2: Int
  var pieceSlotsLog2: Int
  /// The longest way from an entry's own slot to where it is, plus one.
  var mergeProbes: Int
  var pieceProbes: Int
  /// Bytes of the longest piece in the piece table.
  var longestPiece: Int

  var mergeSlots: Int { 1 << mergeSlotsLog2 }
  var pieceSlots: Int { 1 << pieceSlotsLog2 }

  static let mergeEntryBytes = 16
  static let pieceEntryBytes = 8
  static let addedEntryBytes = 16

  // Offsets of the sections, in the order of the file.
  var byteTokens: Int { Self.headerBytes }
  var tokenOffsets: Int { byteTokens + 256 * 4 }
  var tokenFlags: Int { tokenOffsets + Self.padded((tokenCount + 1) * 4) }
  var tokenBytes: Int { tokenFlags + Self.padded(tokenCount) }
  var addedEntries: Int { tokenBytes + Self.padded(tokenBytesCount) }
  var addedBytes: Int { addedEntries + addedCount * Self.addedEntryBytes }
  var mergeTable: Int { addedBytes + Self.padded(addedBytesCount) }
  var pieceTable: Int { mergeTable + mergeSlots * Self.mergeEntryBytes }
  var totalBytes: Int { pieceTable + pieceSlots * Self.pieceEntryBytes }

  static func padded(_ count: Int) -> Int { (count + 7) & ~7 }
}

// MARK: Flags

extension TokenizerLayout {
  enum TokenFlag {
    /// The id has a token.
    static let defined: UInt8 = 1
    static let added: UInt8 = 2
    static let special: UInt8 = 4
  }

  enum AddedFlag {
    static let special: UInt32 = 1
    static let stripsLeft: UInt32 = 2
    static let stripsRight: UInt32 = 4
    static let singleWord: UInt32 = 8
  }

  static let noToken = UInt32.max
}

// MARK: Reading and writing the header

extension TokenizerLayout {
  /// Checks everything that later accesses rely on; constant time.
  ///
  /// - Throws: `tokenizer.blob`.
  init(header bytes: UnsafeRawBufferPointer) throws(IngotError) {
    guard bytes.count >= Self.headerBytes, bytes.starts(with: Self.magic) else {
      throw Self.damaged("does not start with a tokenizer's header")
    }
    func field(_ offset: Int) -> Int {
      // Safe: every offset below is inside the 64 bytes checked above.
      Int(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)))
    }
    guard field(8) == Int(Self.version) else {
      throw IngotError(
        "tokenizer.version", "the tokenizer has version \(field(8)); this program reads version 1",
        advice: "Use a newer ingot, or cast the checkpoint again.")
    }
    tokenCount = field(24)
    addedCount = field(28)
    rawAddedCount = field(32)
    tokenBytesCount = field(36)
    addedBytesCount = field(40)
    mergeSlotsLog2 = field(44)
    pieceSlotsLog2 = field(48)
    mergeProbes = field(52)
    pieceProbes = field(56)
    longestPiece = field(60)
    guard field(12) == Self.headerBytes else { throw Self.damaged("has a header of another size") }
    guard (1...Self.maximumTokens).contains(tokenCount),
      addedCount <= Self.maximumAddedTokens, rawAddedCount <= addedCount,
      mergeSlotsLog2 <= Self.maximumSlotsLog2, pieceSlotsLog2 <= Self.maximumSlotsLog2,
      (1...Self.maximumProbes).contains(mergeProbes), (1...Self.maximumProbes).contains(pieceProbes)
    else { throw Self.damaged("has a count out of range") }
    let length = UInt64(
      littleEndian: bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self))
    // Counts are below 2^32, so the sum cannot overflow 64 bits.
    guard length == UInt64(bytes.count), totalBytes == bytes.count else {
      throw Self.damaged("is \(bytes.count) bytes long; its counts ask for \(totalBytes)")
    }
  }

  /// The 64 bytes of the header.
  var header: [UInt8] {
    var bytes = Self.magic
    func append(_ value: some FixedWidthInteger) {
      withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }
    append(Self.version)
    append(UInt32(Self.headerBytes))
    append(UInt64(totalBytes))
    for count in [
      tokenCount, addedCount, rawAddedCount, tokenBytesCount, addedBytesCount, mergeSlotsLog2,
      pieceSlotsLog2, mergeProbes, pieceProbes, longestPiece,
    ] {
      append(UInt32(count))
    }
    return bytes
  }

  static func damaged(_ what: String) -> IngotError {
    IngotError(
      "tokenizer.blob", "the stored tokenizer \(what)",
      advice: "The file is damaged: cast the checkpoint again, or run `ingot check`.")
  }
}

// MARK: Hashing

extension TokenizerLayout {
  /// The hash of a merge's left and right id.
  @inline(__always)
  static func hash(left: UInt32, right: UInt32) -> UInt64 {
    let product = (UInt64(left) << 32 | UInt64(right)) &* 0x9E37_79B9_7F4A_7C15
    return product ^ product >> 32
  }

  /// The state that `mix` starts from: depends on the length in bytes.
  @inline(__always)
  static func hashSeed(count: Int) -> UInt64 { 0x9E37_79B9_7F4A_7C15 ^ UInt64(count) }

  /// Takes eight more bytes, little-endian, the last ones padded with zeros.
  @inline(__always)
  static func mix(_ hash: UInt64, _ word: UInt64) -> UInt64 {
    let product = (hash ^ word) &* 0xD6E8_FEB8_6659_FD93
    return product ^ product >> 32
  }

  /// The hash of some bytes of a text.
  @inline(__always)
  static func hash(_ text: borrowing Span<UInt8>, _ range: Range<Int>) -> UInt64 {
    var hash = hashSeed(count: range.count)
    var position = range.lowerBound
    while position < range.upperBound {
      hash = mix(hash, word(of: text, at: position, limit: range.upperBound))
      position += 8
    }
    return hash
  }

  /// Up to eight bytes from `position` on, as a little-endian number; zeros from `limit` on.
  @inline(__always)
  static func word(of text: borrowing Span<UInt8>, at position: Int, limit: Int) -> UInt64 {
    let count = min(8, limit - position)
    if position + 8 <= text.count {
      // Safe: the eight bytes were just checked to be inside the span; any bits are a UInt64.
      let word = UInt64(
        littleEndian: text.bytes.unsafeLoadUnaligned(fromByteOffset: position, as: UInt64.self))
      return count == 8 ? word : word & (1 << UInt64(8 * count) &- 1)
    }
    var word: UInt64 = 0
    for index in 0..<count { word |= UInt64(text[position + index]) << UInt64(8 * index) }
    return word
  }
}
