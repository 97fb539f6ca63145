import Bytes
import Foundation
import TestSupport
import Testing
import Tokenization

/// Reading tokenizer files, and refusing what is not supported.
struct LoadingTests {
  private func load(_ folder: TemporaryFolder) throws -> TokenizerDefinition? {
    try TokenizerDefinition.load(folder: folder.url.path)
  }

  private func code(_ folder: TemporaryFolder) -> String? {
    do throws(IngotError) {
      _ = try TokenizerDefinition.load(folder: folder.url.path)
      return nil
    } catch {
      return error.code
    }
  }

  @Test func aFolderWithoutTokenizerHasNone() throws {
    let folder = try TemporaryFolder()
    #expect(try load(folder) == nil)
    try folder.write(SmallVocabulary.json(SmallVocabulary.tokenizerConfig()), to: "x.json")
    #expect(try load(folder) == nil)
  }

  @Test func bothKindsOfFilesAgree() throws {
    let expected = try SmallVocabulary.definition().encodedBlob()
    #expect(try load(SmallVocabulary.fastFolder())?.encodedBlob() == expected)
    #expect(try load(SmallVocabulary.slowFolder())?.encodedBlob() == expected)
  }

  @Test func aFolderOpensInOneStep() throws {
    let folder = try SmallVocabulary.slowFolder()
    let tokenizer = try Tokenizer(folder: folder.url.path)
    #expect(tokenizer?.encode(" the<|mask|>") == [258, 402])
    let empty = try TemporaryFolder()
    #expect(try Tokenizer(folder: empty.url.path) == nil)
  }

  @Test func tokenizerJSONGoverns() throws {
    let folder = try SmallVocabulary.fastFolder()
    try folder.write("not read".utf8, to: "vocab.json")
    try folder.write("not read".utf8, to: "merges.txt")
    #expect(try load(folder) != nil)
  }

  @Test func mergesMayBeTexts() throws {
    var object = SmallVocabulary.tokenizerJSON()
    var model = try #require(object["model"] as? [String: Any])
    model["merges"] = SmallVocabulary.merges.map { "\($0.0) \($0.1)" }
    object["model"] = model
    let blob = try load(SmallVocabulary.fastFolder(object))?.encodedBlob()
    #expect(try blob == SmallVocabulary.definition().encodedBlob())
  }

  /// Without `added_tokens_decoder`, the reference makes tokens without a role normalised.
  @Test func addedTokensOfLegacyFiles() throws {
    let folder = try SmallVocabulary.slowFolder()
    try folder.write(
      SmallVocabulary.json(["tokenizer_class": "Qwen2Tokenizer", "eos_token": "<|im_end|>"]),
      to: "tokenizer_config.json")
    try folder.write(
      SmallVocabulary.json(["additional_special_tokens": ["<|mask|>", ["content": "<think>"]]]),
      to: "special_tokens_map.json")
    let tokens = try #require(try load(folder)).addedTokens
    #expect(tokens.map(\.id) == [400, 401, 402, 405, 406])
    #expect(tokens.map(\.isSpecial) == [false, true, true, true, false])
    #expect(tokens.map(\.isNormalized) == [true, false, false, false, true])
  }

  @Test func tokenizerConfigAddsTokens() throws {
    let folder = try SmallVocabulary.fastFolder()
    let extra = ["410": ["content": "<x>", "special": true]]
    try folder.write(
      SmallVocabulary.json(["added_tokens_decoder": extra]), to: "tokenizer_config.json")
    let tokenizer = try Tokenizer(blob: try #require(try load(folder)).encodedBlob())
    #expect(tokenizer.encode("<x>") == [410])
    #expect(tokenizer.count == 411)
    try folder.write(
      SmallVocabulary.json(["added_tokens_decoder": ["400": ["content": "<y>"]]]),
      to: "tokenizer_config.json")
    #expect(code(folder) == "tokenizer.addedTokens")
  }

  @Test func chatTemplateComesFromItsFileFirst() throws {
    let folder = try SmallVocabulary.fastFolder()
    #expect(try load(folder)?.chatTemplateSource == nil)
    let config: [String: Any] = [
      "chat_template": [
        ["name": "tool_use", "template": "t"], ["name": "default", "template": "d"],
      ]
    ]
    try folder.write(SmallVocabulary.json(config), to: "tokenizer_config.json")
    #expect(try load(folder)?.chatTemplateSource == "d")
    try folder.write("j".utf8, to: "chat_template.jinja")
    #expect(try load(folder)?.chatTemplateSource == "j")
    try folder.write([0xFF], to: "chat_template.jinja")
    #expect(code(folder) == "tokenizer.config")
  }

  /// Each change alone makes a tokenizer of another kind.
  @Test(arguments: [
    ("normalizer", #"{"type":"NFKC"}"#), ("normalizer", "null"),
    ("normalizer", #"{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Lowercase"}]}"#),
    ("pre_tokenizer", #"{"type":"ByteLevel","add_prefix_space":false,"use_regex":true}"#),
    ("pre_tokenizer", #"{"type":"Metaspace"}"#), ("pre_tokenizer", "null"),
    (
      "pre_tokenizer",
      #"{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"\\p{L}+"},"#
        + #""behavior":"Isolated"},{"type":"ByteLevel","add_prefix_space":false,"#
        + #""use_regex":false}]}"#
    ),
    ("post_processor", #"{"type":"TemplateProcessing"}"#), ("decoder", #"{"type":"WordPiece"}"#),
    ("decoder", "null"), ("model", #"{"type":"Unigram","vocab":[["a",0]]}"#),
    ("model", #"{"type":"WordPiece","vocab":{"a":0}}"#),
    ("model", #"{"type":"BPE","vocab":{},"merges":[],"byte_fallback":true}"#),
    ("model", #"{"type":"BPE","vocab":{},"merges":[],"ignore_merges":true}"#),
    ("model", #"{"type":"BPE","vocab":{},"merges":[],"dropout":0.1}"#),
    ("model", #"{"type":"BPE","vocab":{},"merges":[],"end_of_word_suffix":"</w>"}"#),
  ])
  func refusesOtherKinds(_ member: String, _ json: String) throws {
    var object = SmallVocabulary.tokenizerJSON()
    object[member] = try JSONSerialization.jsonObject(
      with: Data(json.utf8), options: [.fragmentsAllowed])
    #expect(code(try SmallVocabulary.fastFolder(object)) == "tokenizer.unsupported")
  }

  @Test func theRefusalNamesWhatWasFound() throws {
    var object = SmallVocabulary.tokenizerJSON()
    object["normalizer"] = ["type": "NFKC"]
    let folder = try SmallVocabulary.fastFolder(object)
    let error = #expect(throws: IngotError.self) { try load(folder) }
    #expect(error?.description.contains("NFKC") == true)
    #expect(error?.path?.hasSuffix("tokenizer.json") == true)
    #expect(error?.advice?.contains("Qwen2") == true)
  }

  @Test(arguments: ["normalizer", "pre_tokenizer", "decoder", "model"])
  func refusesAMissingPart(_ member: String) throws {
    var object = SmallVocabulary.tokenizerJSON()
    object[member] = nil
    #expect(code(try SmallVocabulary.fastFolder(object)) == "tokenizer.unsupported")
  }

  @Test func refusesHalfAVocabulary() throws {
    for name in ["vocab.json", "merges.txt"] {
      let folder = try SmallVocabulary.slowFolder()
      try FileManager.default.removeItem(atPath: folder.path(name))
      #expect(code(folder) == "tokenizer.missing")
    }
  }

  @Test(arguments: [
    #"{"tokenizer_class":"GPT2Tokenizer"}"#, #"{"add_prefix_space":true}"#,
    #"{"errors":"ignore"}"#,
  ])
  func refusesOtherSlowTokenizers(_ config: String) throws {
    let folder = try SmallVocabulary.slowFolder()
    try folder.write(config.utf8, to: "tokenizer_config.json")
    #expect(code(folder) == "tokenizer.unsupported")
  }

  @Test(arguments: [
    ("merges.txt", "a b c\n", "tokenizer.merges"), ("merges.txt", "a\n", "tokenizer.merges"),
    ("merges.txt", " a\n", "tokenizer.merges"), ("merges.txt", "zz y\n", "tokenizer.merges"),
    ("vocab.json", "[]", "json.type"), ("vocab.json", "{}", "tokenizer.merges"),
    ("vocab.json", #"{"a":-1}"#, "tokenizer.vocabulary"),
    ("vocab.json", #"{"a":1e3}"#, "json.type"),
    ("vocab.json", #"{"a":4294967296}"#, "tokenizer.vocabulary"),
    ("vocab.json", #"{"a":0,"b":0}"#, "tokenizer.vocabulary"),
    ("vocab.json", #"{"a":0,"a":1}"#, "json.duplicateKey"),
    ("added_tokens.json", #"{"<q>":400}"#, "tokenizer.addedTokens"),
    ("added_tokens.json", #"{"<q>":97}"#, "tokenizer.addedTokens"),
    ("added_tokens.json", #"{"a":500}"#, "tokenizer.addedTokens"),
    ("added_tokens.json", #"{"":500}"#, "tokenizer.addedTokens"),
    ("tokenizer_config.json", "[]", "tokenizer.config"),
    ("tokenizer_config.json", #"{"added_tokens_decoder":{"x":{}}}"#, "tokenizer.addedTokens"),
    ("tokenizer_config.json", #"{"added_tokens_decoder":{"1":{}}}"#, "tokenizer.addedTokens"),
    ("tokenizer_config.json", #"{"chat_template":1}"#, "tokenizer.config"),
  ])
  func refusesBadFiles(_ name: String, _ text: String, _ expected: String) throws {
    let folder = try SmallVocabulary.slowFolder()
    try folder.write(text.utf8, to: name)
    let error = #expect(throws: IngotError.self) { try load(folder) }
    #expect(error?.code == expected, "\(error.map(\.description) ?? "")")
    #expect(error?.path != nil)
  }

  @Test func refusesAVocabularyWithoutEveryByte() throws {
    let folder = try SmallVocabulary.slowFolder()
    let vocabulary = SmallVocabulary.vocabulary.filter { $0.1 != 0x90 }
    try folder.write(
      SmallVocabulary.json(Dictionary(uniqueKeysWithValues: vocabulary)), to: "vocab.json")
    #expect(code(folder) == "tokenizer.vocabulary")
  }

  /// Two spellings of one character are two tokens: names are compared by bytes.
  @Test func equivalentTextsAreDifferentTokens() throws {
    let vocabulary =
      SmallVocabulary.vocabulary + [("\u{212B}", 300), ("A\u{30A}", 301), ("\u{C5}\u{327}", 302)]
    let tokenizer = try Tokenizer(
      blob: SmallVocabulary.definition(vocabulary: vocabulary).encodedBlob())
    #expect(try tokenizer.decode([300]).utf8.elementsEqual("\u{212B}".utf8))
    #expect(try tokenizer.decode([301]).utf8.elementsEqual("A\u{30A}".utf8))
  }

  /// As in the reference, where a later merge of the same pair replaces the earlier.
  @Test func theLastOfEqualMergesCounts() throws {
    let merges = SmallVocabulary.merges + [("b", "c")]
    let tokenizer = try Tokenizer(
      blob: SmallVocabulary.definition(merges: merges).encodedBlob())
    // "a b" now ranks before "b c".
    #expect(tokenizer.encode("abc") == [272])
  }
}
