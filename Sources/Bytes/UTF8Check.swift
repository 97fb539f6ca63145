/// Finds bytes that are not well-formed UTF-8 (Unicode 16, table 3-7).
package enum UTF8Check {
  /// The offset of the first byte of the first ill-formed sequence, or nil.
  package static func firstInvalidOffset(in bytes: [UInt8]) -> Int? {
    bytes.withUnsafeBytes { firstInvalidOffset(in: $0) }
  }

  /// The offset of the first byte of the first ill-formed sequence, or nil.
  package static func firstInvalidOffset(in bytes: UnsafeRawBufferPointer) -> Int? {
    var position = 0
    while position < bytes.count {
      // Eight ASCII bytes at a time.
      while position + 8 <= bytes.count,
        // Safe: the eight bytes lie inside the buffer.
        bytes.loadUnaligned(fromByteOffset: position, as: UInt64.self) & 0x8080_8080_8080_8080 == 0
      {
        position += 8
      }
      guard position < bytes.count else { break }
      let length = sequenceLength(in: bytes, at: position)
      guard length > 0 else { return position }
      position += length
    }
    return nil
  }

  /// Bytes of the sequence that starts here, 0 when it is ill-formed.
  private static func sequenceLength(in bytes: UnsafeRawBufferPointer, at position: Int) -> Int {
    let lead = bytes[position]
    if lead < 0x80 { return 1 }
    let (length, second) = form(lead)
    guard length > 0, position + length <= bytes.count, second.contains(bytes[position + 1]) else {
      return 0
    }
    for index in position + 2..<max(position + length, position + 2)
    where bytes[index] & 0xC0 != 0x80 { return 0 }
    return length
  }

  /// Length of a sequence with this lead byte and the values its second byte may have; overlong
  /// forms, surrogates and values above U+10FFFF are excluded there.
  package static func form(_ lead: UInt8) -> (length: Int, second: ClosedRange<UInt8>) {
    switch lead {
    case 0xC2...0xDF: (2, 0x80...0xBF)
    case 0xE0: (3, 0xA0...0xBF)
    case 0xED: (3, 0x80...0x9F)
    case 0xE1...0xEF: (3, 0x80...0xBF)
    case 0xF0: (4, 0x90...0xBF)
    case 0xF1...0xF3: (4, 0x80...0xBF)
    case 0xF4: (4, 0x80...0x8F)
    default: (0, 0x80...0xBF)
    }
  }
}
