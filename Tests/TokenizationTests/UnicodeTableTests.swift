import TestSupport
import Testing
import Tokenization

/// The program's own Unicode tables against the standard library's.
struct UnicodeTableTests {
  private static let scalars = (UInt32(0)..<0x11_0000).compactMap { Unicode.Scalar($0) }

  private func isAssigned(_ scalar: Unicode.Scalar, by major: Int) -> Bool {
    (scalar.properties.age?.major ?? .max) <= major
  }

  /// Letters, numbers and spaces as of Unicode 16, by what the pre-tokenizer does with them.
  @Test func classesFollowUnicode16() throws {
    var different: [String] = []
    // Planes without letters are sampled.
    for scalar in Self.scalars where scalar.value < 0x3_3000 || scalar.value % 257 == 0 {
      let category = isAssigned(scalar, by: 16) ? scalar.properties.generalCategory : .unassigned
      let expected: PieceProbe.Kind =
        switch category {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter:
          .letter
        case .decimalNumber, .letterNumber, .otherNumber: .number
        default: scalar.properties.isWhitespace ? .space : .other
        }
      if PieceProbe.kind(of: scalar) != expected {
        different.append(String(scalar.value, radix: 16))
      }
    }
    #expect(different == [])
  }

  /// Canonically equivalent before and after, by the standard library's comparison; and composed,
  /// which a second time changes nothing.
  @Test func normalisedTextIsEquivalent() throws {
    var generator = SeededGenerator(seed: 5)
    let pool = Self.scalars.filter { isAssigned($0, by: 9) && $0.value < 0xF_0000 }
    let marks = pool.filter { $0.properties.canonicalCombiningClass != .notReordered }
    #expect(pool.count > 100_000 && marks.count > 700)
    for _ in 0..<40_000 {
      var text = String.UnicodeScalarView()
      for _ in 0..<Int.random(in: 1...6, using: &generator) {
        let source = Bool.random(using: &generator) ? pool : marks
        text.append(source.randomElement(using: &generator)!)
      }
      let once = PieceProbe.normalized(String(text))
      // String `==` is canonical equivalence.
      #expect(once == String(text))
      #expect(PieceProbe.normalized(once).utf8.elementsEqual(once.utf8))
    }
  }

  /// Every scalar alone, and after each of some bases.
  @Test func everyScalarNormalisesToAnEquivalent() {
    var different: [String] = []
    for scalar in Self.scalars where isAssigned(scalar, by: 9) {
      let text = String(Character(scalar))
      let once = PieceProbe.normalized(text)
      let isShortest = once.unicodeScalars.count <= 3
      if once != text || !isShortest { different.append(String(scalar.value, radix: 16)) }
    }
    #expect(different == [])
  }
}
