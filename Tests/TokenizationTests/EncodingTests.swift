import TestSupport
import Testing
import Tokenization

/// Encoding with a small vocabulary whose ids can be worked out by hand.
struct EncodingTests {
  let tokenizer: Tokenizer

  init() throws { tokenizer = try SmallVocabulary.tokenizer() }

  private func bytes(_ text: String) -> [Int] { text.utf8.map { Int($0) } }

  @Test func emptyTextHasNoTokens() {
    #expect(tokenizer.encode("") == [])
  }

  @Test func mergesLowestRankFirst() {
    // " the": "Ġ t", then "h e", then "Ġt he".
    #expect(tokenizer.encode(" the") == [258])
    #expect(tokenizer.encode("the") == bytes("t") + [257])
    // "b c" ranks before "a b", so "abc" is never reached.
    #expect(tokenizer.encode("abc") == bytes("a") + [270])
    // The leftmost of equals: aaa = aa a.
    #expect(tokenizer.encode("aaa") == [266] + bytes("a"))
  }

  @Test func longPiecesMergeLikeShortOnes() {
    // 48 bytes and fewer are scanned, longer pieces go through the heap.
    for count in 1...200 {
      var expected: [Int] = []
      var rest = count
      for (length, id) in [(8, 268), (4, 267), (2, 266), (1, 97)] {
        expected += Array(repeating: id, count: rest / length)
        rest %= length
      }
      let text = String(repeating: "a", count: count)
      #expect(tokenizer.encode(text) == expected, "\(count) letters")
    }
    for count in [10, 60, 1000] {
      let text = String(repeating: "abcing", count: count)
      let expected = Array(repeating: [97, 270, 260], count: count).flatMap { $0 }
      #expect(tokenizer.encode(text) == expected)
    }
  }

  /// TOK-055: quadratic time would take minutes here.
  @Test func aLongTextWithoutSpacesIsNoTrap() throws {
    for text in ["a", "abcing", " ", "e\u{301}", "\u{316}\u{301}", "<", "<|im_"] {
      let long = String(repeating: text, count: 300_000 / text.utf8.count)
      let ids = tokenizer.encode(long)
      let decoded = try tokenizer.decode(ids)
      // Canonical equivalence, which encoding keeps; compared by count where marks make it slow.
      #expect(decoded.utf8.count <= long.utf8.count)
      #expect(decoded.unicodeScalars.count > long.unicodeScalars.count / 3)
    }
  }

  @Test func piecesAreNotMergedAcross() {
    // Digits stand alone, though "1 2" is a merge.
    #expect(tokenizer.encode("12") == bytes("12"))
    // A run of spaces leaves its last one to the word.
    #expect(tokenizer.encode("    the") == [263, 32, 258])
    #expect(tokenizer.encode("     ") == [264, 32])
    #expect(tokenizer.encode("\n\nthe") == [262] + bytes("t") + [257])
    #expect(tokenizer.encode("it's") == bytes("it") + [269])
    #expect(tokenizer.encode("it'S") == bytes("it'S"))
  }

  @Test func normalisesBeforeMerging() {
    // e + U+0301 becomes é, whose two bytes are one token.
    #expect(tokenizer.encode("e\u{301}") == [265])
    #expect(tokenizer.encode("\u{E9}") == [265])
    // A Hangul syllable and a trailing consonant join, also where Foundation leaves them apart.
    #expect(tokenizer.encode("\u{C5B4}\u{11C1}") == bytes("\u{C5CE}"))
    // Marks are ordered by class; U+0F73 comes apart.
    #expect(tokenizer.encode("\u{31C}\u{F73}") == bytes("\u{F71}\u{F72}\u{31C}"))
    // Assigned in Unicode 14, so the reference's normaliser leaves it where it is.
    #expect(tokenizer.encode("\u{898}\u{316}") == bytes("\u{898}\u{316}"))
  }

  @Test func everyByteOfAnyTextIsEncoded() throws {
    for text in ["\u{0}", "\u{7F}", "\u{85}", "🙂", "\u{10FFFF}", "\u{E000}", "中文"] {
      let ids = tokenizer.encode(text)
      #expect(try tokenizer.decode(ids) == text)
    }
  }
}

/// Tokens looked for in the text itself.
struct AddedTokenTests {
  typealias AddedToken = TokenizerDefinition.AddedToken

  private func encode(_ text: String, _ tokens: [AddedToken]) throws -> [Int] {
    try SmallVocabulary.tokenizer(addedTokens: tokens).encode(text)
  }

  @Test func leftmostThenLongest() throws {
    let tokenizer = try SmallVocabulary.tokenizer()
    #expect(tokenizer.encode("<|im_start|>a<|im_end|>") == [400, 97, 401])
    #expect(tokenizer.encode("<think>er") == [406])
    #expect(tokenizer.encode("<think>en") == [405, 101, 110])
    #expect(tokenizer.encode("<|im_end") == "<|im_end".utf8.map { Int($0) })
    #expect(tokenizer.encode("<<think>") == [60, 405])
  }

  @Test func textCanBeTakenAsItIs() throws {
    let tokenizer = try SmallVocabulary.tokenizer()
    let ids = tokenizer.encode("<|im_end|>", matchingAddedTokens: false)
    #expect(ids == "<|im_end|>".utf8.map { Int($0) })
  }

  @Test func piecesEndAtTheToken() throws {
    // The space before a token is the last of its text, so it is a piece of its own.
    let tokenizer = try SmallVocabulary.tokenizer()
    #expect(tokenizer.encode("a  <think>") == [97, 263, 405])
    #expect(tokenizer.encode("a  b") == [97, 32, 32, 98])
  }

  @Test func takesWhiteSpaceWithIt() throws {
    let left = AddedToken(id: 400, content: "<m>", stripsLeft: true)
    let right = AddedToken(id: 401, content: "<n>", stripsRight: true)
    #expect(try encode("a \u{3000}<m> b", [left, right]) == [97, 400, 32, 98])
    #expect(try encode("a <n> \n b", [left, right]) == [97, 32, 401, 98])
    #expect(try encode("<n>  <m>", [left, right]) == [401, 400])
    // As in the reference: the spaces are taken, yet found again, and the text goes on behind them.
    let spaces = AddedToken(id: 402, content: "  ")
    #expect(try encode("<n>   a", [right, spaces]) == [401, 402, 32, 97])
  }

  @Test func countsOnlyAsAWord() throws {
    let word = AddedToken(id: 400, content: "<m", isSingleWord: true)
    #expect(try encode("<m <m", [word]) == [400, 32, 400])
    #expect(try encode("a<m", [word]) == [97, 60, 109])
    #expect(try encode("<m_", [word]) == [60, 109, 95])
    #expect(try encode("\u{E9}<m", [word]) == [265, 60, 109])
    #expect(try encode("(<m)", [word]) == [40, 400, 41])
  }

  @Test func normalisedTokensAreFoundAfterNormalisation() throws {
    let normalized = AddedToken(id: 400, content: "e\u{301}!", isNormalized: true)
    let raw = AddedToken(id: 401, content: "e\u{301}?")
    #expect(try encode("\u{E9}!", [normalized, raw]) == [400])
    #expect(try encode("e\u{301}!", [normalized, raw]) == [400])
    #expect(try encode("\u{E9}?", [normalized, raw]) == [265, 63])
    #expect(try encode("e\u{301}?", [normalized, raw]) == [401])
  }

  @Test func mayRepeatAVocabularyToken() throws {
    let token = AddedToken(id: 260, content: "ing")
    let tokenizer = try SmallVocabulary.tokenizer(addedTokens: [token])
    #expect(tokenizer.encode("sing") == [115, 260])
    #expect(tokenizer.isSpecial(260))
    #expect(try tokenizer.decode([115, 260], skipSpecial: true) == "s")
  }
}
