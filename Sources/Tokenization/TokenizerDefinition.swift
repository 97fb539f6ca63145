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
  /// The id of each byte.
  let byteTokens: [UInt32]
  /// By rank, lowest first.
  let merges: [Merge]
  /// In ascending order of id; each id and each content once.
  package let addedTokens: [AddedToken]
  /// The Jinja text of the chat template, when the files have one; `ChatTemplate` recognises it.
  package internal(set) var chatTemplateSource: String?
  /// The bytes of the tokens of the base vocabulary, in its order.
  private let texts: ByteStrings
  /// Where in `texts` the token of each id is; −1 where there is none.
  private let places: [Int32]

  /// - Parameters:
  ///   - vocabulary: every single byte must be among its entries.
  ///   - merges: a pair that comes again counts where it comes last, as in the reference.
  ///   - addedTokens: may repeat entries of the vocabulary with the same id.
  /// - Throws: `tokenizer.vocabulary`, `tokenizer.merges`, `tokenizer.addedTokens`.
  init(
    vocabulary: VocabularyEntries, merges: MergePairs, addedTokens: [AddedToken]
  ) throws(IngotError) {
    let index = try Self.index(vocabulary)
    tokenCount = (vocabulary.ids + addedTokens.map(\.id)).max().map { $0 + 1 } ?? 0
    self.merges = try Self.resolve(merges, vocabulary, index)
    self.addedTokens = try Self.checked(addedTokens, vocabulary, index)
    byteTokens = try Self.byteTokens(vocabulary, index)
    var texts = ByteStrings()
    var places = [Int32](repeating: -1, count: tokenCount)
    for (place, id) in vocabulary.ids.enumerated() {
      texts.append(ByteAlphabet.bytes(of: vocabulary.texts[place]))
      places[id] = Int32(place)
    }
    self.texts = texts
    self.places = places
  }

  /// A small vocabulary, written out.
  package init(
    vocabulary: [(entry: [UInt8], id: Int)], merges: [(left: [UInt8], right: [UInt8])],
    addedTokens: [AddedToken]
  ) throws(IngotError) {
    var entries = VocabularyEntries()
    for (entry, id) in vocabulary { entries.append(entry, id: id) }
    var pairs = MergePairs()
    for (left, right) in merges { pairs.append(left, right) }
    try self.init(vocabulary: entries, merges: pairs, addedTokens: addedTokens)
  }

  /// The bytes of all tokens of the base vocabulary.
  var tokenBytes: [UInt8] { texts.bytes }

  /// Where in `tokenBytes` the token of an id is; nil where there is none.
  func token(_ id: Int) -> Range<Int>? {
    places[id] < 0 ? nil : texts.range(Int(places[id]))
  }
}

// MARK: Checks

extension TokenizerDefinition {
  private static func index(_ vocabulary: VocabularyEntries) throws(IngotError) -> VocabularyIndex {
    // Ids are distinct and bounded, so no more entries than this get in.
    var index = VocabularyIndex(
      vocabulary.texts, capacity: min(vocabulary.ids.count, TokenizerLayout.maximumTokens))
    var isUsed: [Bool] = []
    for (place, id) in vocabulary.ids.enumerated() {
      try checkID(id, of: vocabulary.texts[place])
      if id >= isUsed.count {
        isUsed += Array(repeating: false, count: max(id + 1, isUsed.count * 2) - isUsed.count)
      }
      guard !isUsed[id] else {
        throw IngotError("tokenizer.vocabulary", "the id \(id) is given to two tokens")
      }
      isUsed[id] = true
      guard index.insert(place) else {
        throw IngotError(
          "tokenizer.vocabulary", "the token \(shown(vocabulary.texts[place])) comes twice")
      }
    }
    return index
  }

  static func checkID(_ id: Int, of entry: some Collection<UInt8>) throws(IngotError) {
    guard (0..<TokenizerLayout.maximumTokens).contains(id) else {
      throw IngotError(
        "tokenizer.vocabulary",
        "the id \(id) of token \(shown(entry)) is not below \(TokenizerLayout.maximumTokens)")
    }
  }

  private static func resolve(
    _ merges: MergePairs, _ vocabulary: VocabularyEntries, _ index: VocabularyIndex
  ) throws(IngotError) -> [Merge] {
    guard merges.count <= TokenizerLayout.maximumMerges else {
      throw IngotError("tokenizer.merges", "there are \(merges.count) merges, too many")
    }
    let bytes = merges.texts.bytes
    var resolved: [Merge] = []
    resolved.reserveCapacity(merges.count)
    for rank in 0..<merges.count {
      func id(_ entry: Range<Int>) throws(IngotError) -> UInt32 {
        guard let place = index.find(bytes, entry) else {
          let (left, right) = (bytes[merges.left(rank)], bytes[merges.right(rank)])
          throw IngotError(
            "tokenizer.merges",
            "merge \(rank) (\(shown(left)) \(shown(right))) needs the token "
              + "\(shown(bytes[entry])), which the vocabulary lacks")
        }
        return UInt32(vocabulary.ids[place])
      }
      resolved.append(
        Merge(
          left: try id(merges.left(rank)), right: try id(merges.right(rank)),
          merged: try id(merges.merged(rank))))
    }
    return resolved
  }

  private static func byteTokens(
    _ vocabulary: VocabularyEntries, _ index: VocabularyIndex
  ) throws(IngotError) -> [UInt32] {
    var tokens: [UInt32] = []
    for byte in UInt8.min...UInt8.max {
      let entry = ByteAlphabet.entry(of: byte)
      guard let place = index.find(entry, entry.indices) else {
        throw IngotError(
          "tokenizer.vocabulary",
          "the vocabulary has no token for the byte \(byte), so some text could not be encoded",
          advice: "Only byte-level vocabularies with all 256 bytes are supported.")
      }
      tokens.append(UInt32(vocabulary.ids[place]))
    }
    return tokens
  }

  private static func checked(
    _ added: [AddedToken], _ vocabulary: VocabularyEntries, _ index: VocabularyIndex
  ) throws(IngotError) -> [AddedToken] {
    guard added.count <= TokenizerLayout.maximumAddedTokens else {
      throw IngotError("tokenizer.addedTokens", "there are \(added.count) added tokens, too many")
    }
    let vocabularyIDs = Set(vocabulary.ids)
    var seenContents: Set<[UInt8]> = []
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
      guard seenContents.insert(content).inserted else { throw fault("comes twice") }
      guard seenIDs.insert(token.id).inserted else {
        throw fault("has the id \(token.id) of another added token")
      }
      if let place = index.find(content, content.indices) {
        guard vocabulary.ids[place] == token.id else {
          throw fault("has id \(token.id), but \(vocabulary.ids[place]) in the vocabulary")
        }
      } else if vocabularyIDs.contains(token.id) {
        throw fault("has the id \(token.id) of another token")
      }
    }
    return added.sorted { $0.id < $1.id }
  }

  /// A token for a message, cut when it is long.
  static func shown(_ entry: some Collection<UInt8>) -> String {
    let text = String(decoding: entry.prefix(40), as: UTF8.self)
    return "\"\(text)\(entry.count > 40 ? "…" : "")\""
  }
}
