import Bytes
import Foundation
import TestSupport
import Tokenization

/// A vocabulary of a few tokens, made here, so that tests need no shared data.
///
/// Bytes have their value as id; merges follow from 256 on; added tokens from 400 on.
enum SmallVocabulary {
  /// In order of rank, in the byte alphabet.
  static let merges: [(String, String)] = [
    ("Ġ", "t"), ("h", "e"), ("Ġt", "he"), ("i", "n"), ("in", "g"), ("1", "2"), ("Ċ", "Ċ"),
    ("Ġ", "Ġ"), ("ĠĠ", "ĠĠ"), ("Ã", "©"), ("a", "a"), ("aa", "aa"), ("aaaa", "aaaa"),
    ("'", "s"), ("b", "c"), ("a", "b"), ("ab", "c"),
  ]

  static let addedTokens = [
    TokenizerDefinition.AddedToken(id: 400, content: "<|im_start|>"),
    TokenizerDefinition.AddedToken(id: 401, content: "<|im_end|>"),
    TokenizerDefinition.AddedToken(id: 402, content: "<|mask|>"),
    TokenizerDefinition.AddedToken(id: 405, content: "<think>", isSpecial: false),
    TokenizerDefinition.AddedToken(id: 406, content: "<think>er", isSpecial: false),
  ]

  /// The printable stand-in of a byte, written again from GPT-2's definition.
  static func entry(of byte: Int) -> String {
    let printable = Array(0x21...0x7E) + Array(0xA1...0xAC) + Array(0xAE...0xFF)
    if printable.contains(byte) { return String(Unicode.Scalar(UInt32(byte))!) }
    let rank = (0..<byte).count { !printable.contains($0) }
    return String(Unicode.Scalar(UInt32(0x100 + rank))!)
  }

  static var vocabulary: [(String, Int)] {
    (0..<256).map { (entry(of: $0), $0) }
      + merges.enumerated().map { ($0.element.0 + $0.element.1, 256 + $0.offset) }
  }

  static func definition(
    merges: [(String, String)] = merges, vocabulary: [(String, Int)] = vocabulary,
    addedTokens: [TokenizerDefinition.AddedToken] = addedTokens
  ) throws -> TokenizerDefinition {
    try TokenizerDefinition(
      vocabulary: vocabulary.map { (Array($0.0.utf8), $0.1) },
      merges: merges.map { (Array($0.0.utf8), Array($0.1.utf8)) }, addedTokens: addedTokens)
  }

  static func tokenizer(
    addedTokens: [TokenizerDefinition.AddedToken] = addedTokens
  ) throws -> Tokenizer {
    try Tokenizer(blob: definition(addedTokens: addedTokens).encodedBlob())
  }
}

// MARK: The same as files

extension SmallVocabulary {
  static func json(_ value: Any) throws -> [UInt8] {
    Array(
      try JSONSerialization.data(withJSONObject: value, options: [.sortedKeys, .fragmentsAllowed]))
  }

  static let pattern =
    #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|"#
    + #"\s*[\r\n]+|\s+(?!\S)|\s+"#

  /// `tokenizer.json` as an object; tests change it before they write it.
  static func tokenizerJSON() -> [String: Any] {
    [
      "version": "1.0", "truncation": NSNull(), "padding": NSNull(), "post_processor": NSNull(),
      "added_tokens": addedTokens.map { addedTokenObject($0, withID: true) },
      "normalizer": ["type": "NFC"],
      "pre_tokenizer": [
        "type": "Sequence",
        "pretokenizers": [
          [
            "type": "Split", "pattern": ["Regex": pattern], "behavior": "Isolated",
            "invert": false,
          ] as [String: Any],
          ["type": "ByteLevel", "add_prefix_space": false, "use_regex": false],
        ],
      ] as [String: Any],
      "decoder": ["type": "ByteLevel"],
      "model": [
        "type": "BPE", "dropout": NSNull(), "unk_token": NSNull(), "byte_fallback": false,
        "continuing_subword_prefix": NSNull(), "end_of_word_suffix": NSNull(),
        "ignore_merges": false, "vocab": Dictionary(uniqueKeysWithValues: vocabulary),
        "merges": merges.map { [$0.0, $0.1] },
      ] as [String: Any],
    ]
  }

  static func addedTokenObject(
    _ token: TokenizerDefinition.AddedToken, withID: Bool
  ) -> [String: Any] {
    var object: [String: Any] = [
      "content": token.content, "special": token.isSpecial, "normalized": token.isNormalized,
      "lstrip": token.stripsLeft, "rstrip": token.stripsRight,
      "single_word": token.isSingleWord,
    ]
    if withID { object["id"] = token.id }
    return object
  }

  /// A folder with `tokenizer.json` only.
  static func fastFolder(_ object: [String: Any] = tokenizerJSON()) throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    try folder.write(json(object), to: "tokenizer.json")
    return folder
  }

  /// A folder with the files of the published ReFusion checkpoint.
  static func slowFolder() throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    try folder.write(
      json(Dictionary(uniqueKeysWithValues: vocabulary)), to: "vocab.json")
    let lines = ["#version: 0.2"] + merges.map { "\($0.0) \($0.1)" }
    try folder.write((lines.joined(separator: "\n") + "\n").utf8, to: "merges.txt")
    let added = Dictionary(uniqueKeysWithValues: addedTokens.map { ($0.content, $0.id) })
    try folder.write(json(added), to: "added_tokens.json")
    try folder.write(json(tokenizerConfig()), to: "tokenizer_config.json")
    return folder
  }

  static func tokenizerConfig() -> [String: Any] {
    let decoder = addedTokens.map { ("\($0.id)", addedTokenObject($0, withID: false)) }
    return [
      "tokenizer_class": "Qwen2Tokenizer", "errors": "replace", "add_prefix_space": false,
      "eos_token": "<|im_end|>",
      "added_tokens_decoder": Dictionary(uniqueKeysWithValues: decoder),
    ]
  }
}
