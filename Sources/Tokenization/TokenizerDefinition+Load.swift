package import Bytes
internal import Foundation

extension TokenizerDefinition {
  /// Reads the tokenizer of a Hugging Face checkpoint folder; nil when it has none.
  ///
  /// `tokenizer.json` governs where it is present, as in the reference; else `vocab.json` and
  /// `merges.txt` do, with `added_tokens.json`, whose Qwen2 pipeline is implied. In both cases
  /// `tokenizer_config.json` adds tokens that the other files lack (`added_tokens_decoder`), and
  /// the chat template comes from `chat_template.jinja`, else from `tokenizer_config.json`.
  ///
  /// - Throws: `tokenizer.unsupported` for any other kind of tokenizer, `tokenizer.missing` for a
  ///   file without its companion, `tokenizer.vocabulary`, `tokenizer.merges`,
  ///   `tokenizer.addedTokens`, `tokenizer.config`, `tokenizer.size`, and the `json.…` errors; all
  ///   with the path.
  package static func load(folder: String) throws(IngotError) -> TokenizerDefinition? {
    let folder = TokenizerFolder(folder)
    let config = try folder.config()
    var definition: TokenizerDefinition
    if let bytes = try folder.read("tokenizer.json") {
      definition = try folder.naming("tokenizer.json") { () throws(IngotError) in
        var parts = try TokenizerJSON.parse(bytes)
        try parts.addedTokens.merge(config?.addedTokens ?? [])
        return try TokenizerDefinition(parts)
      }
    } else if let parts = try folder.slowFiles(config) {
      definition = try folder.naming("vocab.json") { () throws(IngotError) in
        try TokenizerDefinition(parts)
      }
    } else {
      return nil
    }
    definition.chatTemplateSource = try folder.chatTemplate() ?? config?.chatTemplate
    return definition
  }

  private init(_ parts: TokenizerParts) throws(IngotError) {
    try self.init(
      vocabulary: parts.vocabulary, merges: parts.merges, addedTokens: parts.addedTokens.tokens)
  }
}

/// What the files say, before it is checked as a whole.
struct TokenizerParts {
  var vocabulary = VocabularyEntries()
  var merges = MergePairs()
  var addedTokens = AddedTokenList()
}

/// Added tokens from several files.
struct AddedTokenList {
  private(set) var tokens: [TokenizerDefinition.AddedToken] = []

  mutating func append(_ token: TokenizerDefinition.AddedToken) { tokens.append(token) }

  /// Takes the tokens that are new.
  ///
  /// - Throws: `tokenizer.addedTokens` when an id has different contents.
  mutating func merge(_ others: [TokenizerDefinition.AddedToken]) throws(IngotError) {
    var contents: [Int: String] = [:]
    for token in tokens { contents[token.id] = token.content }
    for token in others {
      guard let content = contents[token.id] else {
        contents[token.id] = token.content
        tokens.append(token)
        continue
      }
      guard content.utf8.elementsEqual(token.content.utf8) else {
        let found = TokenizerDefinition.shown(Array(token.content.utf8))
        throw IngotError(
          "tokenizer.addedTokens",
          "id \(token.id) is \(TokenizerDefinition.shown(Array(content.utf8))) here and \(found) "
            + "in another file of the folder")
      }
    }
  }
}

/// The files of one folder.
struct TokenizerFolder {
  /// Far above any real tokenizer file (tokenizer.json of 262,144 tokens: 33 MB).
  static let maximumFileBytes = 256 << 20

  private let url: URL

  init(_ path: String) { url = URL(fileURLWithPath: path, isDirectory: true) }

  /// The bytes of a file, or nil when the folder has no such entry.
  func read(_ name: String) throws(IngotError) -> [UInt8]? {
    let path = self.path(name)
    guard FileManager.default.fileExists(atPath: path) else { return nil }
    // Read, not mapped: a file that shrinks meanwhile is an error then, not a signal.
    let file = try FileReader(path: path)
    guard file.count <= Self.maximumFileBytes else {
      throw IngotError(
        "tokenizer.size", "has \(file.count) bytes; at most \(Self.maximumFileBytes) are read",
        path: path)
    }
    return try file.bytes(at: 0, count: file.count)
  }

  func path(_ name: String) -> String { url.appendingPathComponent(name).path }

  /// Adds the file's path to errors.
  func naming<Result>(
    _ name: String, _ body: () throws(IngotError) -> Result
  ) throws(IngotError) -> Result {
    do throws(IngotError) { return try body() } catch { throw error.inFile(path(name)) }
  }

  func config() throws(IngotError) -> TokenizerConfig? {
    guard let bytes = try read("tokenizer_config.json") else { return nil }
    let special = try read("special_tokens_map.json")
    return try naming("tokenizer_config.json") { () throws(IngotError) in
      try TokenizerConfig(bytes, specialTokensMap: special)
    }
  }

  func chatTemplate() throws(IngotError) -> String? {
    guard let bytes = try read("chat_template.jinja") else { return nil }
    guard UTF8Check.firstInvalidOffset(in: bytes) == nil else {
      throw IngotError(
        "tokenizer.config", "is not well-formed UTF-8", path: path("chat_template.jinja"))
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// `vocab.json`, `merges.txt` and `added_tokens.json`; nil when neither of the first two is there.
  func slowFiles(_ config: TokenizerConfig?) throws(IngotError) -> TokenizerParts? {
    let vocabulary = try read("vocab.json")
    let merges = try read("merges.txt")
    guard vocabulary != nil || merges != nil else { return nil }
    guard let vocabulary, let merges else {
      let missing = vocabulary == nil ? "vocab.json" : "merges.txt"
      throw IngotError(
        "tokenizer.missing", "is missing, though the other half of the vocabulary is there",
        path: path(missing), advice: "Fetch the checkpoint's remaining tokenizer files.")
    }
    try naming("tokenizer_config.json") { () throws(IngotError) in try config?.requireQwen2() }
    var parts = TokenizerParts()
    parts.vocabulary = try naming("vocab.json") { () throws(IngotError) in
      var cursor = try JSONCursor(vocabulary)
      let entries = try TokenizerJSON.vocabulary(&cursor)
      try cursor.end()
      return entries
    }
    parts.merges = try naming("merges.txt") { () throws(IngotError) in
      try MergesFile.parse(merges)
    }
    try parts.addedTokens.merge(config?.addedTokens ?? [])
    if let bytes = try read("added_tokens.json") {
      try naming("added_tokens.json") { () throws(IngotError) in
        let special = config?.specialContents ?? []
        try parts.addedTokens.merge(TokenizerConfig.addedTokensFile(bytes, special: special))
      }
    }
    return parts
  }
}

/// `merges.txt`: a version line, then one pair a line.
enum MergesFile {
  static func parse(_ bytes: [UInt8]) throws(IngotError) -> MergePairs {
    if let bad = UTF8Check.firstInvalidOffset(in: bytes) {
      throw IngotError("tokenizer.merges", "is not well-formed UTF-8", offset: bad)
    }
    var merges = MergePairs()
    var start = 0
    while start < bytes.count {
      let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) ?? bytes.count
      var line = bytes[start..<end]
      if line.last == UInt8(ascii: "\r") { line.removeLast() }
      let isHeader = start == 0 && line.starts(with: "#version".utf8)
      if !line.isEmpty, !isHeader {
        guard let pair = pair(line) else {
          throw IngotError(
            "tokenizer.merges", "a line is not two tokens and one space", offset: start)
        }
        merges.append(pair.left, pair.right)
      }
      start = end + 1
    }
    return merges
  }

  /// Both halves of `left right`, or nil when there is not exactly one space between two texts.
  static func pair(
    _ line: ArraySlice<UInt8>
  ) -> (left: ArraySlice<UInt8>, right: ArraySlice<UInt8>)? {
    let space = UInt8(ascii: " ")
    guard let middle = line.firstIndex(of: space) else { return nil }
    let (left, right) = (line[..<middle], line[(middle + 1)...])
    guard !left.isEmpty, !right.isEmpty, !right.contains(space) else { return nil }
    return (left, right)
  }
}
