import Bytes
import TestSupport
import Testing
import Tokenization

struct DecodingTests {
  let tokenizer: Tokenizer

  init() throws { tokenizer = try SmallVocabulary.tokenizer() }

  @Test func joinsBytes() throws {
    #expect(try tokenizer.decode([0xF0, 0x9F, 0x99, 0x82]) == "🙂")
    #expect(try tokenizer.decode([400, 258, 401]) == "<|im_start|> the<|im_end|>")
    #expect(try tokenizer.decode([400, 258, 405], skipSpecial: true) == " the<think>")
  }

  /// One U+FFFD for each maximal part of an ill-formed sequence (Unicode 16, section 3.9).
  @Test(arguments: [
    ([0xC3], "\u{FFFD}"), ([0x80, 0x80], "\u{FFFD}\u{FFFD}"), ([0xF0, 0x9F, 0x41], "\u{FFFD}A"),
    ([0xE0, 0x80], "\u{FFFD}\u{FFFD}"), ([0xED, 0xA0, 0x80], "\u{FFFD}\u{FFFD}\u{FFFD}"),
    ([0xC0, 0xAF], "\u{FFFD}\u{FFFD}"), ([0xF4, 0x90], "\u{FFFD}\u{FFFD}"),
  ])
  func replacesIllFormedBytes(_ ids: [Int], _ text: String) throws {
    #expect(try tokenizer.decode(ids).utf8.elementsEqual(text.utf8))
  }

  @Test func idsWithoutTokenStandForNothing() throws {
    #expect(tokenizer.count == 407)
    #expect(try tokenizer.decode([97, 300, 403, 404, 98]) == "ab")
  }

  @Test(arguments: [-1, 407, Int.max, Int.min])
  func refusesIdsOutsideTheVocabulary(_ id: Int) throws {
    let error = #expect(throws: IngotError.self) { try tokenizer.decode([97, id]) }
    #expect(error?.code == "tokenizer.id")
    var decoder = StreamingDecoder(tokenizer)
    let streamed = #expect(throws: IngotError.self) { try decoder.append(id) }
    #expect(streamed?.code == "tokenizer.id")
    #expect(!tokenizer.isSpecial(id))
  }

  @Test func streamNeverShowsHalfACharacter() throws {
    var decoder = StreamingDecoder(tokenizer)
    #expect(try decoder.append(0xF0) == "")
    #expect(try decoder.append(0x9F) == "")
    #expect(try decoder.append(0x99) == "")
    #expect(try decoder.append(0x82) == "🙂")
    #expect(try decoder.append(0xC3) == "")
    #expect(try decoder.append(258) == "\u{FFFD} the")
    #expect(try decoder.append(0xE4) == "")
    #expect(decoder.finish() == "\u{FFFD}")
    #expect(decoder.finish() == "")
  }

  @Test func streamEqualsBatch() throws {
    var generator = SeededGenerator(seed: 11)
    let leads = [0xC2, 0xDF, 0xE0, 0xE1, 0xED, 0xEF, 0xF0, 0xF1, 0xF4, 0xF5, 0xC0, 0xFF]
    for _ in 0..<20_000 {
      let ids = (0..<Int.random(in: 1...10, using: &generator)).map { _ in
        switch Int.random(in: 0..<4, using: &generator) {
        case 0: leads.randomElement(using: &generator)!
        case 1: Int.random(in: 0x80...0xBF, using: &generator)
        case 2: Int.random(in: 0..<256, using: &generator)
        default: Int.random(in: 0..<407, using: &generator)
        }
      }
      var decoder = StreamingDecoder(tokenizer)
      var streamed = ""
      for id in ids { streamed += try decoder.append(id) }
      streamed += decoder.finish()
      #expect(try streamed.utf8.elementsEqual(tokenizer.decode(ids).utf8), "\(ids)")
    }
  }
}
