internal import Bytes

/// The mapped form of a tokenizer, read in place; nothing is copied or indexed when it opens.
///
/// Only the header is checked at opening. Every number read later is checked where it is used, so
/// a damaged file gives wrong tokens or an error, never an access out of bounds and never a loop
/// without end: chains of slots are followed for at most `maximumProbes` steps.
///
/// Counts no references, so that the loops of encoding do not either: who makes this keeps the bytes
/// alive while it is used.
struct TokenizerTables: Sendable {
  let layout: TokenizerLayout
  // Safe: read-only; alive by the contract above.
  private nonisolated(unsafe) let base: UnsafeRawPointer
  // Where the sections are, computed once.
  private let tokenOffsets: Int
  private let tokenFlags: Int
  private let tokenBytes: Int
  private let mergeTable: Int
  private let pieceTable: Int

  /// - Parameter blob: bytes as `formats/tokenizer.md` describes, at any alignment.
  /// - Throws: `tokenizer.blob`, `tokenizer.version`.
  init(blob: UnsafeRawBufferPointer) throws(IngotError) {
    layout = try TokenizerLayout(header: blob)
    guard let address = blob.baseAddress else { throw TokenizerLayout.damaged("is empty") }
    base = address
    tokenOffsets = layout.tokenOffsets
    tokenFlags = layout.tokenFlags
    tokenBytes = layout.tokenBytes
    mergeTable = layout.mergeTable
    pieceTable = layout.pieceTable
  }

  // Safe (this function and the next): callers stay inside a section; sections were checked to
  // fill the blob exactly.
  @inline(__always)
  private func load32(_ offset: Int) -> UInt32 {
    UInt32(littleEndian: base.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
  }

  @inline(__always)
  private func load8(_ offset: Int) -> UInt8 { base.load(fromByteOffset: offset, as: UInt8.self) }
}

// MARK: Tokens

extension TokenizerTables {
  /// The id of the token that is exactly this byte.
  @inline(__always)
  func token(ofByte byte: UInt8) -> UInt32 {
    let id = load32(layout.byteTokens + Int(byte) * 4)
    return id < layout.tokenCount ? id : 0
  }

  /// The flags of a token; `id` must be below the count.
  func flags(of id: Int) -> UInt8 {
    precondition(id >= 0 && id < layout.tokenCount)
    return load8(tokenFlags + id)
  }

  /// The bytes that a token stands for, none for an id without a token, nil when the table is
  /// damaged; `id` must be below the count.
  @inline(__always)
  func bytes(of id: Int) -> UnsafeRawBufferPointer? {
    precondition(id >= 0 && id < layout.tokenCount)
    let start = Int(load32(tokenOffsets + id * 4))
    let end = Int(load32(tokenOffsets + id * 4 + 4))
    guard start <= end, end <= layout.tokenBytesCount else { return nil }
    return UnsafeRawBufferPointer(start: base + tokenBytes + start, count: end - start)
  }
}

// MARK: Hash tables

extension TokenizerTables {
  /// What becomes of two neighbours: rank in the upper half, merged id in the lower.
  typealias Merge = UInt64
  /// No merge: greater than every merge.
  static let noMerge = Merge.max

  @inline(__always)
  func merge(_ left: UInt32, _ right: UInt32) -> Merge {
    let mask = layout.mergeSlots - 1
    var slot = Int(truncatingIfNeeded: TokenizerLayout.hash(left: left, right: right)) & mask
    for _ in 0..<layout.mergeProbes {
      let entry = mergeTable + slot * TokenizerLayout.mergeEntryBytes
      let key = load32(entry)
      if key == left, load32(entry + 4) == right {
        let rank = load32(entry + 8)
        let merged = load32(entry + 12)
        let isSound = rank < TokenizerLayout.maximumMerges && merged < layout.tokenCount
        return isSound ? UInt64(rank) << 32 | UInt64(merged) : Self.noMerge
      }
      if key == TokenizerLayout.noToken { break }
      slot = (slot + 1) & mask
    }
    return Self.noMerge
  }

  /// The token that a whole piece becomes, when the table says that merging ends in one token.
  @inline(__always)
  func token(ofPiece range: Range<Int>, in text: borrowing Span<UInt8>) -> UInt32? {
    guard range.count <= layout.longestPiece else { return nil }
    let hash = TokenizerLayout.hash(text, range)
    let tag = UInt32(truncatingIfNeeded: hash >> 32)
    let mask = layout.pieceSlots - 1
    var slot = Int(truncatingIfNeeded: hash) & mask
    for _ in 0..<layout.pieceProbes {
      let entry = pieceTable + slot * TokenizerLayout.pieceEntryBytes
      let id = load32(entry + 4)
      if id == TokenizerLayout.noToken { return nil }
      if load32(entry) == tag, id < layout.tokenCount, isEqual(Int(id), range, in: text) {
        return id
      }
      slot = (slot + 1) & mask
    }
    return nil
  }

  @inline(__always)
  private func isEqual(_ id: Int, _ range: Range<Int>, in text: borrowing Span<UInt8>) -> Bool {
    guard let bytes = bytes(of: id), bytes.count == range.count else { return false }
    for index in 0..<bytes.count where bytes[index] != text[range.lowerBound + index] {
      return false
    }
    return true
  }
}

// MARK: Added tokens

extension TokenizerTables {
  struct AddedEntry {
    var id: Int
    var flags: UInt32

    func has(_ flag: UInt32) -> Bool { flags & flag != 0 }
  }

  /// The entry at `index`, or nil when it is damaged.
  func addedEntry(_ index: Int) -> AddedEntry? {
    precondition(index >= 0 && index < layout.addedCount)
    let entry = layout.addedEntries + index * TokenizerLayout.addedEntryBytes
    let id = Int(load32(entry + 8))
    guard id < layout.tokenCount else { return nil }
    return AddedEntry(id: id, flags: load32(entry + 12))
  }

  /// The text an added token is looked for by; empty when the entry is damaged.
  func addedText(_ index: Int) -> UnsafeRawBufferPointer {
    precondition(index >= 0 && index < layout.addedCount)
    let entry = layout.addedEntries + index * TokenizerLayout.addedEntryBytes
    let start = Int(load32(entry))
    let count = Int(load32(entry + 4))
    guard start <= layout.addedBytesCount, count <= layout.addedBytesCount - start,
      count <= TokenizerLayout.maximumAddedTokenBytes
    else { return UnsafeRawBufferPointer(start: nil, count: 0) }
    return UnsafeRawBufferPointer(start: base + layout.addedBytes + start, count: count)
  }
}
