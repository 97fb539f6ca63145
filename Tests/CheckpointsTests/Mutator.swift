import TestSupport

/// Damages bytes in the ways that find faults in parsers of JSON and of length-prefixed files.
struct Mutator {
  private var generator: SeededGenerator

  init(seed: UInt64) { generator = SeededGenerator(seed: seed) }

  /// Fragments that parsers have stumbled over.
  private static let fragments: [[UInt8]] = texts.map { Array($0.utf8) } + illFormed
  private static let illFormed: [[UInt8]] = [[0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0x80]]
  private static let texts = [
    "-1", "0", "18446744073709551615", "9223372036854775807", "9223372036854775808", "1e309",
    "-0", "1.0", "4611686018427387904", "[[[[[[[[", "{\"a\":{\"a\":{\"a\":", "]]", "}}", "null",
    "true", "\"\"", "\\ud800", "\\u0000", "\\", "\"", ",", ":", "{", "}", "[", "]", "NaN",
    "\"__metadata__\":{\"a\":\"b\"},", "\"dtype\":\"F32\",", "\"shape\":[0],", "../", "/etc/passwd",
    "\n", "\r\n", "\u{FEFF}", "e\u{301}", "\u{10FFFF}", "\0", "qwen3", "F8_E4M3",
  ]

  /// One to four changes to `bytes`; pieces of `other` may be spliced in.
  mutating func mutate(_ bytes: [UInt8], with other: [UInt8]) -> [UInt8] {
    var result = bytes
    for _ in 0..<Int.random(in: 1...4, using: &generator) { change(&result, other) }
    return result
  }

  private mutating func change(_ bytes: inout [UInt8], _ other: [UInt8]) {
    let position = Int.random(in: 0...bytes.count, using: &generator)
    let length = Int.random(in: 0...min(24, bytes.count - position), using: &generator)
    let range = position..<position + length
    switch Int.random(in: 0..<9, using: &generator) {
    case 0:
      guard position < bytes.count else { return }
      bytes[position] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
    case 1:
      guard position < bytes.count else { return }
      bytes[position] = UInt8.random(in: 0...255, using: &generator)
    case 2: bytes.removeSubrange(range)
    case 3: bytes.insert(contentsOf: Array(bytes[range]), at: position)
    case 4: bytes.removeSubrange(position...)
    case 5, 6:
      let fragment = Self.fragments.randomElement(using: &generator) ?? []
      bytes.replaceSubrange(range, with: fragment)
    case 7:
      let digits = bytes.indices.filter { (0x30...0x39).contains(bytes[$0]) }
      guard let digit = digits.randomElement(using: &generator) else { return }
      bytes[digit] = UInt8.random(in: 0x30...0x39, using: &generator)
    default:
      guard !other.isEmpty else { return }
      let start = Int.random(in: 0..<other.count, using: &generator)
      let end = min(other.count, start + Int.random(in: 1...64, using: &generator))
      bytes.replaceSubrange(range, with: other[start..<end])
    }
  }
}
