/// Bounds-checked little-endian reads from untrusted bytes.
///
/// Every read checks that its range lies inside, with arithmetic that cannot overflow, and throws
/// `bytes.outside` otherwise: bad data never traps.
package struct ByteReader {
  package let bytes: UnsafeRawBufferPointer
  /// Added to offsets in errors, so that they count from the start of the file.
  package let baseOffset: Int

  /// The buffer must stay valid for as long as the reader is used.
  package init(_ bytes: UnsafeRawBufferPointer, baseOffset: Int = 0) {
    self.bytes = bytes
    self.baseOffset = baseOffset
  }

  package var count: Int { bytes.count }

  /// The bytes of `count` from `offset`.
  ///
  /// - Throws: `bytes.outside` when any of them lies outside, or a number is negative.
  package func slice(at offset: Int, count: Int) throws(IngotError) -> UnsafeRawBufferPointer {
    guard offset >= 0, count >= 0, offset <= bytes.count, count <= bytes.count - offset else {
      throw IngotError(
        "bytes.outside", "needs \(count) bytes at \(offset), but only \(bytes.count) are there",
        offset: offset >= 0 && offset <= bytes.count ? baseOffset + offset : nil)
    }
    return UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + count])
  }

  /// The little-endian integer at `offset`, at any alignment.
  package func integer<T: FixedWidthInteger & BitwiseCopyable>(
    _ type: T.Type = T.self, at offset: Int
  ) throws(IngotError) -> T {
    let source = try slice(at: offset, count: MemoryLayout<T>.size)
    return T(littleEndian: source.loadUnaligned(as: T.self))
  }

  /// A stored u64 as an `Int`.
  ///
  /// - Throws: `bytes.tooLarge` from 2⁶³ on.
  package func size(at offset: Int) throws(IngotError) -> Int {
    let value = try integer(UInt64.self, at: offset)
    guard let size = Int(exactly: value) else {
      throw IngotError(
        "bytes.tooLarge", "the number \(value) is not below 2^63", offset: baseOffset + offset)
    }
    return size
  }

  /// Whether every byte of a range is zero.
  package func isZero(at offset: Int, count: Int) throws(IngotError) -> Bool {
    try slice(at: offset, count: count).allSatisfy { $0 == 0 }
  }
}

/// Appends little-endian numbers to a byte array.
package struct ByteBuilder {
  package private(set) var bytes: [UInt8]

  package init(reserving capacity: Int = 0) {
    bytes = []
    bytes.reserveCapacity(capacity)
  }

  package var count: Int { bytes.count }

  package mutating func append(_ value: some FixedWidthInteger) {
    withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
  }

  package mutating func append(contentsOf more: some Sequence<UInt8>) {
    bytes.append(contentsOf: more)
  }

  package mutating func appendZeros(_ count: Int) {
    bytes.append(contentsOf: repeatElement(0, count: count))
  }

  /// Zeros up to the next multiple of `alignment`.
  package mutating func pad(to alignment: Int) {
    appendZeros((alignment - bytes.count % alignment) % alignment)
  }
}

extension [UInt8] {
  /// `withUnsafeBytes` for a body that throws `IngotError`.
  package func withRawBytes<Result>(
    _ body: (UnsafeRawBufferPointer) throws(IngotError) -> Result
  ) throws(IngotError) -> Result {
    try withUnsafeBufferPointer { (buffer) throws(IngotError) -> Result in
      try body(UnsafeRawBufferPointer(buffer))
    }
  }
}
