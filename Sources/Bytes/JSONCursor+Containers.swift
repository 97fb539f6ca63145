extension JSONCursor {
  /// Walks an array; `body` must consume exactly one value, the element at the given index.
  package mutating func array(
    _ body: (_ index: Int, _ cursor: inout JSONCursor) throws(IngotError) -> Void
  ) throws(IngotError) {
    try expect(.array)
    try enter()
    var index = 0
    if !consume(UInt8(ascii: "]")) {
      repeat {
        try element { (cursor) throws(IngotError) in try body(index, &cursor) }
        index += 1
      } while try another(closing: UInt8(ascii: "]"))
    }
    depth -= 1
  }

  /// Walks an object; `body` must consume exactly one value, that of the member it is given.
  ///
  /// - Throws: `json.duplicateKey` when a name comes again; whatever `body` throws.
  package mutating func object(
    _ body: (_ name: String, _ cursor: inout JSONCursor) throws(IngotError) -> Void
  ) throws(IngotError) {
    try members { (text, cursor) throws(IngotError) in
      let name = String(decoding: cursor.nameBytes(text), as: UTF8.self)
      try body(name, &cursor)
    }
  }

  /// Walks an object without making strings of its names.
  mutating func members(
    _ body: (_ name: JSONText, _ cursor: inout JSONCursor) throws(IngotError) -> Void
  ) throws(IngotError) {
    try expect(.object)
    try enter()
    let firstKey = keys.count
    let firstUnescaped = unescapedKeys.count
    var index = JSONKeyIndex()
    if !consume(UInt8(ascii: "}")) {
      repeat {
        let name = try key(after: firstKey, &index)
        try element { (cursor) throws(IngotError) in try body(name, &cursor) }
      } while try another(closing: UInt8(ascii: "}"))
    }
    keys.removeSubrange(firstKey...)
    unescapedKeys.removeSubrange(firstUnescaped...)
    depth -= 1
  }

  /// The bytes of a name of an open object.
  func nameBytes(_ name: JSONText) -> ArraySlice<UInt8> {
    name.hasEscapes ? unescapedKeys[name.range] : bytes[name.range]
  }

  private mutating func enter() throws(IngotError) {
    guard depth < maximumDepth else {
      throw IngotError(
        "json.depth", "nests deeper than \(maximumDepth) objects and arrays", offset: offset)
    }
    depth += 1
    offset += 1
  }

  private mutating func element(
    _ body: (inout JSONCursor) throws(IngotError) -> Void
  ) throws(IngotError) {
    skipWhiteSpace()
    let start = offset
    try body(&self)
    precondition(offset > start, "the body of an array or object did not consume its value")
  }

  /// Consumes `,` (true) or the closing byte (false).
  private mutating func another(closing: UInt8) throws(IngotError) -> Bool {
    if consume(UInt8(ascii: ",")) { return true }
    if consume(closing) { return false }
    guard offset < bytes.count else { throw endOfText("',' or '\(Character(.init(closing)))'") }
    throw syntax(
      "expected ',' or '\(Character(.init(closing)))', found \(Self.shown(bytes[offset]))")
  }

  /// Reads `"name":` and demands that the name is new among those from `firstKey` on.
  private mutating func key(
    after firstKey: Int, _ index: inout JSONKeyIndex
  ) throws(IngotError) -> JSONText {
    skipWhiteSpace()
    guard offset < bytes.count else { throw endOfText("a member name") }
    guard bytes[offset] == UInt8(ascii: "\"") else {
      throw syntax("expected a member name, found \(Self.shown(bytes[offset]))")
    }
    let start = offset
    var name = try scanString()
    if name.hasEscapes {
      let unescapedStart = unescapedKeys.count
      try unescape(name.range, into: &unescapedKeys)
      name.range = unescapedStart..<unescapedKeys.count
    }
    guard index.insert(name, in: self, after: firstKey) else {
      let shown = String(decoding: nameBytes(name), as: UTF8.self)
      throw IngotError(
        "json.duplicateKey", "the name \"\(shown)\" comes twice in one object", offset: start)
    }
    keys.append(name)
    guard consume(UInt8(ascii: ":")) else {
      guard offset < bytes.count else { throw endOfText("':'") }
      throw syntax("expected ':', found \(Self.shown(bytes[offset]))")
    }
    return name
  }
}

/// A string's place in the text, or in the buffer of unescaped names when it has escapes.
struct JSONText: Sendable {
  var range: Range<Int>
  var hasEscapes: Bool
}

/// Finds a repeated name: by comparing while an object is small, by hashing once it is not.
struct JSONKeyIndex {
  private static let linearLimit = 8
  /// Positions in `JSONCursor.keys` relative to the object's first, by hash; −1 is free.
  private var slots: [Int32] = []
  private var used = 0

  /// False when the name is there already.
  mutating func insert(_ name: JSONText, in cursor: JSONCursor, after firstKey: Int) -> Bool {
    let count = cursor.keys.count - firstKey
    if count < Self.linearLimit {
      let bytes = cursor.nameBytes(name)
      return !cursor.keys[firstKey...].contains { cursor.nameBytes($0) == bytes }
    }
    if used * 2 >= slots.count {
      grow(count: count, in: cursor, after: firstKey)
    }
    let slot = find(name, in: cursor, after: firstKey)
    guard slots[slot] < 0 else { return false }
    slots[slot] = Int32(count)
    used += 1
    return true
  }

  private mutating func grow(count: Int, in cursor: JSONCursor, after firstKey: Int) {
    slots = Array(repeating: -1, count: max(64, slots.count * 2))
    for position in 0..<count {
      slots[find(cursor.keys[firstKey + position], in: cursor, after: firstKey)] = Int32(position)
    }
    used = count
  }

  /// The slot that holds this name, or the free one where it belongs.
  private func find(_ name: JSONText, in cursor: JSONCursor, after firstKey: Int) -> Int {
    let bytes = cursor.nameBytes(name)
    // The standard library's hash is seeded at random: a file cannot be made to collide.
    var hasher = Hasher()
    bytes.withUnsafeBytes { hasher.combine(bytes: $0) }
    let mask = slots.count - 1
    var slot = hasher.finalize() & mask
    while slots[slot] >= 0, cursor.nameBytes(cursor.keys[firstKey + Int(slots[slot])]) != bytes {
      slot = (slot + 1) & mask
    }
    return slot
  }
}
