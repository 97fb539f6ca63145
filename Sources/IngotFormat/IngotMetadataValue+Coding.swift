internal import Bytes

extension IngotMetadataValue {
  /// The bytes of a value that does not fit in its directory entry; empty for scalars.
  func encoded() -> [UInt8] {
    var builder = ByteBuilder()
    switch self {
    case .unsigned, .signed, .float, .bool: break
    case .string(let text): builder.append(contentsOf: text.utf8)
    case .bytes(let bytes): return bytes
    case .unsignedArray(let values): for value in values { builder.append(value) }
    case .signedArray(let values): for value in values { builder.append(value) }
    case .floatArray(let values): for value in values { builder.append(value.bitPattern) }
    case .stringArray(let values):
      for value in values { builder.append(UInt32(value.utf8.count)) }
      for value in values { builder.append(contentsOf: value.utf8) }
    }
    return builder.bytes
  }

  /// A scalar from its 8 bytes; nil when they are not a value of the type.
  init?(scalar type: IngotMetadataType, bits: UInt64) {
    switch type {
    case .unsigned: self = .unsigned(bits)
    case .signed: self = .signed(Int64(bitPattern: bits))
    case .float: self = .float(Double(bitPattern: bits))
    case .bool where bits <= 1: self = .bool(bits == 1)
    default: return nil
    }
  }

  /// A value from its decoded bytes; nil when they are not one of the type and element count.
  init?(type: IngotMetadataType, elementCount: Int, bytes: UnsafeRawBufferPointer) {
    func words() -> [UInt64]? {
      guard bytes.count % 8 == 0, bytes.count / 8 == elementCount else { return nil }
      return (0..<elementCount).map {
        UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 8 * $0, as: UInt64.self))
      }
    }
    switch type {
    case .unsigned, .signed, .float, .bool: return nil
    case .bytes:
      guard bytes.count == elementCount else { return nil }
      self = .bytes(Array(bytes))
    case .string:
      guard bytes.count == elementCount, let text = String(validating: bytes, as: UTF8.self) else {
        return nil
      }
      self = .string(text)
    case .unsignedArray:
      guard let words = words() else { return nil }
      self = .unsignedArray(words)
    case .signedArray:
      guard let words = words() else { return nil }
      self = .signedArray(words.map { Int64(bitPattern: $0) })
    case .floatArray:
      guard let words = words() else { return nil }
      self = .floatArray(words.map { Double(bitPattern: $0) })
    case .stringArray:
      guard let strings = Self.strings(bytes, count: elementCount) else { return nil }
      self = .stringArray(strings)
    }
  }

  private static func strings(_ bytes: UnsafeRawBufferPointer, count: Int) -> [String]? {
    guard count <= bytes.count / 4 else { return nil }
    var result: [String] = []
    var start = 4 * count
    for index in 0..<count {
      let stored = bytes.loadUnaligned(fromByteOffset: 4 * index, as: UInt32.self)
      let length = Int(UInt32(littleEndian: stored))
      guard length <= bytes.count - start else { return nil }
      let piece = UnsafeRawBufferPointer(rebasing: bytes[start..<start + length])
      guard let text = String(validating: piece, as: UTF8.self) else { return nil }
      result.append(text)
      start += length
    }
    return start == bytes.count ? result : nil
  }
}
