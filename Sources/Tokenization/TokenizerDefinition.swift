package import Bytes

/// A tokenizer as its files define it: checked, but not yet in the form that encodes text.
///
/// Byte-level BPE with the Qwen2 pre-tokenizer and normalisation form C; `load(folder:)` refuses
/// every other kind.
package struct TokenizerDefinition: Sendable {
  /// A token that is looked for in the text itself, before and instead of merging.
  package struct AddedToken: Sendable, Equatable {
    package var id: Int
    package var content: String
    /// Left out by `decode(_:skipSpecial:)`.
    package var isSpecial: Bool
    /// Looked for after normalisation, by its normalised content.
    package var isNormalized: Bool
    /// Takes the white space before it.
    package var stripsLeft: Bool
    /// Takes the white space after it.
    package var stripsRight: Bool
    /// Counts only where no word character touches it.
    package var isSingleWord: Bool

    package init(
      id: Int, content: String, isSpecial: Bool = true, isNormalized: Bool = false,
      stripsLeft: Bool = false, stripsRight: Bool = false, isSingleWord: Bool = false
    ) {
      self.id = id
      self.content = content
      self.isSpecial = isSpecial
      self.isNormalized = isNormalized
      self.stripsLeft = stripsLeft
      self.stripsRight = stripsRight
      self.isSingleWord = isSingleWord
    }

    // Not `==` on the contents, which takes canonically equivalent texts for the same.
    package static func == (left: Self, right: Self) -> Bool {
      left.id == right.id && left.content.utf8.elementsEqual(right.content.utf8)
        && left.isSpecial == right.isSpecial && left.isNormalized == right.isNormalized
        && left.stripsLeft == right.stripsLeft && left.stripsRight == right.stripsRight
        && left.isSingleWord == right.isSingleWord
    }
  }

  /// Two tokens that merge into a third.
  struct Merge: Sendable, Equatable {
    var left: UInt32
    var right: UInt32
    var merged: UInt32
  }

  /// Ids are below this; some may have no token.
  package let tokenCount: Int
  /// The bytes of each token of the base vocabulary, by id; nil where there is none.
  let tokens: [[UInt8]?]
  /// The id of each byte.
  let byteTokens: [UInt32]
  /// By rank, lowest first.
  let merges: [Merge]
  /// In ascending order of id; each id and each content once.
  package let addedTokens: [AddedToken]
  /// The Jinja text of the chat template, when the files have one; `ChatTemplate` recognises it.
  package internal(set) var chatTemplateSource: String?

  /// - Parameters:
  ///   - vocabulary: entries in the byte alphabet (a space is `Ġ`) and their ids. Every single
  ///     byte must be among them.
  ///   - merges: pairs of entries in order of rank. A pair that comes again counts where it comes
  ///     last, as in the reference.
  ///   - addedTokens: may repeat entries of the vocabulary with the same id.
  /// - Throws: `tokenizer.vocabulary`, `tokenizer.merges`, `tokenizer.addedTokens`.
  package init(
    vocabulary: [(entry: [UInt8], id: Int)], merges: [(left: [UInt8], right: [UInt8])],
    addedTokens: [AddedToken]
  ) throws(IngotError) {
    let ids = try Self.index(vocabulary)
    tokenCount = (vocabulary.map(\.id) + addedTokens.map(\.id)).max().map { $0 + 1 } ?? 0
    self.merges = try Self.resolve(merges, ids)
    self.addedTokens = try Self.checked(addedTokens, vocabulary, ids)
    byteTokens = try Self.byteTokens(ids)
    var tokens = [[UInt8]?](repeating: nil, count: tokenCount)
    for (entry, id) in vocabulary { tokens[id] = ByteAlphabet.bytes(of: entry) }
    self.tokens = tokens
  }
}

/// Bytes as a key. Strings would not do: `==` takes canonically equivalent ones for the same.
private struct TokenText: Hashable {
  let bytes: [UInt8]

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// All at once, which is several times faster than an array's own byte by byte.
  func hash(into hasher: inout Hasher) {
    bytes.withUnsafeBytes { hasher.combine(bytes: $0) }
  }
}

// MARK: Checks

extension TokenizerDefinition {
  private static func index(
    _ vocabulary: [(entry: [UInt8], id: Int)]
  ) throws(IngotError) -> [TokenText: UInt32] {
    var ids: [TokenText: UInt32] = Dictionary(minimumCapacity: vocabulary.count)
    var isUsed: [Bool] = []
    for (entry, id) in vocabulary {
      try checkID(id, of: entry)
      if id >= isUsed.count {
        isUsed += Array(repeating: false, count: max(id + 1, isUsed.count * 2) - isUsed.count)
      }
      guard !isUsed[id] else {
        throw IngotError("tokenizer.vocabulary", "the id \(id) is given to two tokens")
      }
      isUsed[id] = true
      guard ids.updateValue(UInt32(id), forKey: TokenText(entry)) == nil else {
        throw IngotError("tokenizer.vocabulary", "the token \(shown(entry)) comes twice")
      }
    }
    return ids
  }

  static func checkID(_ id: Int, of entry: [UInt8]) throws(IngotError) {
    guard (0..<TokenizerLayout.maximumTokens).contains(id) else {
      throw IngotError(
        "tokenizer.vocabulary",
        "the id \(id) of token \(shown(entry)) is not below \(TokenizerLayout.maximumTokens)")
    }
  }

  private static func resolve(
    _ merges: [(left: [UInt8], right: [UInt8])], _ ids: [TokenText: UInt32]
  ) throws(IngotError) -> [Merge] {
    guard merges.count <= TokenizerLayout.maximumMerges else {
      throw IngotError("tokenizer.merges", "there are \(merges.count) merges, too many")
    }
    var resolved: [Merge] = []
    resolved.reserveCapacity(merges.count)
    for (rank, (left, right)) in merges.enumerated() {
      func id(_ entry: [UInt8]) throws(IngotError) -> UInt32 {
        guard let id = ids[TokenText(entry)] else {
          throw IngotError(
            "tokenizer.merges",
            "merge \(rank) (\(shown(left)) \(shown(right))) needs the token \(shown(entry)), "
              + "which the vocabulary lacks")
        }
        return id
      }
      resolved.append(Merge(left: try id(left), right: try id(right), merged: try id(left + right)))
    }
    return resolved
  }

  private static func byteTokens(_ ids: [TokenText: UInt32]) throws(IngotError) -> [UInt32] {
    var tokens: [UInt32] = []
    for byte in UInt8.min...UInt8.max {
      guard let id = ids[TokenText(ByteAlphabet.entry(of: byte))] else {
        throw IngotError(
          "tokenizer.vocabulary",
          "the vocabulary has no token for the byte \(byte), so some text could not be encoded",
          advice: "Only byte-level vocabularies with all 256 bytes are supported.")
      }
      tokens.append(id)
    }
    return tokens
  }

  private static func checked(
    _ added: [AddedToken], _ vocabulary: [(entry: [UInt8], id: Int)], _ ids: [TokenText: UInt32]
  ) throws(IngotError) -> [AddedToken] {
    guard added.count <= TokenizerLayout.maximumAddedTokens else {
      throw IngotError("tokenizer.addedTokens", "there are \(added.count) added tokens, too many")
    }
    let vocabularyIDs = Set(vocabulary.map(\.id))
    var seenContents: Set<TokenText> = []
    var seenIDs: Set<Int> = []
    for token in added {
      let content = Array(token.content.utf8)
      func fault(_ what: String) -> IngotError {
        IngotError("tokenizer.addedTokens", "the added token \(shown(content)) \(what)")
      }
      try checkID(token.id, of: content)
      guard (1...TokenizerLayout.maximumAddedTokenBytes).contains(content.count) else {
        throw fault(
          "has \(content.count) bytes; 1 to \(TokenizerLayout.maximumAddedTokenBytes) can be")
      }
      guard seenContents.insert(TokenText(content)).inserted else { throw fault("comes twice") }
      guard seenIDs.insert(token.id).inserted else {
        throw fault("has the id \(token.id) of another added token")
      }
      if let id = ids[TokenText(content)] {
        guard id == token.id else {
          throw fault("has id \(token.id), but \(id) in the vocabulary")
        }
      } else if vocabularyIDs.contains(token.id) {
        throw fault("has the id \(token.id) of another token")
      }
    }
    return added.sorted { $0.id < $1.id }
  }

  /// A token for a message, cut when it is long.
  static func shown(_ entry: [UInt8]) -> String {
    let text = String(decoding: entry.prefix(40), as: UTF8.self)
    return "\"\(text)\(entry.count > 40 ? "…" : "")\""
  }
}
