/// Walks a JSON text value by value, strictly and without building a tree.
///
/// ```swift
/// var cursor = try JSONCursor(bytes)
/// try cursor.object { (name, cursor) throws(IngotError) in
///   ids[name] = try cursor.integer()
/// }
/// try cursor.end()
/// ```
///
/// Strict means RFC 8259 without its permissions: well-formed UTF-8 and no byte order mark, no
/// name twice in one object (compared by bytes, after unescaping), no lone surrogate, no comment,
/// no trailing comma, no NaN. Nesting is bounded, so a small file cannot exhaust the stack, and
/// memory is proportional to the input. Time is linear: names are hashed with a random seed.
///
/// Codes thrown, all with the byte offset: `json.utf8`, `json.byteOrderMark`, `json.syntax`,
/// `json.depth`, `json.duplicateKey`, `json.escape`, `json.number`, `json.type`, `json.range`,
/// `json.trailing`. `json.tooLarge` has none.
package struct JSONCursor: Sendable {
  /// Objects and arrays inside one another; as many as serde_json allows.
  package static let defaultMaximumDepth = 128
  /// Longest text read, so that positions fit 32 bits.
  package static let maximumBytes = Int(Int32.max)
  /// Bytes of one number. The longest exact double has 767 significant digits.
  package static let maximumNumberBytes = 1100

  /// The whole text, known to be well-formed UTF-8.
  let bytes: [UInt8]
  /// The next byte to read.
  package internal(set) var offset = 0
  let maximumDepth: Int
  var depth = 0
  /// Names of the objects that are open, innermost last.
  var keys: [JSONText] = []
  /// Where unescaped names of open objects are kept, so that they can be compared.
  var unescapedKeys: [UInt8] = []

  /// - Throws: `json.utf8`, `json.byteOrderMark` or `json.tooLarge`.
  package init(
    _ bytes: [UInt8], maximumDepth: Int = JSONCursor.defaultMaximumDepth
  ) throws(IngotError) {
    self.bytes = bytes
    self.maximumDepth = maximumDepth
    guard bytes.count <= Self.maximumBytes else {
      throw IngotError("json.tooLarge", "has \(bytes.count) bytes of JSON")
    }
    if bytes.starts(with: [0xEF, 0xBB, 0xBF]) {
      throw IngotError(
        "json.byteOrderMark", "starts with a byte order mark, which JSON does not have", offset: 0,
        advice: "Save the file as UTF-8 without BOM.")
    }
    if let bad = UTF8Check.firstInvalidOffset(in: bytes) {
      throw IngotError("json.utf8", "is not well-formed UTF-8", offset: bad)
    }
  }

  /// What a value is, seen from its first byte.
  package enum Kind: Sendable, Hashable {
    case null, bool, number, string, array, object

    var name: String {
      switch self {
      case .null: "null"
      case .bool: "a boolean"
      case .number: "a number"
      case .string: "a string"
      case .array: "an array"
      case .object: "an object"
      }
    }
  }

  /// The kind of the next value, which is not consumed.
  package mutating func peek() throws(IngotError) -> Kind {
    skipWhiteSpace()
    guard offset < bytes.count else { throw endOfText("a value") }
    switch bytes[offset] {
    case UInt8(ascii: "{"): return .object
    case UInt8(ascii: "["): return .array
    case UInt8(ascii: "\""): return .string
    case UInt8(ascii: "t"), UInt8(ascii: "f"): return .bool
    case UInt8(ascii: "n"): return .null
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number
    default: throw syntax("expected a value, found \(JSONCursor.shown(bytes[offset]))")
    }
  }

  /// Demands that nothing but white space follows.
  package mutating func end() throws(IngotError) {
    skipWhiteSpace()
    guard offset == bytes.count else {
      throw IngotError("json.trailing", "text follows the end of the document", offset: offset)
    }
  }

  /// Consumes the next value when it is null.
  package mutating func skipNull() throws(IngotError) -> Bool {
    guard try peek() == .null else { return false }
    try word("null")
    return true
  }

  package mutating func bool() throws(IngotError) -> Bool {
    try expect(.bool)
    if bytes[offset] == UInt8(ascii: "t") {
      try word("true")
      return true
    }
    try word("false")
    return false
  }

  package mutating func string() throws(IngotError) -> String {
    try expect(.string)
    let text = try scanString()
    guard text.hasEscapes else { return String(decoding: bytes[text.range], as: UTF8.self) }
    var unescaped: [UInt8] = []
    try unescape(text.range, into: &unescaped)
    return String(decoding: unescaped, as: UTF8.self)
  }

  /// Reads, checks and forgets one value of any kind.
  package mutating func skip() throws(IngotError) {
    switch try peek() {
    case .null: try word("null")
    case .bool: _ = try bool()
    case .number: _ = try number()
    case .string:
      let text = try scanString()
      if text.hasEscapes {
        var unescaped: [UInt8] = []
        try unescape(text.range, into: &unescaped)
      }
    case .array: try array { (_, cursor) throws(IngotError) in try cursor.skip() }
    case .object: try members { (_, cursor) throws(IngotError) in try cursor.skip() }
    }
  }

  /// The next value as a tree.
  package mutating func value() throws(IngotError) -> JSONValue {
    switch try peek() {
    case .null:
      try word("null")
      return .null
    case .bool: return .bool(try bool())
    case .number: return try number()
    case .string: return .string(try string())
    case .array:
      var elements: [JSONValue] = []
      try array { (_, cursor) throws(IngotError) in elements.append(try cursor.value()) }
      return .array(elements)
    case .object:
      var object = JSONObject()
      try self.object { (name, cursor) throws(IngotError) in
        object.append(name, try cursor.value())
      }
      return .object(object)
    }
  }
}

// MARK: The lowest level

extension JSONCursor {
  mutating func skipWhiteSpace() {
    while offset < bytes.count {
      switch bytes[offset] {
      case 0x20, 0x0A, 0x0D, 0x09: offset += 1
      default: return
      }
    }
  }

  /// Demands that the next value is of this kind; leaves the cursor on its first byte.
  mutating func expect(_ kind: Kind) throws(IngotError) {
    let found = try peek()
    guard found == kind else {
      throw IngotError("json.type", "expected \(kind.name), found \(found.name)", offset: offset)
    }
  }

  /// Consumes this byte if it comes next, after white space.
  mutating func consume(_ byte: UInt8) -> Bool {
    skipWhiteSpace()
    guard offset < bytes.count, bytes[offset] == byte else { return false }
    offset += 1
    return true
  }

  mutating func word(_ word: StaticString) throws(IngotError) {
    let start = offset
    for index in 0..<word.utf8CodeUnitCount {
      // Safe: the index stays below the literal's own length.
      guard offset < bytes.count, bytes[offset] == (word.utf8Start + index).pointee else {
        throw IngotError("json.syntax", "expected \(word)", offset: start)
      }
      offset += 1
    }
  }

  func syntax(_ message: String) -> IngotError {
    IngotError("json.syntax", message, offset: offset)
  }

  func endOfText(_ expected: String) -> IngotError {
    IngotError("json.syntax", "ends where \(expected) was expected", offset: bytes.count)
  }

  /// A byte for a message: `'x'`, or its number when it is not printable ASCII.
  static func shown(_ byte: UInt8) -> String {
    (0x21...0x7E).contains(byte)
      ? "'\(Character(Unicode.Scalar(byte)))'" : "byte 0x" + String(byte, radix: 16)
  }
}
