package import Bytes

extension JSONValue {
  /// Reads a `Codable` value from JSON that came from a file.
  ///
  /// - Throws: `report.malformed`, saying which member is missing or of another kind.
  package func decoded<Value: Decodable>(as type: Value.Type) throws(IngotError) -> Value {
    do {
      return try Value(from: TreeDecoder(value: self, codingPath: []))
    } catch let error as IngotError {
      throw error
    } catch {
      throw IngotError(
        "report.malformed", "is not a parity report of this version: \(Self.explained(error))",
        advice: "Write it anew with `ingot verify`.")
    }
  }

  private static func explained(_ error: any Error) -> String {
    func path(_ context: DecodingError.Context) -> String {
      let names = context.codingPath.map(\.stringValue)
      return (names.isEmpty ? "the document" : names.joined(separator: "."))
        + ": " + context.debugDescription
    }
    switch error as? DecodingError {
    case .keyNotFound(_, let context), .valueNotFound(_, let context),
      .typeMismatch(_, let context), .dataCorrupted(let context):
      return path(context)
    default: return "\(error)"
    }
  }
}

private struct TreeKey: CodingKey {
  let stringValue: String
  let intValue: Int?
  init(stringValue: String) {
    self.stringValue = stringValue
    intValue = nil
  }
  init(intValue: Int) {
    stringValue = "[\(intValue)]"
    self.intValue = intValue
  }
}

private struct TreeDecoder: Decoder {
  let value: JSONValue
  let codingPath: [any CodingKey]
  var userInfo: [CodingUserInfoKey: Any] { [:] }

  func mismatch(_ expected: String) -> DecodingError {
    .typeMismatch(
      Any.self,
      .init(codingPath: codingPath, debugDescription: "\(expected) expected, \(value.kindName)"))
  }

  func container<Key>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
    guard let object = value.object else { throw mismatch("an object") }
    return KeyedDecodingContainer(KeyedTree<Key>(object: object, codingPath: codingPath))
  }

  func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
    guard let array = value.array else { throw mismatch("an array") }
    return UnkeyedTree(array: array, codingPath: codingPath)
  }

  func singleValueContainer() -> any SingleValueDecodingContainer { SingleTree(decoder: self) }

  /// Scalars are read here; everything else decodes itself.
  func decode<T: Decodable>(_ type: T.Type) throws -> T {
    func cast(_ scalar: Any?, _ expected: String) throws -> T {
      guard let scalar = scalar as? T else { throw mismatch(expected) }
      return scalar
    }
    switch type {
    case is Bool.Type: return try cast(value.bool, "a boolean")
    case is String.Type: return try cast(value.string, "a string")
    case is Double.Type: return try cast(value.number, "a number")
    case is Float.Type: return try cast(value.number.map { Float($0) }, "a number")
    case let integer as any FixedWidthInteger.Type:
      return try cast(Self.integer(value, integer), "an integer in range")
    default: return try T(from: self)
    }
  }

  private static func integer<I: FixedWidthInteger>(_ value: JSONValue, _ type: I.Type) -> I? {
    switch value {
    case .integer(let number): I(exactly: number)
    case .hugeInteger(let digits): I(digits)
    default: nil
    }
  }
}

private struct KeyedTree<Key: CodingKey>: KeyedDecodingContainerProtocol {
  let object: JSONObject
  let codingPath: [any CodingKey]
  var allKeys: [Key] { object.compactMap { Key(stringValue: $0.name) } }

  private func decoder(_ key: some CodingKey) throws -> TreeDecoder {
    guard let value = object[key.stringValue] else {
      throw DecodingError.keyNotFound(
        key, .init(codingPath: codingPath + [key], debugDescription: "is missing"))
    }
    return TreeDecoder(value: value, codingPath: codingPath + [key])
  }

  func contains(_ key: Key) -> Bool { object[key.stringValue] != nil }
  func decodeNil(forKey key: Key) throws -> Bool { try decoder(key).value.isNull }
  func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T {
    try decoder(key).decode(type)
  }
  func nestedContainer<Nested>(
    keyedBy type: Nested.Type, forKey key: Key
  ) throws -> KeyedDecodingContainer<Nested> { try decoder(key).container(keyedBy: type) }
  func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
    try decoder(key).unkeyedContainer()
  }
  func superDecoder() throws -> any Decoder { try decoder(TreeKey(stringValue: "super")) }
  func superDecoder(forKey key: Key) throws -> any Decoder { try decoder(key) }
}

private struct UnkeyedTree: UnkeyedDecodingContainer {
  let array: [JSONValue]
  let codingPath: [any CodingKey]
  var currentIndex = 0
  var count: Int? { array.count }
  var isAtEnd: Bool { currentIndex >= array.count }

  init(array: [JSONValue], codingPath: [any CodingKey]) {
    self.array = array
    self.codingPath = codingPath
  }

  private mutating func next() throws -> TreeDecoder {
    let path = codingPath + [TreeKey(intValue: currentIndex)]
    guard !isAtEnd else {
      throw DecodingError.valueNotFound(
        Any.self, .init(codingPath: path, debugDescription: "the array is too short"))
    }
    defer { currentIndex += 1 }
    return TreeDecoder(value: array[currentIndex], codingPath: path)
  }

  mutating func decodeNil() throws -> Bool {
    guard !isAtEnd, array[currentIndex].isNull else { return false }
    currentIndex += 1
    return true
  }
  mutating func decode<T: Decodable>(_ type: T.Type) throws -> T { try next().decode(type) }
  mutating func nestedContainer<Nested>(
    keyedBy type: Nested.Type
  ) throws -> KeyedDecodingContainer<Nested> { try next().container(keyedBy: type) }
  mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
    try next().unkeyedContainer()
  }
  mutating func superDecoder() throws -> any Decoder { try next() }
}

private struct SingleTree: SingleValueDecodingContainer {
  let decoder: TreeDecoder
  var codingPath: [any CodingKey] { decoder.codingPath }
  func decodeNil() -> Bool { decoder.value.isNull }
  func decode<T: Decodable>(_ type: T.Type) throws -> T { try decoder.decode(type) }
}
