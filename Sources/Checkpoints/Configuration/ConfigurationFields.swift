import Bytes

/// Typed access to the members of a configuration file; a value of the wrong type is an error
/// that names the field.
struct ConfigurationFields {
  let object: JSONObject
  /// Prefix of field names in messages: `rope_scaling.` for a nested object.
  var prefix = ""

  /// Parses a document that must be an object.
  init(parsing bytes: [UInt8]) throws(IngotError) {
    guard let object = try JSONValue(parsing: bytes).object else {
      throw IngotError("config.type", "is JSON, but not an object")
    }
    self.object = object
  }

  init(object: JSONObject, prefix: String) {
    self.object = object
    self.prefix = prefix
  }

  /// The field's value; nil when it is absent or null.
  func value(_ name: String) -> JSONValue? {
    guard let value = object[name], !value.isNull else { return nil }
    return value
  }

  func isPresent(_ name: String) -> Bool { object[name] != nil }

  /// An integer; nil when absent or null.
  func integer(_ name: String) throws(IngotError) -> Int? {
    guard let value = value(name) else { return nil }
    if case .hugeInteger(let digits) = value {
      throw IngotError("config.range", "\(prefix)\(name) is out of range: \(digits)")
    }
    guard let integer = value.integer else { throw mismatch(name, "an integer", value) }
    return integer
  }

  /// An integer with a default for when it is absent; null is refused.
  func integer(_ name: String, default: Int) throws(IngotError) -> Int {
    guard let field = object[name] else { return `default` }
    guard let integer = try integer(name) else { throw mismatch(name, "an integer", field) }
    return integer
  }

  /// Any number; nil when absent or null.
  func number(_ name: String) throws(IngotError) -> Double? {
    guard let value = value(name) else { return nil }
    guard let number = value.number else { throw mismatch(name, "a number", value) }
    guard number.isFinite else {
      throw IngotError("config.range", "\(prefix)\(name) is out of range")
    }
    return number
  }

  /// A boolean; nil when absent or null.
  func bool(_ name: String) throws(IngotError) -> Bool? {
    guard let value = value(name) else { return nil }
    guard let bool = value.bool else { throw mismatch(name, "a boolean", value) }
    return bool
  }

  /// A string; nil when absent or null.
  func string(_ name: String) throws(IngotError) -> String? {
    guard let value = value(name) else { return nil }
    guard let string = value.string else { throw mismatch(name, "a string", value) }
    return string
  }

  /// An array of strings; nil when absent or null.
  func strings(_ name: String) throws(IngotError) -> [String]? {
    guard let value = value(name) else { return nil }
    guard let array = value.array else { throw mismatch(name, "an array of strings", value) }
    var strings: [String] = []
    for element in array {
      guard let string = element.string else {
        throw mismatch(name, "an array of strings", element)
      }
      strings.append(string)
    }
    return strings
  }

  /// One token id or a list of them; empty when absent or null.
  func tokens(_ name: String) throws(IngotError) -> [Int] {
    guard let value = value(name) else { return [] }
    var tokens: [Int] = []
    for element in value.array ?? [value] {
      guard let token = element.integer else {
        throw mismatch(name, "a token id or a list of token ids", element)
      }
      tokens.append(token)
    }
    return tokens
  }

  func mismatch(_ name: String, _ expected: String, _ found: JSONValue) -> IngotError {
    IngotError("config.type", "\(prefix)\(name) should be \(expected), but holds \(found.kindName)")
  }
}
