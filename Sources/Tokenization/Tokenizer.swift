public import Bytes

/// Text to token ids and back: byte-level BPE as Qwen2, Qwen3 and ReFusion use it.
///
/// ```swift
/// if let tokenizer = try Tokenizer(folder: "checkpoint") {
///   let ids = tokenizer.encode("<|im_start|>user\nHi<|im_end|>\n")
///   let text = try tokenizer.decode(ids)
/// }
/// ```
///
/// Ids equal those of the Hugging Face tokenizers library. Encoding adds no tokens of its own: this
/// family's post-processor has none. A tokenizer is opened on its mapped form in constant time and
/// may be used from any number of threads.
public final class Tokenizer: Sendable {
  let tables: TokenizerTables
  /// Keeps the bytes of `tables` alive.
  private let owner: any AnyObject & Sendable
  private let normalizer = Normalizer()
  private let preTokenizer = PreTokenizer()
  private let rawMatcher: AddedTokenMatcher
  private let normalizedMatcher: AddedTokenMatcher

  /// Opens the mapped form in place (`formats/tokenizer.md`).
  ///
  /// - Parameters:
  ///   - blob: at any alignment; must not change while the tokenizer lives.
  ///   - owner: keeps the bytes mapped.
  /// - Throws: `tokenizer.blob` when the structure is damaged, `tokenizer.version`.
  /// - Complexity: constant in the vocabulary, linear in the added tokens.
  public init(
    blob: UnsafeRawBufferPointer, owner: any AnyObject & Sendable
  ) throws(IngotError) {
    tables = try TokenizerTables(blob: blob)
    self.owner = owner
    let rawCount = tables.layout.rawAddedCount
    rawMatcher = AddedTokenMatcher(tables: tables, entries: 0..<rawCount)
    normalizedMatcher = AddedTokenMatcher(
      tables: tables, entries: rawCount..<tables.layout.addedCount)
  }

  /// Opens the mapped form from a copy of its bytes.
  public convenience init(blob: [UInt8]) throws(IngotError) {
    let bytes = OwnedBytes(blob)
    try self.init(blob: bytes.bytes, owner: bytes)
  }

  /// Reads the tokenizer files of a Hugging Face checkpoint folder; nil when it has none.
  ///
  /// - Throws: `tokenizer.unsupported` and the others that say what is wrong with the files.
  public convenience init?(folder: String) throws(IngotError) {
    guard let definition = try TokenizerDefinition.load(folder: folder) else { return nil }
    try self.init(blob: definition.encodedBlob())
  }

  /// Ids are below this.
  public var count: Int { tables.layout.tokenCount }

  /// Whether the id stands for a special token such as `<|im_end|>`; false for unknown ids.
  public func isSpecial(_ id: Int) -> Bool {
    (0..<count).contains(id) && tables.flags(of: id) & TokenizerLayout.TokenFlag.special != 0
  }

  /// The id of an added token such as `<|mask|>`, or nil.
  public func id(ofAddedToken content: String) -> Int? {
    let bytes = Array(content.utf8)
    for index in 0..<tables.layout.addedCount where tables.addedText(index).elementsEqual(bytes) {
      return tables.addedEntry(index)?.id
    }
    return nil
  }
}

// MARK: Encoding

extension Tokenizer {
  /// The token ids of a text.
  ///
  /// - Parameters:
  ///   - text: any text, normalised as the vocabulary wants it.
  ///   - matchingAddedTokens: whether `<|im_end|>` and the like in the text become their one token
  ///     (as in the reference); false takes them for ordinary text, which is what a text from a
  ///     stranger should be.
  /// - Complexity: linear in the text, but n log n in the length of a word.
  public func encode(_ text: String, matchingAddedTokens: Bool = true) -> [Int] {
    var text = text
    return text.withUTF8 { buffer in
      // Safe: the buffer lives until this closure returns.
      let bytes = buffer.span
      var encoding = Encoding(self)
      encoding.reserve(forTextOf: bytes.count)
      guard matchingAddedTokens else {
        encoding.appendNormalizing(bytes, matcher: nil)
        return encoding.ids
      }
      encoding.append(bytes, splitBy: rawMatcher) { part, encoding in
        encoding.appendNormalizing(part, matcher: normalizedMatcher)
      }
      return encoding.ids
    }
  }

  /// One run of `encode`: what it has found so far, and scratch memory.
  private struct Encoding {
    var ids: [Int] = []
    var merger: BytePairMerger
    let tokenizer: Tokenizer

    init(_ tokenizer: Tokenizer) {
      self.tokenizer = tokenizer
      merger = BytePairMerger(tables: tokenizer.tables)
    }

    /// English has about 4 bytes a token; growing later costs little.
    mutating func reserve(forTextOf count: Int) { ids.reserveCapacity(count / 4 + 8) }

    /// Appends the matches and, in between, what `body` makes of the rest.
    mutating func append(
      _ text: borrowing Span<UInt8>, splitBy matcher: AddedTokenMatcher,
      _ body: (borrowing Span<UInt8>, inout Encoding) -> Void
    ) {
      var position = 0
      for match in matcher.matches(in: text) {
        if position < match.range.lowerBound {
          body(text.extracting(position..<match.range.lowerBound), &self)
        }
        ids.append(match.id)
        position = match.range.upperBound
      }
      if position < text.count { body(text.extracting(position..<text.count), &self) }
    }

    mutating func appendNormalizing(
      _ text: borrowing Span<UInt8>, matcher: AddedTokenMatcher?
    ) {
      if let normalized = tokenizer.normalizer.normalized(text) {
        appendNormalized(normalized.span, matcher: matcher)
      } else {
        appendNormalized(text, matcher: matcher)
      }
    }

    private mutating func appendNormalized(
      _ text: borrowing Span<UInt8>, matcher: AddedTokenMatcher?
    ) {
      guard let matcher, !matcher.isEmpty else { return appendPieces(of: text) }
      append(text, splitBy: matcher) { part, encoding in encoding.appendPieces(of: part) }
    }

    private mutating func appendPieces(of text: borrowing Span<UInt8>) {
      var position = 0
      while position < text.count {
        let end = tokenizer.preTokenizer.end(ofPieceAt: position, in: text)
        if let id = tokenizer.tables.token(ofPiece: position..<end, in: text) {
          ids.append(Int(id))
        } else {
          merger.encode(position..<end, of: text, into: &ids)
        }
        position = end
      }
    }
  }
}

// MARK: Decoding

extension Tokenizer {
  /// The text of some tokens; bytes that are not UTF-8 become U+FFFD, as in the reference.
  ///
  /// Ids without a token stand for nothing.
  ///
  /// - Parameters:
  ///   - ids: what `encode` or a model gave.
  ///   - skipSpecial: whether special tokens such as `<|im_end|>` are left out.
  /// - Throws: `tokenizer.id` for an id outside `0..<count`.
  public func decode(
    _ ids: some Sequence<Int>, skipSpecial: Bool = false
  ) throws(IngotError) -> String {
    var bytes: [UInt8] = []
    for id in ids {
      try appendBytes(of: id, skipSpecial: skipSpecial, to: &bytes)
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Appends the bytes of one token.
  func appendBytes(
    of id: Int, skipSpecial: Bool, to output: inout [UInt8]
  ) throws(IngotError) {
    guard (0..<count).contains(id) else {
      throw IngotError(
        "tokenizer.id", "there is no token \(id); ids go from 0 to \(count - 1)",
        advice: "Were these ids made with another tokenizer?")
    }
    if skipSpecial, isSpecial(id) { return }
    guard let bytes = tables.bytes(of: id) else {
      throw TokenizerLayout.damaged("has bad offsets for token \(id)")
    }
    output.append(contentsOf: bytes)
  }
}
