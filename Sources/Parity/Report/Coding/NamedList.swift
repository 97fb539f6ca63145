/// Values by name in a fixed order: a JSON object whose members stay where they were put.
package struct NamedList<Value: Sendable>: Sendable, RandomAccessCollection {
  package struct Entry: Sendable {
    package let name: String
    package let value: Value
  }

  package private(set) var entries: [Entry] = []

  package init() {}

  package init(_ entries: some Sequence<(String, Value)>) {
    self.entries = entries.map { Entry(name: $0.0, value: $0.1) }
  }

  /// Adds an entry behind the others; the caller does not repeat a name.
  package mutating func append(_ name: String, _ value: Value) {
    entries.append(Entry(name: name, value: value))
  }

  package subscript(name: String) -> Value? { entries.first { $0.name == name }?.value }
  package var startIndex: Int { 0 }
  package var endIndex: Int { entries.count }
  package subscript(position: Int) -> Entry { entries[position] }
}

extension NamedList.Entry: Equatable where Value: Equatable {}
extension NamedList: Equatable where Value: Equatable {}

/// A member's name as a coding key.
private struct EntryKey: CodingKey {
  let stringValue: String
  var intValue: Int? { nil }
  init(stringValue: String) { self.stringValue = stringValue }
  init?(intValue: Int) { nil }
}

extension NamedList: Encodable where Value: Encodable {
  package func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: EntryKey.self)
    for entry in entries {
      try container.encode(entry.value, forKey: EntryKey(stringValue: entry.name))
    }
  }
}

extension NamedList: Decodable where Value: Decodable {
  package init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: EntryKey.self)
    for key in container.allKeys {
      append(key.stringValue, try container.decode(Value.self, forKey: key))
    }
  }
}
