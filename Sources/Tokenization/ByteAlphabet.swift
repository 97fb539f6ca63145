/// The printable stand-ins for bytes in which byte-level vocabularies are written.
///
/// Bytes that print stand for themselves; the others are U+0100, U+0101, … in order of value, so
/// that a space is `Ġ`. Source: `bytes_to_unicode` of GPT-2's `encoder.py`.
enum ByteAlphabet {
  /// The code point of each byte.
  static let codePoints: [UInt32] = {
    var next: UInt32 = 0x100
    return (0..<256).map { byte in
      let prints = (0x21...0x7E).contains(byte) || (0xA1...0xAC).contains(byte) || byte >= 0xAE
      guard !prints else { return UInt32(byte) }
      defer { next += 1 }
      return next
    }
  }()

  /// The byte of each code point below U+0144; −1 where there is none.
  private static let byteValues: [Int16] = {
    var values = [Int16](repeating: -1, count: 0x144)
    for (byte, codePoint) in codePoints.enumerated() { values[Int(codePoint)] = Int16(byte) }
    return values
  }()

  /// The bytes that a vocabulary entry stands for.
  ///
  /// An entry with any character outside the alphabet stands for its own UTF-8 bytes, as the
  /// reference's decoder has it.
  static func bytes(of entry: ArraySlice<UInt8>) -> [UInt8] {
    var output: [UInt8] = []
    output.reserveCapacity(entry.count)
    var isInAlphabet = true
    var position = 0
    while position < entry.count, isInAlphabet {
      let (value, length) = UnicodeClasses.scalar(in: entry.span, at: position)
      let byte = value < byteValues.count ? byteValues[value] : -1
      isInAlphabet = byte >= 0
      if isInAlphabet { output.append(UInt8(byte)) }
      position += length
    }
    return isInAlphabet ? output : Array(entry)
  }

  /// The entry that stands for one byte.
  static func entry(of byte: UInt8) -> [UInt8] {
    Array(String(Unicode.Scalar(codePoints[Int(byte)])!).utf8)
  }
}
