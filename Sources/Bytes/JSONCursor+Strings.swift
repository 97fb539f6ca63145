extension JSONCursor {
  /// Finds the end of the string that starts at the cursor and moves behind it.
  ///
  /// The escapes in it, if there are any, are not checked yet: `unescape` does.
  mutating func scanString() throws(IngotError) -> JSONText {
    let open = offset
    let start = open + 1
    var hasEscapes = false
    var position = start
    while position < bytes.count {
      let byte = bytes[position]
      if byte == UInt8(ascii: "\"") {
        offset = position + 1
        return JSONText(range: start..<position, hasEscapes: hasEscapes)
      }
      if byte == UInt8(ascii: "\\") {
        hasEscapes = true
        position += 2
        continue
      }
      guard byte >= 0x20 else {
        throw IngotError(
          "json.syntax", "a string holds an unescaped control character", offset: position)
      }
      position += 1
    }
    throw IngotError("json.syntax", "a string is not closed", offset: open)
  }

  /// Appends the string in this range of the text with its escapes resolved.
  ///
  /// - Throws: `json.escape` for an unknown escape, bad hex digits or half a surrogate pair.
  func unescape(_ range: Range<Int>, into output: inout [UInt8]) throws(IngotError) {
    var position = range.lowerBound
    while position < range.upperBound {
      let byte = bytes[position]
      guard byte == UInt8(ascii: "\\") else {
        output.append(byte)
        position += 1
        continue
      }
      // A backslash is never the last byte of the range: scanString skipped the one behind it.
      let escape = bytes[position + 1]
      if escape == UInt8(ascii: "u") {
        let (scalar, length) = try unicodeEscape(at: position, end: range.upperBound)
        output.append(contentsOf: scalar.utf8)
        position += length
        continue
      }
      guard let plain = Self.plainEscape(escape) else {
        throw IngotError(
          "json.escape", "unknown escape \\ with \(Self.shown(escape))", offset: position)
      }
      output.append(plain)
      position += 2
    }
  }

  private static func plainEscape(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): byte
    case UInt8(ascii: "b"): 0x08
    case UInt8(ascii: "f"): 0x0C
    case UInt8(ascii: "n"): 0x0A
    case UInt8(ascii: "r"): 0x0D
    case UInt8(ascii: "t"): 0x09
    default: nil
    }
  }

  /// The scalar of `\uXXXX` or of a surrogate pair, and how many bytes that took.
  private func unicodeEscape(
    at position: Int, end: Int
  ) throws(IngotError) -> (Unicode.Scalar, length: Int) {
    let unit = try hexUnit(at: position, end: end)
    if let scalar = Unicode.Scalar(unit) { return (scalar, 6) }
    let second = position + 6
    guard UTF16.isLeadSurrogate(UInt16(unit)), second + 1 < end,
      bytes[second] == UInt8(ascii: "\\"), bytes[second + 1] == UInt8(ascii: "u")
    else { throw loneSurrogate(position) }
    let low = try hexUnit(at: second, end: end)
    guard UTF16.isTrailSurrogate(UInt16(low)),
      let scalar = Unicode.Scalar(0x10000 + (unit - 0xD800) << 10 + (low - 0xDC00))
    else { throw loneSurrogate(position) }
    return (scalar, 12)
  }

  private func loneSurrogate(_ position: Int) -> IngotError {
    IngotError("json.escape", "half a surrogate pair stands alone", offset: position)
  }

  /// The four hex digits of the `\u` escape at this position.
  private func hexUnit(at position: Int, end: Int) throws(IngotError) -> UInt32 {
    guard position + 6 <= end else {
      throw IngotError("json.escape", "\\u needs four hexadecimal digits", offset: position)
    }
    var value: UInt32 = 0
    for byte in bytes[position + 2..<position + 6] {
      guard let digit = Self.hexDigit(byte) else {
        throw IngotError("json.escape", "\\u needs four hexadecimal digits", offset: position)
      }
      value = value << 4 | digit
    }
    return value
  }

  private static func hexDigit(_ byte: UInt8) -> UInt32? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte - UInt8(ascii: "0"))
    case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt32(byte - UInt8(ascii: "a")) + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt32(byte - UInt8(ascii: "A")) + 10
    default: nil
    }
  }
}

extension Unicode.Scalar {
  /// The UTF-8 bytes of this scalar.
  fileprivate var utf8: UTF8.EncodedScalar { UTF8.encode(self)! }
}
