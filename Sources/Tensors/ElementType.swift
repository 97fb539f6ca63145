/// The type of one stored number, by the names the safetensors format gives them.
///
/// Raw values are the codes the `.ingot` directory stores, so they never change.
package enum ElementType: UInt8, Sendable, Hashable, CaseIterable {
  case float32 = 1
  case float16 = 2
  case bfloat16 = 3
  case float64 = 4
  case bool = 5
  case uint8 = 6
  case int8 = 7
  case uint16 = 8
  case int16 = 9
  case uint32 = 10
  case int32 = 11
  case uint64 = 12
  case int64 = 13
  case float8E4M3 = 14
  case float8E5M2 = 15

  /// The name in a safetensors header, such as `BF16`.
  package var name: String {
    switch self {
    case .float32: "F32"
    case .float16: "F16"
    case .bfloat16: "BF16"
    case .float64: "F64"
    case .bool: "BOOL"
    case .uint8: "U8"
    case .int8: "I8"
    case .uint16: "U16"
    case .int16: "I16"
    case .uint32: "U32"
    case .int32: "I32"
    case .uint64: "U64"
    case .int64: "I64"
    case .float8E4M3: "F8_E4M3"
    case .float8E5M2: "F8_E5M2"
    }
  }

  /// The element type a safetensors header names, or nil for a name this version does not know.
  package init?(name: some StringProtocol) {
    guard let match = Self.allCases.first(where: { $0.name == name }) else { return nil }
    self = match
  }

  /// Bytes of one element.
  package var byteCount: Int {
    switch self {
    case .float64, .uint64, .int64: 8
    case .float32, .uint32, .int32: 4
    case .float16, .bfloat16, .uint16, .int16: 2
    case .bool, .uint8, .int8, .float8E4M3, .float8E5M2: 1
    }
  }

  /// Whether the runtime computes with weights of this type (F32, F16 and BF16).
  package var isComputable: Bool {
    self == .float32 || self == .float16 || self == .bfloat16
  }
}
