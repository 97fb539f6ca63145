extension JSONCursor {
  /// Reads a number: `.integer` or `.hugeInteger` when written without fraction and exponent,
  /// else `.double`.
  ///
  /// `-0` is a double, since no integer is negative zero. A number too large for a double is
  /// refused; one too small becomes zero, as everywhere.
  package mutating func number() throws(IngotError) -> JSONValue {
    try expect(.number)
    let start = offset
    let isIntegral = try scanNumber()
    guard offset - start <= Self.maximumNumberBytes else {
      throw IngotError(
        "json.number", "a number is longer than \(Self.maximumNumberBytes) bytes", offset: start)
    }
    let digits = bytes[start..<offset]
    if isIntegral, let value = Self.integer(digits) { return .integer(value) }
    let text = String(decoding: digits, as: UTF8.self)
    if isIntegral, text != "-0" { return .hugeInteger(text) }
    guard let value = Double(text), value.isFinite else {
      throw IngotError("json.number", "the number \(text) is out of range", offset: start)
    }
    return .double(value)
  }

  /// Reads an integer.
  ///
  /// - Throws: `json.type` when it has a fraction or an exponent, `json.range` when it does not
  ///   fit 64 bits.
  package mutating func integer() throws(IngotError) -> Int {
    skipWhiteSpace()
    let start = offset
    switch try number() {
    case .integer(let value): return value
    case .hugeInteger(let digits):
      throw IngotError("json.range", "the integer \(digits) is out of range", offset: start)
    default:
      throw IngotError(
        "json.type", "expected an integer, found a number with a fraction or an exponent",
        offset: start)
    }
  }

  /// Reads any number as the nearest double.
  package mutating func double() throws(IngotError) -> Double {
    skipWhiteSpace()
    let start = offset
    guard let value = try number().number, value.isFinite else {
      throw IngotError("json.range", "the number is out of range", offset: start)
    }
    return value
  }

  /// Moves behind the number at the cursor; true when it has neither fraction nor exponent.
  private mutating func scanNumber() throws(IngotError) -> Bool {
    let start = offset
    if bytes[offset] == UInt8(ascii: "-") { offset += 1 }
    let first = offset
    let integerDigits = skipDigits()
    guard integerDigits > 0 else {
      throw IngotError("json.number", "a number has no digits", offset: start)
    }
    guard integerDigits == 1 || bytes[first] != UInt8(ascii: "0") else {
      throw IngotError("json.number", "a number starts with zero", offset: start)
    }
    var isIntegral = true
    if offset < bytes.count, bytes[offset] == UInt8(ascii: ".") {
      isIntegral = false
      offset += 1
      guard skipDigits() > 0 else {
        throw IngotError("json.number", "no digit follows the decimal point", offset: start)
      }
    }
    if offset < bytes.count, bytes[offset] | 0x20 == UInt8(ascii: "e") {
      isIntegral = false
      offset += 1
      if offset < bytes.count,
        bytes[offset] == UInt8(ascii: "+") || bytes[offset] == UInt8(ascii: "-")
      {
        offset += 1
      }
      guard skipDigits() > 0 else {
        throw IngotError("json.number", "no digit follows the exponent sign", offset: start)
      }
    }
    return isIntegral
  }

  private mutating func skipDigits() -> Int {
    let start = offset
    while offset < bytes.count,
      (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[offset])
    {
      offset += 1
    }
    return offset - start
  }

  /// The value of an optional sign and digits, or nil when it overflows or is `-0`.
  private static func integer(_ text: ArraySlice<UInt8>) -> Int? {
    let isNegative = text.first == UInt8(ascii: "-")
    var value = 0
    for byte in isNegative ? text.dropFirst() : text {
      let digit = Int(byte - UInt8(ascii: "0"))
      // Counted downwards, so that the smallest Int is reached.
      let (tenfold, overflow) = value.multipliedReportingOverflow(by: 10)
      let (next, overflow2) = tenfold.subtractingReportingOverflow(digit)
      guard !overflow, !overflow2 else { return nil }
      value = next
    }
    if isNegative { return value == 0 ? nil : value }
    return value == .min ? nil : -value
  }
}
