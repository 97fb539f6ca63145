package import Bytes

extension JSONValue {
  /// The JSON of a `Codable` value; object members in the order in which they are encoded, so the
  /// same value always gives the same bytes. NaN and infinities become null.
  package init(encoding value: some Encodable) throws(IngotError) {
    let node = ValueNode()
    do {
      try value.encode(to: NodeEncoder(node: node, codingPath: []))
    } catch {
      throw IngotError("report.encode", "cannot be written as JSON: \(error)")
    }
    self = node.value
  }
}

/// A place in the document that is being built.
private final class ValueNode {
  enum Content {
    case leaf(JSONValue)
    case array([ValueNode])
    case object([(name: String, node: ValueNode)])
  }

  var content = Content.leaf(.null)

  var value: JSONValue {
    switch content {
    case .leaf(let value): return value
    case .array(let nodes): return .array(nodes.map(\.value))
    case .object(let members):
      var object = JSONObject()
      for member in members { object.append(member.name, member.node.value) }
      return .object(object)
    }
  }

  func beginObject() { if case .object = content {} else { content = .object([]) } }
  func beginArray() { if case .array = content {} else { content = .array([]) } }

  func member(_ name: String) -> ValueNode {
    let node = ValueNode()
    if case .object(let members) = content { content = .object(members + [(name, node)]) }
    return node
  }

  func element() -> ValueNode {
    let node = ValueNode()
    if case .array(var nodes) = content {
      content = .leaf(.null)
      nodes.append(node)
      content = .array(nodes)
    }
    return node
  }

  var elementCount: Int { if case .array(let nodes) = content { nodes.count } else { 0 } }
}

private struct NodeEncoder: Encoder {
  let node: ValueNode
  let codingPath: [any CodingKey]
  var userInfo: [CodingUserInfoKey: Any] { [:] }

  func container<Key>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
    node.beginObject()
    return KeyedEncodingContainer(KeyedNodes<Key>(node: node, codingPath: codingPath))
  }

  func unkeyedContainer() -> any UnkeyedEncodingContainer {
    node.beginArray()
    return UnkeyedNodes(node: node, codingPath: codingPath)
  }

  func singleValueContainer() -> any SingleValueEncodingContainer {
    SingleNode(node: node, codingPath: codingPath)
  }
}

private struct KeyedNodes<Key: CodingKey>: KeyedEncodingContainerProtocol {
  let node: ValueNode
  let codingPath: [any CodingKey]

  private func encoder(_ key: Key) -> NodeEncoder {
    NodeEncoder(node: node.member(key.stringValue), codingPath: codingPath + [key])
  }

  func encodeNil(forKey key: Key) { _ = encoder(key) }
  func encode<T: Encodable>(_ value: T, forKey key: Key) throws {
    try encoder(key).encode(value)
  }
  func nestedContainer<Nested>(
    keyedBy type: Nested.Type, forKey key: Key
  ) -> KeyedEncodingContainer<Nested> { encoder(key).container(keyedBy: type) }
  func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
    encoder(key).unkeyedContainer()
  }
  func superEncoder() -> any Encoder { NodeEncoder(node: node, codingPath: codingPath) }
  func superEncoder(forKey key: Key) -> any Encoder { encoder(key) }
}

private struct UnkeyedNodes: UnkeyedEncodingContainer {
  let node: ValueNode
  let codingPath: [any CodingKey]
  var count: Int { node.elementCount }

  private func encoder() -> NodeEncoder {
    NodeEncoder(node: node.element(), codingPath: codingPath)
  }

  func encodeNil() { _ = encoder() }
  func encode<T: Encodable>(_ value: T) throws { try encoder().encode(value) }
  func nestedContainer<Nested>(
    keyedBy type: Nested.Type
  ) -> KeyedEncodingContainer<Nested> { encoder().container(keyedBy: type) }
  func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer { encoder().unkeyedContainer() }
  func superEncoder() -> any Encoder { encoder() }
}

private struct SingleNode: SingleValueEncodingContainer {
  let node: ValueNode
  let codingPath: [any CodingKey]

  func encodeNil() { node.content = .leaf(.null) }
  func encode<T: Encodable>(_ value: T) throws {
    try NodeEncoder(node: node, codingPath: codingPath).encode(value)
  }
}

extension NodeEncoder {
  /// Scalars become leaves; everything else encodes itself.
  func encode(_ value: some Encodable) throws {
    switch value {
    case let value as Bool: node.content = .leaf(.bool(value))
    case let value as String: node.content = .leaf(.string(value))
    case let value as Double: node.content = .leaf(value.isFinite ? .double(value) : .null)
    case let value as Float:
      // Through its shortest decimal, so that 0.1 stays 0.1 in the text.
      node.content = .leaf(value.isFinite ? .double(Double(value.description) ?? 0) : .null)
    case let value as any BinaryInteger: node.content = .leaf(Self.integer(value))
    default: try value.encode(to: self)
    }
  }

  private static func integer(_ value: some BinaryInteger) -> JSONValue {
    Int(exactly: value).map(JSONValue.integer) ?? .hugeInteger(String(value))
  }
}
