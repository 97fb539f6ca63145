internal import Bytes

/// `tokenizer_config.json` and `special_tokens_map.json`, as far as they matter to ids and text.
struct TokenizerConfig {
  /// The class that reads the files in the reference; nil when the file does not say.
  let tokenizerClass: String?
  /// `added_tokens_decoder`: the added tokens with all their properties.
  let addedTokens: [TokenizerDefinition.AddedToken]
  /// Contents of the tokens that have a special role (end of text, padding, …).
  let specialContents: Set<[UInt8]>
  let chatTemplate: String?

  init(_ bytes: [UInt8], specialTokensMap: [UInt8]?) throws(IngotError) {
    guard let object = try JSONValue(parsing: bytes).object else {
      throw IngotError("tokenizer.config", "is not an object")
    }
    guard object["errors"]?.string ?? "replace" == "replace" else {
      throw IngotError("tokenizer.unsupported", "asks for \"errors\" other than \"replace\"")
    }
    guard object["add_prefix_space"]?.bool != true else {
      throw TokenizerJSON.unsupported("asks for a space before the text (add_prefix_space)")
    }
    tokenizerClass = object["tokenizer_class"]?.string
    addedTokens = try Self.addedTokensDecoder(object["added_tokens_decoder"])
    chatTemplate = try Self.chatTemplate(object["chat_template"])
    var special = Self.roles(object)
    if let specialTokensMap, let map = try JSONValue(parsing: specialTokensMap).object {
      special.formUnion(Self.roles(map))
    }
    specialContents = special
  }

  /// - Throws: `tokenizer.unsupported` when `vocab.json` and `merges.txt` belong to another class,
  ///   which would split text by another pattern.
  func requireQwen2() throws(IngotError) {
    guard let name = tokenizerClass else { return }
    guard ["Qwen2Tokenizer", "Qwen2TokenizerFast"].contains(name) else {
      throw TokenizerJSON.unsupported(
        "has the tokenizer_class \(name); vocab.json and merges.txt are read as a Qwen2Tokenizer's")
    }
  }

  /// `added_tokens.json`: contents and ids. Properties as the reference gives them.
  static func addedTokensFile(
    _ bytes: [UInt8], special: Set<[UInt8]>
  ) throws(IngotError) -> [TokenizerDefinition.AddedToken] {
    var cursor = try JSONCursor(bytes)
    var tokens: [TokenizerDefinition.AddedToken] = []
    let entries = try TokenizerJSON.vocabulary(&cursor)
    for (place, id) in entries.ids.enumerated() {
      let entry = Array(entries.texts[place])
      let isSpecial = special.contains(entry)
      tokens.append(
        TokenizerDefinition.AddedToken(
          id: id, content: String(decoding: entry, as: UTF8.self), isSpecial: isSpecial,
          isNormalized: !isSpecial))
    }
    try cursor.end()
    return tokens
  }

  private static func addedTokensDecoder(
    _ value: JSONValue?
  ) throws(IngotError) -> [TokenizerDefinition.AddedToken] {
    guard let value, !value.isNull else { return [] }
    guard let object = value.object else {
      throw IngotError("tokenizer.config", "added_tokens_decoder is \(value.kindName)")
    }
    var tokens: [TokenizerDefinition.AddedToken] = []
    for member in object {
      guard let id = Int(member.name) else {
        throw IngotError(
          "tokenizer.addedTokens",
          "\(TokenizerDefinition.shown(Array(member.name.utf8))) in added_tokens_decoder is no id")
      }
      tokens.append(try TokenizerJSON.addedToken(member.value, id: id))
    }
    return tokens
  }

  /// A string, or the one named `default` of a list of named templates.
  private static func chatTemplate(_ value: JSONValue?) throws(IngotError) -> String? {
    guard let value, !value.isNull else { return nil }
    if let text = value.string { return text }
    let named = value.array?.compactMap(\.object)
    guard let chosen = named?.first(where: { $0["name"]?.string == "default" }) else {
      throw IngotError("tokenizer.config", "chat_template is neither a text nor has a default one")
    }
    return chosen["template"]?.string
  }

  /// The tokens named by role, either as texts or as objects with a content.
  private static func roles(_ object: JSONObject) -> Set<[UInt8]> {
    let names = [
      "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token",
    ]
    var values = names.compactMap { object[$0] }
    values += object["additional_special_tokens"]?.array ?? []
    values += object["extra_special_tokens"]?.array ?? []
    return Set(
      values.compactMap { value in
        (value.string ?? value.object?["content"]?.string).map { Array($0.utf8) }
      })
  }
}
