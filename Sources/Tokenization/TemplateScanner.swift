/// Cuts a Jinja text into tags and the text that is left between them.
struct TemplateScanner {
  enum Part {
    case text([UInt8])
    case statement([TemplateToken])
    case output([TemplateToken])
    case comment
    case malformed
  }

  private let bytes: [UInt8]
  private var position = 0
  /// What the tag before removes from the text after it.
  private var trimming = Trimming.nothing

  private enum Trimming { case nothing, newline, space }

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// The next part, nil at the end.
  mutating func next() -> Part? {
    guard position < bytes.count else { return nil }
    return isTagStart(position) ? tag() : text()
  }

  private func byte(_ index: Int) -> UInt8? { index < bytes.count ? bytes[index] : nil }

  private func isTagStart(_ index: Int) -> Bool {
    guard byte(index) == UInt8(ascii: "{"), let kind = byte(index + 1) else { return false }
    return kind == UInt8(ascii: "{") || kind == UInt8(ascii: "%") || kind == UInt8(ascii: "#")
  }

  private static func isSpace(_ byte: UInt8) -> Bool {
    byte == 0x20 || (0x09...0x0D).contains(byte)
  }

  private mutating func text() -> Part {
    let start = position
    while position < bytes.count, !isTagStart(position) { position += 1 }
    var text = bytes[start..<position]
    switch trimming {
    case .nothing: break
    case .newline: if text.first == UInt8(ascii: "\n") { text.removeFirst() }
    case .space: text = text.drop(while: Self.isSpace)
    }
    trimming = .nothing
    if byte(position + 2) == UInt8(ascii: "-") {
      while let last = text.last, Self.isSpace(last) { text.removeLast() }
    } else if let kind = byte(position + 1), kind != UInt8(ascii: "{") {
      // lstrip_blocks: blanks between the line's start and a block.
      let line = text.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? text.startIndex
      let startsLine = line > text.startIndex || start == 0
      if startsLine, text[line...].allSatisfy({ $0 == 0x20 || $0 == 0x09 }) { text = text[..<line] }
    }
    // At the very end, one newline is dropped (keep_trailing_newline is off).
    if position == bytes.count, text.last == UInt8(ascii: "\n") { text.removeLast() }
    return .text(Array(text))
  }

  private mutating func tag() -> Part {
    let kind = bytes[position + 1]
    position += 2
    if byte(position) == UInt8(ascii: "-") || byte(position) == UInt8(ascii: "+") { position += 1 }
    let close: [UInt8] = [kind == UInt8(ascii: "{") ? UInt8(ascii: "}") : kind, UInt8(ascii: "}")]
    if kind == UInt8(ascii: "#") { return comment(close) }
    var tokens: [TemplateToken] = []
    while let byte = byte(position) {
      if bytes[position...].starts(with: [UInt8(ascii: "-")] + close) {
        position += 3
        trimming = .space
        return part(kind, tokens)
      }
      if bytes[position...].starts(with: close) {
        position += 2
        trimming = kind == UInt8(ascii: "{") ? .nothing : .newline
        return part(kind, tokens)
      }
      if Self.isSpace(byte) {
        position += 1
      } else if let token = token(byte) {
        tokens.append(token)
      } else {
        break
      }
    }
    return .malformed
  }

  private func part(_ kind: UInt8, _ tokens: [TemplateToken]) -> Part {
    kind == UInt8(ascii: "{") ? .output(tokens) : .statement(tokens)
  }

  private mutating func comment(_ close: [UInt8]) -> Part {
    while position < bytes.count {
      if bytes[position...].starts(with: close) {
        trimming = bytes[position - 1] == UInt8(ascii: "-") ? .space : .newline
        position += 2
        return .comment
      }
      position += 1
    }
    return .malformed
  }

  private mutating func token(_ byte: UInt8) -> TemplateToken? {
    if byte == UInt8(ascii: "'") || byte == UInt8(ascii: "\"") { return string(quote: byte) }
    guard TemplateToken.isWord(byte) else {
      position += 1
      return .mark(byte)
    }
    let start = position
    while let byte = self.byte(position), TemplateToken.isWord(byte) { position += 1 }
    return .word(Array(bytes[start..<position]))
  }

  /// A string with the escapes that templates use; any other keeps its backslash.
  private mutating func string(quote: UInt8) -> TemplateToken? {
    var content: [UInt8] = []
    position += 1
    while let byte = byte(position) {
      position += 1
      if byte == quote { return .string(content) }
      guard byte == UInt8(ascii: "\\"), let escaped = self.byte(position) else {
        content.append(byte)
        continue
      }
      position += 1
      switch escaped {
      case UInt8(ascii: "n"): content.append(0x0A)
      case UInt8(ascii: "t"): content.append(0x09)
      case UInt8(ascii: "r"): content.append(0x0D)
      case UInt8(ascii: "\\"), UInt8(ascii: "'"), UInt8(ascii: "\""): content.append(escaped)
      default: content += [byte, escaped]
      }
    }
    return nil
  }
}
