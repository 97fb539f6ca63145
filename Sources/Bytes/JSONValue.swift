/// A JSON document as a tree; object members keep the order of the text.
///
/// Reading is strict (see `JSONCursor`). For large inputs of a known form, such as a vocabulary,
/// walk the text with `JSONCursor` instead of building a tree.
package enum JSONValue: Sendable, Equatable {
  case null
  case bool(Bool)
  /// A number written without fraction or exponent that fits `Int`.
  case integer(Int)
  /// A number written without fraction or exponent that does not fit `Int`, as its digits.
  case hugeInteger(String)
  /// Any other number, correctly rounded; always finite when it was parsed.
  case double(Double)
  case string(String)
  case array([JSONValue])
  case object(JSONObject)
}

/// The members of a JSON object in the order of the text; no name occurs twice in a parsed one.
package struct JSONObject: Sendable, Equatable, RandomAccessCollection {
  package struct Member: Sendable, Equatable {
    package let name: String
    package let value: JSONValue
  }

  package private(set) var members: [Member] = []

  package init() {}

  package mutating func append(_ name: String, _ value: JSONValue) {
    members.append(Member(name: name, value: value))
  }

  /// The value of the member with exactly these UTF-8 bytes as its name; linear in the members.
  ///
  /// Not `==` on strings, which would take a composed and a decomposed accent for the same name.
  package subscript(name: String) -> JSONValue? {
    members.first { $0.name.utf8.elementsEqual(name.utf8) }?.value
  }

  package var startIndex: Int { 0 }
  package var endIndex: Int { members.count }
  package subscript(position: Int) -> Member { members[position] }
}

// MARK: Reading

extension JSONValue {
  /// Parses a whole document: one value, white space around it, nothing else.
  ///
  /// - Throws: the `json.…` errors of `JSONCursor`, with the byte offset.
  package init(
    parsing bytes: [UInt8], maximumDepth: Int = JSONCursor.defaultMaximumDepth
  ) throws(IngotError) {
    var cursor = try JSONCursor(bytes, maximumDepth: maximumDepth)
    self = try cursor.value()
    try cursor.end()
  }

  package var isNull: Bool { self == .null }

  package var bool: Bool? {
    if case .bool(let value) = self { value } else { nil }
  }

  package var integer: Int? {
    if case .integer(let value) = self { value } else { nil }
  }

  /// The value of any number, integers included, rounded to the nearest double: an infinity for an
  /// integer of more than 308 digits.
  package var number: Double? {
    switch self {
    case .integer(let value): Double(value)
    case .hugeInteger(let digits): Double(digits)
    case .double(let value): value
    default: nil
    }
  }

  package var string: String? {
    if case .string(let value) = self { value } else { nil }
  }

  package var array: [JSONValue]? {
    if case .array(let value) = self { value } else { nil }
  }

  package var object: JSONObject? {
    if case .object(let value) = self { value } else { nil }
  }

  /// What this is, for messages: `a string`, `an integer`.
  package var kindName: String {
    switch self {
    case .null: "null"
    case .bool: "a boolean"
    case .integer, .hugeInteger: "an integer"
    case .double: "a number with a fraction or an exponent"
    case .string: "a string"
    case .array: "an array"
    case .object: "an object"
    }
  }
}

// MARK: Literals, so that reports read like the JSON they write

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral,
  ExpressibleByFloatLiteral, ExpressibleByBooleanLiteral, ExpressibleByNilLiteral,
  ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
  package init(stringLiteral value: String) { self = .string(value) }
  package init(integerLiteral value: Int) { self = .integer(value) }
  package init(floatLiteral value: Double) { self = .double(value) }
  package init(booleanLiteral value: Bool) { self = .bool(value) }
  package init(nilLiteral: ()) { self = .null }
  package init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
  package init(dictionaryLiteral elements: (String, JSONValue)...) {
    var object = JSONObject()
    for (name, value) in elements { object.append(name, value) }
    self = .object(object)
  }
}
