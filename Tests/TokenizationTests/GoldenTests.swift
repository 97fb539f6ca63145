import Foundation
import TestSupport
import Testing
import Tokenization

/// Ids, text and prompts of the official tokenizer, on the real vocabulary.
@Suite(.enabled(if: Shared.isPresent, Comment(rawValue: Shared.skipped)))
struct GoldenTests {
  private struct Cases: Decodable {
    struct Case: Decodable {
      var text: String
      var ids: [Int]
      var decoded: String
    }
    var cases: [Case]
  }

  private struct ChatCases: Decodable {
    struct Case: Decodable {
      struct Message: Decodable {
        var role: String
        var content: String
      }
      var messages: [Message]
      var text: String
    }
    var cases: [Case]
  }

  private func read<Value: Decodable>(_ type: Value.Type, _ path: String) throws -> Value {
    let data = try Data(contentsOf: URL(fileURLWithPath: Shared.path(path)))
    return try JSONDecoder().decode(type, from: data)
  }

  @Test(arguments: ["qwen3-refusion", "qwen3-refusion-fast"])
  func idsAndTextEqualTheReference(_ folder: String) throws {
    let loaded = try TokenizerDefinition.load(folder: Shared.path("tokenizers/\(folder)"))
    let definition = try #require(loaded)
    #expect(definition.tokenCount == 151_671)
    let tokenizer = try Tokenizer(blob: definition.encodedBlob())
    let cases = try read(Cases.self, "golden/tokenizer_cases.json").cases
    #expect(cases.count == 897)
    for expected in cases {
      let ids = tokenizer.encode(expected.text)
      #expect(ids == expected.ids, "\(expected.text.debugDescription)")
      let decoded = try tokenizer.decode(expected.ids)
      #expect(decoded.utf8.elementsEqual(expected.decoded.utf8), "\(expected.ids)")
      var stream = StreamingDecoder(tokenizer)
      var streamed = ""
      for id in expected.ids { streamed += try stream.append(id) }
      streamed += stream.finish()
      #expect(streamed.utf8.elementsEqual(expected.decoded.utf8), "\(expected.ids)")
    }
  }

  @Test func bothKindsOfFilesGiveTheSameBytes() throws {
    let blobs = try ["qwen3-refusion", "qwen3-refusion-fast"].map { folder in
      try TokenizerDefinition.load(folder: Shared.path("tokenizers/\(folder)"))?.encodedBlob()
    }
    #expect(blobs[0] != nil)
    #expect(blobs[0] == blobs[1])
  }

  @Test func checkpointTokenizerReadsAndRenders() throws {
    let loaded = try TokenizerDefinition.load(folder: Shared.path("checkpoints/gsm8k-refusion"))
    let definition = try #require(loaded)
    #expect(definition.tokenCount == 3009)
    let tokenizer = try Tokenizer(blob: definition.encodedBlob())
    #expect(tokenizer.id(ofAddedToken: "<|mask|>") == 3006)
    #expect(tokenizer.id(ofAddedToken: "<|im_end|>") == 3002)
    let template = try ChatTemplate(source: definition.chatTemplateSource, tokenizer: tokenizer)
    #expect(template == .chatML)
  }

  /// Both templates give these prompts: no case has thoughts or tools.
  @Test func promptsEqualTheReference() throws {
    let loaded = try TokenizerDefinition.load(folder: Shared.path("tokenizers/qwen3-refusion"))
    let source = try #require(loaded?.chatTemplateSource)
    #expect(try ChatTemplate(recognizing: source) == .qwen3)
    let cases = try read(ChatCases.self, "golden/chat_template_cases.json").cases
    #expect(!cases.isEmpty)
    for expected in cases {
      let messages = expected.messages.map {
        ChatTemplate.Message(role: $0.role, content: $0.content)
      }
      for template in ChatTemplate.allCases {
        #expect(template.render(messages) == expected.text)
      }
    }
  }
}
