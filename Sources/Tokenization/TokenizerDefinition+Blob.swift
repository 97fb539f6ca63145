package import Bytes

extension TokenizerDefinition {
  /// The form that is ready when mapped (`formats/tokenizer.md`); equal definitions give equal
  /// bytes.
  ///
  /// - Throws: `tokenizer.tables` when a hash table cannot be laid out (never seen with a real
  ///   vocabulary).
  package func encodedBlob() throws(IngotError) -> [UInt8] {
    var writer = try TokenizerBlobWriter(self)
    // Which pieces become one token is found by merging, with the merge table just written.
    let pieces = try wholePieces(tables: writer.blob)
    try writer.setPieces(pieces, of: self)
    return writer.blob
  }

  /// The tokens that their own bytes merge into, in ascending order of id.
  private func wholePieces(tables blob: [UInt8]) throws(IngotError) -> [Int] {
    let bytes = OwnedBytes(blob)
    defer { withExtendedLifetime(bytes) {} }
    var merger = BytePairMerger(tables: try TokenizerTables(blob: bytes.bytes))
    var pieces: [Int] = []
    var encoded: [Int] = []
    for id in 0..<tokenCount {
      guard let token = token(id), !token.isEmpty else { continue }
      encoded.removeAll(keepingCapacity: true)
      merger.encode(token, of: tokenBytes.span, into: &encoded)
      if encoded == [id] { pieces.append(id) }
    }
    return pieces
  }
}

/// Bytes in memory that a tokenizer can be opened on.
final class OwnedBytes: Sendable {
  // Safe: written once below, read-only from then on, freed with this object.
  private nonisolated(unsafe) let buffer: UnsafeMutableRawBufferPointer

  init(_ bytes: [UInt8]) {
    buffer = .allocate(byteCount: bytes.count, alignment: 8)
    buffer.copyBytes(from: bytes)
  }

  deinit { buffer.deallocate() }

  /// Valid while this object is alive.
  var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(buffer) }
}

/// Lays out the sections of the mapped form.
private struct TokenizerBlobWriter {
  private var layout: TokenizerLayout
  /// Everything between the header and the piece table.
  private var sections: [UInt8] = []
  private var pieces: [UInt32] = [0, TokenizerLayout.noToken]

  /// Everything but the pieces: their table has one free slot at first.
  init(_ definition: TokenizerDefinition) throws(IngotError) {
    let text = TokenSections(definition)
    let added = AddedSection(definition.addedTokens)
    let merges = try Self.mergeTable(definition.merges)
    layout = TokenizerLayout(
      tokenCount: definition.tokenCount, addedCount: definition.addedTokens.count,
      rawAddedCount: added.rawCount, tokenBytesCount: text.bytes.count,
      addedBytesCount: added.bytes.count, mergeSlotsLog2: merges.slotsLog2, pieceSlotsLog2: 0,
      mergeProbes: merges.probes, pieceProbes: 1, longestPiece: 0)
    append(numbers: definition.byteTokens)
    append(numbers: text.offsets)
    append(padded: text.flags)
    append(padded: text.bytes)
    append(numbers: added.entries)
    append(padded: added.bytes)
    append(numbers: merges.words)
  }

  private mutating func append(padded bytes: [UInt8]) {
    sections += bytes
    sections += Array(repeating: 0, count: TokenizerLayout.padded(bytes.count) - bytes.count)
  }

  private mutating func append(numbers: [UInt32]) { append(padded: littleEndian(numbers)) }

  private func littleEndian(_ numbers: [UInt32]) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(numbers.count * 4)
    for number in numbers {
      withUnsafeBytes(of: number.littleEndian) { bytes.append(contentsOf: $0) }
    }
    return bytes
  }

  var blob: [UInt8] { layout.header + sections + littleEndian(pieces) }

  private static func mergeTable(
    _ merges: [TokenizerDefinition.Merge]
  ) throws(IngotError) -> HashTable {
    // A pair that comes again counts where it comes last.
    var ranks: [UInt64: Int] = Dictionary(minimumCapacity: merges.count)
    for (rank, merge) in merges.enumerated() {
      ranks[UInt64(merge.left) << 32 | UInt64(merge.right)] = rank
    }
    var entries = HashTable.Entries(free: [TokenizerLayout.noToken, 0, 0, 0])
    for (rank, merge) in merges.enumerated()
    where ranks[UInt64(merge.left) << 32 | UInt64(merge.right)] == rank {
      let hash = TokenizerLayout.hash(left: merge.left, right: merge.right)
      entries.append(hash: hash, merge.left, merge.right, UInt32(rank), merge.merged)
    }
    return try HashTable(entries)
  }

  mutating func setPieces(
    _ ids: [Int], of definition: TokenizerDefinition
  ) throws(IngotError) {
    var entries = HashTable.Entries(free: [0, TokenizerLayout.noToken])
    for id in ids {
      guard let token = definition.token(id) else { continue }
      let hash = TokenizerLayout.hash(definition.tokenBytes.span, token)
      entries.append(hash: hash, UInt32(truncatingIfNeeded: hash >> 32), UInt32(id))
      layout.longestPiece = max(layout.longestPiece, token.count)
    }
    let table = try HashTable(entries)
    pieces = table.words
    layout.pieceSlotsLog2 = table.slotsLog2
    layout.pieceProbes = table.probes
  }
}

/// Offsets, flags and bytes of all tokens.
private struct TokenSections {
  var offsets: [UInt32] = [0]
  var flags: [UInt8] = []
  var bytes: [UInt8] = []

  init(_ definition: TokenizerDefinition) {
    var addedByID: [Int: TokenizerDefinition.AddedToken] = [:]
    for token in definition.addedTokens { addedByID[token.id] = token }
    for id in 0..<definition.tokenCount {
      let token = definition.token(id).map { definition.tokenBytes[$0] }
      var flag: UInt8 = token == nil ? 0 : TokenizerLayout.TokenFlag.defined
      if let added = addedByID[id] {
        flag |= TokenizerLayout.TokenFlag.defined | TokenizerLayout.TokenFlag.added
        if added.isSpecial { flag |= TokenizerLayout.TokenFlag.special }
        bytes += token ?? ByteAlphabet.bytes(of: added.searchedText(Normalizer())[...])[...]
      } else if let token {
        bytes += token
      }
      flags.append(flag)
      offsets.append(UInt32(bytes.count))
    }
  }
}

extension TokenizerDefinition.AddedToken {
  /// The text it is looked for by, and decodes to.
  fileprivate func searchedText(_ normalizer: Normalizer) -> [UInt8] {
    let content = Array(content.utf8)
    return isNormalized ? normalizer.normalized(content.span) ?? content : content
  }
}

/// Added tokens: those looked for in the raw text, then the normalised ones, each sorted by bytes.
private struct AddedSection {
  var rawCount: Int
  var entries: [UInt32] = []
  var bytes: [UInt8] = []

  init(_ tokens: [TokenizerDefinition.AddedToken]) {
    rawCount = tokens.count { !$0.isNormalized }
    let normalizer = Normalizer()
    for isNormalized in [false, true] {
      let group = tokens.filter { $0.isNormalized == isNormalized }.map { token in
        (token: token, text: token.searchedText(normalizer))
      }
      // Normalisation can make two contents equal; then the lower id comes first.
      for (token, text) in group.sorted(by: { left, right in
        left.text == right.text
          ? left.token.id < right.token.id : left.text.lexicographicallyPrecedes(right.text)
      }) {
        entries += [UInt32(bytes.count), UInt32(text.count)]
        entries += [UInt32(token.id), Self.flags(of: token)]
        bytes += text
      }
    }
  }

  private static func flags(of token: TokenizerDefinition.AddedToken) -> UInt32 {
    typealias Flag = TokenizerLayout.AddedFlag
    return (token.isSpecial ? Flag.special : 0) | (token.stripsLeft ? Flag.stripsLeft : 0)
      | (token.stripsRight ? Flag.stripsRight : 0) | (token.isSingleWord ? Flag.singleWord : 0)
  }
}

/// Open addressing with linear probing; entries go in in the order given.
private struct HashTable {
  /// Entries to be laid out: a hash and `width` numbers each.
  struct Entries {
    let width: Int
    /// What a free slot holds.
    let free: [UInt32]
    private(set) var hashes: [UInt64] = []
    private(set) var words: [UInt32] = []

    init(free: [UInt32]) {
      width = free.count
      self.free = free
    }

    mutating func append(hash: UInt64, _ words: UInt32...) {
      precondition(words.count == width)
      hashes.append(hash)
      self.words += words
    }
  }

  let slotsLog2: Int
  /// The slots as they are written.
  private(set) var words: [UInt32]
  /// The longest way from an entry's own slot to its place, plus one.
  private(set) var probes = 1

  /// The smallest table at most two thirds full whose ways are short enough.
  init(_ entries: Entries) throws(IngotError) {
    var log2 = 0
    while (1 << log2) * 2 < entries.hashes.count * 3 { log2 += 1 }
    while log2 <= TokenizerLayout.maximumSlotsLog2 {
      if let table = HashTable(entries, slotsLog2: log2) {
        self = table
        return
      }
      log2 += 1
    }
    throw IngotError("tokenizer.tables", "the vocabulary cannot be laid out as a hash table")
  }

  /// Nil when an entry would end up too far from its own slot.
  private init?(_ entries: Entries, slotsLog2: Int) {
    self.slotsLog2 = slotsLog2
    let width = entries.width
    let mask = 1 << slotsLog2 - 1
    var isTaken = [Bool](repeating: false, count: mask + 1)
    words = []
    words.reserveCapacity((mask + 1) * width)
    for _ in 0...mask { words += entries.free }
    for (index, hash) in entries.hashes.enumerated() {
      var slot = Int(truncatingIfNeeded: hash) & mask
      var probe = 1
      while isTaken[slot] {
        slot = (slot + 1) & mask
        probe += 1
        if probe > TokenizerLayout.maximumProbes { return nil }
      }
      isTaken[slot] = true
      probes = max(probes, probe)
      for word in 0..<width { words[slot * width + word] = entries.words[index * width + word] }
    }
  }
}
