internal import Bytes

/// `tokenizer.json` of the Hugging Face tokenizers library, as far as this family uses it.
///
/// Members that cannot change ids or text here (`truncation`, `padding`, offsets trimming) are
/// ignored; everything else must be what Qwen2 and Qwen3 have.
enum TokenizerJSON {
  static func parse(_ bytes: [UInt8]) throws(IngotError) -> TokenizerParts {
    var cursor = try JSONCursor(bytes)
    var parts = TokenizerParts()
    var seen: Set<String> = []
    try cursor.object { (name, cursor) throws(IngotError) in
      seen.insert(name)
      switch name {
      case "model": try model(&cursor, into: &parts)
      case "added_tokens":
        try cursor.array { (_, cursor) throws(IngotError) in
          parts.addedTokens.append(try addedToken(try cursor.value(), id: nil))
        }
      case "normalizer": try checkNormalizer(try cursor.value())
      case "pre_tokenizer": try checkPreTokenizer(try cursor.value())
      case "post_processor": try checkPostProcessor(try cursor.value())
      case "decoder": try checkDecoder(try cursor.value())
      default: try cursor.skip()
      }
    }
    try cursor.end()
    for name in ["model", "normalizer", "pre_tokenizer", "decoder"] where !seen.contains(name) {
      throw unsupported("has no \"\(name)\"")
    }
    return parts
  }

  static func unsupported(_ what: String) -> IngotError {
    IngotError(
      "tokenizer.unsupported", what,
      advice: "Supported: byte-level BPE with NFC and the Qwen2 pre-tokenizer (Qwen2, Qwen3, "
        + "ReFusion).")
  }

  /// One token of `added_tokens`, or of `added_tokens_decoder`, where the id is the member's name.
  static func addedToken(
    _ value: JSONValue, id: Int?
  ) throws(IngotError) -> TokenizerDefinition.AddedToken {
    guard let object = value.object, let content = object["content"]?.string,
      let id = id ?? object["id"]?.integer
    else {
      throw IngotError(
        "tokenizer.addedTokens", "an added token is not an object with an id and a content")
    }
    func flag(_ name: String, default fallback: Bool) throws(IngotError) -> Bool {
      guard let value = object[name] else { return fallback }
      guard let flag = value.bool else {
        throw IngotError(
          "tokenizer.addedTokens", "\"\(name)\" of an added token is \(value.kindName)")
      }
      return flag
    }
    let isSpecial = try flag("special", default: false)
    return TokenizerDefinition.AddedToken(
      id: id, content: content, isSpecial: isSpecial,
      isNormalized: try flag("normalized", default: !isSpecial),
      stripsLeft: try flag("lstrip", default: false),
      stripsRight: try flag("rstrip", default: false),
      isSingleWord: try flag("single_word", default: false))
  }
}

// MARK: The model

extension TokenizerJSON {
  private static func model(
    _ cursor: inout JSONCursor, into parts: inout TokenizerParts
  ) throws(IngotError) {
    var seen: Set<String> = []
    try cursor.object { (name, cursor) throws(IngotError) in
      seen.insert(name)
      switch name {
      case "vocab" where try cursor.peek() == .object:
        parts.vocabulary = try vocabulary(&cursor)
      case "vocab": throw unsupported("its vocabulary is not an object: the model is not BPE")
      case "merges": parts.merges = try merges(&cursor)
      default: try checkModelMember(name, try cursor.value())
      }
    }
    guard seen.contains("vocab"), seen.contains("merges") else {
      throw unsupported("its model has no vocabulary or no merges: it is not BPE")
    }
  }

  /// Members of a BPE model that would change ids if they were not what they are here.
  private static func checkModelMember(_ name: String, _ value: JSONValue) throws(IngotError) {
    let isUsual: Bool
    switch name {
    case "type": isUsual = value.string == "BPE"
    case "dropout": isUsual = value.isNull || value.number == 0
    case "continuing_subword_prefix", "end_of_word_suffix":
      isUsual = value.isNull || value.string == ""
    case "byte_fallback", "ignore_merges": isUsual = value.isNull || value.bool == false
    default: isUsual = true
    }
    guard isUsual else { throw unsupported("its model has \(name) \(shown(value))") }
  }

  /// An object of tokens and ids.
  static func vocabulary(
    _ cursor: inout JSONCursor
  ) throws(IngotError) -> VocabularyEntries {
    var entries = VocabularyEntries()
    try cursor.object { (name, cursor) throws(IngotError) in
      entries.append(name.utf8, id: try cursor.integer())
    }
    return entries
  }

  /// An array of `"left right"` or of `["left", "right"]`, which newer files have.
  private static func merges(
    _ cursor: inout JSONCursor
  ) throws(IngotError) -> MergePairs {
    var merges = MergePairs()
    try cursor.array { (index, cursor) throws(IngotError) in
      var halves: [ArraySlice<UInt8>] = []
      if try cursor.peek() == .string {
        let line = Array(try cursor.string().utf8)
        halves = MergesFile.pair(line[...]).map { [$0.left, $0.right] } ?? []
      } else {
        try cursor.array { (_, cursor) throws(IngotError) in
          halves.append(Array(try cursor.string().utf8)[...])
        }
      }
      guard halves.count == 2 else {
        throw IngotError(
          "tokenizer.merges", "merge \(index) is not two tokens", offset: cursor.offset)
      }
      merges.append(halves[0], halves[1])
    }
    return merges
  }
}

// MARK: The pipeline around it

extension TokenizerJSON {
  private static func checkNormalizer(_ value: JSONValue) throws(IngotError) {
    let steps = sequence(value, "normalizers")
    guard steps.count == 1, type(of: steps[0]) == "NFC" else {
      throw unsupported("its normalizer is \(shown(value)), not NFC")
    }
  }

  private static func checkPreTokenizer(_ value: JSONValue) throws(IngotError) {
    let steps = sequence(value, "pretokenizers")
    guard steps.count == 2, type(of: steps[0]) == "Split", type(of: steps[1]) == "ByteLevel" else {
      throw unsupported("its pre-tokenizer is \(shown(value)), not Split and ByteLevel")
    }
    let split = steps[0].object
    let pattern = split?["pattern"]?.object?["Regex"]
    guard pattern?.string == PreTokenizer.pattern else {
      throw unsupported("its pre-tokenizer splits by \(shown(split?["pattern"] ?? .null))")
    }
    guard split?["behavior"]?.string == "Isolated", split?["invert"]?.bool ?? false == false else {
      throw unsupported("its pre-tokenizer does not split in the way \"Isolated\"")
    }
    let byteLevel = steps[1].object
    guard byteLevel?["add_prefix_space"]?.bool == false, byteLevel?["use_regex"]?.bool == false
    else { throw unsupported("its ByteLevel step adds a space or splits by a pattern of its own") }
  }

  private static func checkPostProcessor(_ value: JSONValue) throws(IngotError) {
    // ByteLevel moves offsets only.
    guard value.isNull || type(of: value) == "ByteLevel" else {
      throw unsupported("its post-processor is \(shown(value)), which would add tokens")
    }
  }

  private static func checkDecoder(_ value: JSONValue) throws(IngotError) {
    guard type(of: value) == "ByteLevel" else {
      throw unsupported("its decoder is \(shown(value)), not ByteLevel")
    }
  }

  /// The steps of a `Sequence`, or the one step that this is.
  private static func sequence(_ value: JSONValue, _ member: String) -> [JSONValue] {
    guard type(of: value) == "Sequence" else { return [value] }
    return value.object?[member]?.array ?? []
  }

  private static func type(of value: JSONValue) -> String? { value.object?["type"]?.string }

  /// A value for a message: its type where it has one.
  private static func shown(_ value: JSONValue) -> String {
    if let type = type(of: value) {
      let steps = sequence(value, "pretokenizers") + sequence(value, "normalizers")
      let names = steps.compactMap { Self.type(of: $0) }.filter { $0 != type }
      return names.isEmpty ? type : "\(type) of \(names.joined(separator: ", "))"
    }
    if let text = value.string { return TokenizerDefinition.shown(Array(text.utf8)) }
    if let bool = value.bool { return "\(bool)" }
    if let number = value.number { return "\(number)" }
    if let object = value.object, let member = object.first {
      return "\(member.name) \(shown(member.value))"
    }
    return value.kindName
  }
}
