/// A typed metadata value.
public enum IngotMetadataValue: Sendable, Hashable {
  case unsigned(UInt64)
  case signed(Int64)
  case float(Double)
  case bool(Bool)
  case string(String)
  case bytes([UInt8])
  case unsignedArray([UInt64])
  case signedArray([Int64])
  case floatArray([Double])
  case stringArray([String])
}

/// The type codes of the metadata directory.
package enum IngotMetadataType: UInt8, Sendable, CaseIterable {
  case unsigned = 1
  case signed = 2
  case float = 3
  case bool = 4
  case string = 5
  case bytes = 6
  case unsignedArray = 7
  case signedArray = 8
  case floatArray = 9
  case stringArray = 10

  /// Whether the value lies in the entry itself.
  package var isScalar: Bool { rawValue <= IngotMetadataType.bool.rawValue }
}

/// How the bytes of a metadata value are stored.
package enum IngotMetadataEncoding: UInt8, Sendable {
  case plain = 0
  case zstd = 1
}

extension IngotMetadataValue {
  package var type: IngotMetadataType {
    switch self {
    case .unsigned: .unsigned
    case .signed: .signed
    case .float: .float
    case .bool: .bool
    case .string: .string
    case .bytes: .bytes
    case .unsignedArray: .unsignedArray
    case .signedArray: .signedArray
    case .floatArray: .floatArray
    case .stringArray: .stringArray
    }
  }

  /// The 8 bytes of a scalar; nil for everything else.
  var scalarBits: UInt64? {
    switch self {
    case .unsigned(let value): value
    case .signed(let value): UInt64(bitPattern: value)
    case .float(let value): value.bitPattern
    case .bool(let value): value ? 1 : 0
    default: nil
    }
  }

  /// Number of elements as the directory stores it: 1 for scalars, bytes for strings and blobs.
  var elementCount: Int {
    switch self {
    case .unsigned, .signed, .float, .bool: 1
    case .string(let text): text.utf8.count
    case .bytes(let bytes): bytes.count
    case .unsignedArray(let values): values.count
    case .signedArray(let values): values.count
    case .floatArray(let values): values.count
    case .stringArray(let values): values.count
    }
  }
}
