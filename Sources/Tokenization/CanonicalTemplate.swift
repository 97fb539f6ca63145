/// A Jinja text reduced to what it means: tags, names, operators and strings, in order.
///
/// White space inside tags, the kind of quotes, `x['name']` for `x.name`, `'a' + 'b'` for `'ab'`,
/// comments, and white space between tags that Jinja removes make no difference. Text between
/// tags is handled as transformers sets Jinja up: `trim_blocks` and `lstrip_blocks`.
struct CanonicalTemplate {
  /// A template of more is not looked at; Qwen3's has four thousand bytes.
  private static let maximumBytes = 1 << 20

  private(set) var text: [UInt8] = []

  /// Nil when the text is not well formed.
  init?(_ source: String) {
    let bytes = Array(source.utf8)
    guard bytes.count <= Self.maximumBytes else { return nil }
    var scanner = TemplateScanner(bytes)
    while let part = scanner.next() {
      switch part {
      case .text(let text):
        if !text.isEmpty { append("\"", text) }
      case .statement(let tokens): append("%", Self.joined(tokens))
      case .output(let tokens): append("=", Self.joined(tokens))
      case .comment: break
      case .malformed: return nil
      }
    }
  }

  /// FNV-1a, 64 bits. It tells templates apart; it is no protection against a forged one, which
  /// would be rendered as the template it imitates.
  var digest: UInt64 {
    text.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01B3 }
  }

  private mutating func append(_ mark: Character, _ body: [UInt8]) {
    text += Array(mark.utf8) + body + [UInt8(ascii: "\n")]
  }

  /// The tokens as text, after the simplifications.
  private static func joined(_ tokens: [TemplateToken]) -> [UInt8] {
    var output: [UInt8] = []
    var previousIsWord = false
    for token in simplified(tokens) {
      switch token {
      case .word(let word):
        if previousIsWord { output.append(UInt8(ascii: " ")) }
        output += word
        previousIsWord = true
      case .mark(let mark):
        output.append(mark)
        previousIsWord = false
      case .string(let string):
        // Quotes and backslashes cannot be confused with the string's end.
        output.append(UInt8(ascii: "'"))
        for byte in string {
          if byte == UInt8(ascii: "'") || byte == UInt8(ascii: "\\") {
            output.append(UInt8(ascii: "\\"))
          }
          output.append(byte)
        }
        output.append(UInt8(ascii: "'"))
        previousIsWord = false
      }
    }
    return output
  }

  private static func simplified(_ tokens: [TemplateToken]) -> [TemplateToken] {
    var output: [TemplateToken] = []
    for (index, token) in tokens.enumerated() {
      output.append(token)
      let next = index + 1 < tokens.count ? tokens[index + 1] : nil
      joinStrings(&output, before: next)
      useDot(&output)
    }
    return output
  }

  /// `'a' + 'b'` becomes `'ab'` where nothing around binds tighter.
  private static func joinStrings(_ tokens: inout [TemplateToken], before next: TemplateToken?) {
    let count = tokens.count
    guard count >= 3, case .string(let left) = tokens[count - 3],
      tokens[count - 2] == .mark(UInt8(ascii: "+")), case .string(let right) = tokens[count - 1]
    else { return }
    let binding: [TemplateToken?] = ".[(*|".utf8.map { .mark($0) }
    guard !binding.contains(next), count < 4 || tokens[count - 4] != .mark(UInt8(ascii: "*"))
    else { return }
    tokens.replaceSubrange((count - 3)..., with: [.string(left + right)])
  }

  /// `x['name']` becomes `x.name`.
  private static func useDot(_ tokens: inout [TemplateToken]) {
    let count = tokens.count
    guard count >= 4, case .word(let object) = tokens[count - 4],
      !["in", "and", "or", "not", "is", "if", "else", "set"].contains(where: {
        object.elementsEqual($0.utf8)
      }),
      tokens[count - 3] == .mark(UInt8(ascii: "[")), case .string(let name) = tokens[count - 2],
      tokens[count - 1] == .mark(UInt8(ascii: "]")), let first = name.first,
      TemplateToken.isWord(first), !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first),
      name.allSatisfy(TemplateToken.isWord)
    else { return }
    tokens.replaceSubrange((count - 3)..., with: [.mark(UInt8(ascii: ".")), .word(name)])
  }
}

/// A name, number or keyword; an operator's byte; a string without its quotes and escapes.
enum TemplateToken: Equatable {
  case word([UInt8])
  case mark(UInt8)
  case string([UInt8])

  static func isWord(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
      true
    default: byte >= 0x80
    }
  }
}
