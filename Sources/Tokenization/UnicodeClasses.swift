/// What the pre-tokenizer and the normaliser need to know of each code point, one byte each.
///
/// The classes are part of the program, not taken from the operating system's Unicode version:
/// ids must not depend on where the program runs, and must equal the reference's. Tests compare
/// the tables with the standard library's own properties.
struct UnicodeClasses: Sendable {
  static let letter: UInt8 = 1
  static let number: UInt8 = 2
  static let space: UInt8 = 4
  /// `\r` or `\n`; these are spaces too.
  static let newline: UInt8 = 8
  /// May be changed, moved or joined to the one before it by normalisation form C.
  static let composes: UInt8 = 16
  /// A bit of these means: not matched by `[^\s\p{L}\p{N}]`.
  static let wordOrSpace: UInt8 = letter | number | space

  /// No code point from here on has a class (the last letter is U+323AF).
  private static let limit = 0x32400
  // Safe: filled once below, read-only from then on, never freed; `limit` bytes long.
  private nonisolated(unsafe) let table: UnsafePointer<UInt8>

  /// Filling 200 KiB takes well below a millisecond; done once, when first needed. A pointer, not
  /// an array: the matcher's loops must not count references.
  static let shared = UnicodeClasses()

  private init() {
    let table = UnsafeMutablePointer<UInt8>.allocate(capacity: Self.limit)
    table.initialize(repeating: 0, count: Self.limit)
    func add(_ ranges: [UInt32], _ bit: UInt8) {
      for index in stride(from: 0, to: ranges.count, by: 2) {
        for point in ranges[index]...ranges[index + 1] { table[Int(point)] |= bit }
      }
    }
    add(Self.letterRanges, Self.letter)
    add(Self.numberRanges, Self.number)
    add(Self.spaceRanges, Self.space)
    add(Self.compositionRanges, Self.composes)
    for newline in [0x0A, 0x0D] { table[newline] |= Self.newline }
    self.table = UnsafePointer(table)
  }

  /// `\s`: the property White_Space, unchanged since Unicode 6.3.
  static let spaceRanges: [UInt32] = [
    0x0009, 0x000D, 0x0020, 0x0020, 0x0085, 0x0085, 0x00A0, 0x00A0, 0x1680, 0x1680, 0x2000, 0x200A,
    0x2028, 0x2029, 0x202F, 0x202F, 0x205F, 0x205F, 0x3000, 0x3000,
  ]

  @inline(__always)
  subscript(codePoint: Int) -> UInt8 {
    // Safe: the index is checked on both sides; code points are not negative anyway.
    UInt(bitPattern: codePoint) < UInt(bitPattern: Self.limit) ? table[codePoint] : 0
  }
}

extension UnicodeClasses {
  /// The classes of the scalar that starts at `position` of well-formed UTF-8, and its length.
  @inline(__always)
  func classes(
    in text: borrowing Span<UInt8>, at position: Int
  ) -> (classes: UInt8, length: Int) {
    let lead = text[position]
    if lead < 0x80 { return (self[Int(lead)], 1) }
    let (value, length) = Self.scalar(in: text, at: position)
    return (self[value], length)
  }

  /// The scalar that starts at `position` of well-formed UTF-8, and its length in bytes.
  @inline(__always)
  static func scalar(in text: borrowing Span<UInt8>, at position: Int) -> (value: Int, length: Int)
  {
    let lead = Int(text[position])
    if lead < 0x80 { return (lead, 1) }
    func tail(_ index: Int) -> Int { Int(text[position + index] & 0x3F) }
    if lead < 0xE0 { return ((lead & 0x1F) << 6 | tail(1), 2) }
    if lead < 0xF0 { return ((lead & 0x0F) << 12 | tail(1) << 6 | tail(2), 3) }
    return ((lead & 0x07) << 18 | tail(1) << 12 | tail(2) << 6 | tail(3), 4)
  }

  /// Where the scalar before `position` (> 0) starts.
  static func scalarStart(before position: Int, in text: borrowing Span<UInt8>) -> Int {
    var start = position - 1
    while start > 0, text[start] & 0xC0 == 0x80 { start -= 1 }
    return start
  }
}
