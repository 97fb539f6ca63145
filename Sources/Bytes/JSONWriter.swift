/// Writes JSON as UTF-8, the same bytes for the same calls: members in the order given, shortest
/// decimals that read back as the same number.
///
/// ```swift
/// var writer = JSONWriter(style: .pretty)
/// writer.object { writer in
///   writer.member("verdict", "pass")
///   writer.key("ids")
///   writer.array { writer in for id in ids { writer.value(id) } }
/// }
/// print(writer.text)
/// ```
package struct JSONWriter: Sendable {
  package enum Style: Sendable {
    /// No white space at all: one object a line.
    case compact
    /// Two spaces a level, `"name": value`.
    case pretty
  }

  package private(set) var bytes: [UInt8] = []
  private let style: Style
  /// Whether each open container has an element already.
  private var open: [Bool] = []
  private var isAfterKey = false

  package init(style: Style = .compact) { self.style = style }

  package var text: String { String(decoding: bytes, as: UTF8.self) }

  // MARK: Containers

  package mutating func object(_ body: (inout JSONWriter) throws -> Void) rethrows {
    beginObject()
    try body(&self)
    endObject()
  }

  package mutating func array(_ body: (inout JSONWriter) throws -> Void) rethrows {
    beginArray()
    try body(&self)
    endArray()
  }

  package mutating func beginObject() { begin("{") }
  package mutating func endObject() { end("}") }
  package mutating func beginArray() { begin("[") }
  package mutating func endArray() { end("]") }

  /// Starts a member: the next value belongs to this name.
  package mutating func key(_ name: String) {
    precondition(!isAfterKey, "a key follows a key")
    prepareValue()
    quote(name)
    append(style == .pretty ? ": " : ":")
    isAfterKey = true
  }

  // MARK: Values

  package mutating func value(_ value: String) {
    prepareValue()
    quote(value)
  }

  package mutating func value(_ value: Int) {
    prepareValue()
    append(String(value))
  }

  package mutating func value(_ value: Bool) {
    prepareValue()
    append(value ? "true" : "false")
  }

  /// Writes the shortest decimal that reads back as this double; null for NaN and infinities,
  /// which JSON does not have.
  package mutating func value(_ value: Double) {
    prepareValue()
    append(value.isFinite ? value.description : "null")
  }

  /// Writes the shortest decimal that reads back as this float; null for NaN and infinities.
  package mutating func value(_ value: Float) {
    prepareValue()
    append(value.isFinite ? value.description : "null")
  }

  package mutating func null() {
    prepareValue()
    append("null")
  }

  /// Writes a tree.
  package mutating func value(_ value: JSONValue) {
    switch value {
    case .null: null()
    case .bool(let value): self.value(value)
    case .integer(let value): self.value(value)
    case .hugeInteger(let digits):
      prepareValue()
      append(digits)
    case .double(let value): self.value(value)
    case .string(let value): self.value(value)
    case .array(let elements):
      array { writer in for element in elements { writer.value(element) } }
    case .object(let members):
      object { writer in
        for member in members {
          writer.key(member.name)
          writer.value(member.value)
        }
      }
    }
  }

  package mutating func member(_ name: String, _ value: String) {
    key(name)
    self.value(value)
  }

  package mutating func member(_ name: String, _ value: Int) {
    key(name)
    self.value(value)
  }

  package mutating func member(_ name: String, _ value: Double) {
    key(name)
    self.value(value)
  }

  package mutating func member(_ name: String, _ value: Bool) {
    key(name)
    self.value(value)
  }

  package mutating func member(_ name: String, _ value: JSONValue) {
    key(name)
    self.value(value)
  }

  // MARK: Bytes

  private mutating func append(_ text: String) { bytes.append(contentsOf: text.utf8) }

  private mutating func begin(_ bracket: String) {
    prepareValue()
    append(bracket)
    open.append(false)
  }

  private mutating func end(_ bracket: String) {
    precondition(!isAfterKey, "a key has no value")
    let hadElements = open.removeLast()
    if hadElements { newLine() }
    append(bracket)
  }

  /// Writes the comma and line break that come before a value or a key.
  private mutating func prepareValue() {
    if isAfterKey {
      isAfterKey = false
      return
    }
    guard let hasElements = open.last else { return }
    if hasElements { append(",") }
    open[open.count - 1] = true
    newLine()
  }

  private mutating func newLine() {
    guard style == .pretty else { return }
    bytes.append(UInt8(ascii: "\n"))
    bytes.append(contentsOf: repeatElement(UInt8(ascii: " "), count: 2 * open.count))
  }

  private mutating func quote(_ text: String) {
    bytes.append(UInt8(ascii: "\""))
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"):
        bytes.append(UInt8(ascii: "\\"))
        bytes.append(byte)
      case 0x0A: append("\\n")
      case 0x0D: append("\\r")
      case 0x09: append("\\t")
      case 0x00..<0x20: append("\\u00" + (byte < 16 ? "0" : "") + String(byte, radix: 16))
      default: bytes.append(byte)
      }
    }
    bytes.append(UInt8(ascii: "\""))
  }
}

extension JSONValue {
  /// The tree as text; see `JSONWriter`.
  package func serialized(_ style: JSONWriter.Style = .compact) -> [UInt8] {
    var writer = JSONWriter(style: style)
    writer.value(self)
    return writer.bytes
  }
}
