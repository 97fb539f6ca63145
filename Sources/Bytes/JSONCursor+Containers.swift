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

  private struct Slot {
    var hash: UInt32
    /// Position in `JSONCursor.keys` relative to the object's first; −1 is free.
    var position: Int32
  }

  private var slots: [Slot] = []
  private var used = 0

  /// False when the name is there already.
  mutating func insert(_ name: JSONText, in cursor: JSONCursor, after firstKey: Int) -> Bool {
    let count = cursor.keys.count - firstKey
    let bytes = cursor.nameBytes(name)
    if count < Self.linearLimit {
      return !cursor.keys[firstKey...].contains { cursor.nameBytes($0) == bytes }
    }
    if slots.isEmpty { index(cursor, firstKey, count) }
    if used * 2 >= slots.count { grow() }
    let hash = Self.hash(bytes)
    var slot = Int(hash) & (slots.count - 1)
    while slots[slot].position >= 0 {
      let other = slots[slot]
      if other.hash == hash,
        cursor.nameBytes(cursor.keys[firstKey + Int(other.position)]) == bytes
      {
        return false
      }
      slot = (slot + 1) & (slots.count - 1)
    }
    // In range: an object has fewer names than its text has bytes (`JSONCursor.maximumBytes`).
    slots[slot] = Slot(hash: hash, position: Int32(count))
    used += 1
    return true
  }

  /// Enters the names that were compared one by one until now.
  private mutating func index(_ cursor: JSONCursor, _ firstKey: Int, _ count: Int) {
    slots = Array(repeating: Slot(hash: 0, position: -1), count: 64)
    for position in 0..<count {
      let hash = Self.hash(cursor.nameBytes(cursor.keys[firstKey + position]))
      place(Slot(hash: hash, position: Int32(position)))
    }
    used = count
  }

  private mutating func grow() {
    let old = slots
    slots = Array(repeating: Slot(hash: 0, position: -1), count: 2 * old.count)
    for slot in old where slot.position >= 0 { place(slot) }
  }

  /// Puts a name that is known to be new into the first free slot.
  private mutating func place(_ entry: Slot) {
    var slot = Int(entry.hash) & (slots.count - 1)
    while slots[slot].position >= 0 { slot = (slot + 1) & (slots.count - 1) }
    slots[slot] = entry
  }

  private static func hash(_ bytes: ArraySlice<UInt8>) -> UInt32 {
    // The standard library's hash is seeded at random: a file cannot be made to collide.
    var hasher = Hasher()
    bytes.withUnsafeBytes { hasher.combine(bytes: $0) }
    return UInt32(truncatingIfNeeded: hasher.finalize())
  }
}
