/// How the weights of a linear tensor are stored in fewer bits.
///
/// Every scheme cuts each row in groups of `groupSize` consecutive columns and stores one code of
/// 8, 6 or 4 bits per weight and one scale per group. `w` below is the dequantized weight.
///
/// | kind        | code                   | group scale `s`                           | w            |
/// |-------------|------------------------|-------------------------------------------|--------------|
/// | `int8`      | q in −127…127          | fp16                                      | s·q          |
/// | `int6`      | q in −32…31, stored q+32 | fp16                                    | s·q          |
/// | `int4`      | q in −8…7, stored q+8  | fp16                                      | s·q          |
/// | `int4z`     | q in 0…15              | fp16, and a zero point z in 0…15 (8 bits) | s·(q − z)    |
/// | `cb4`       | index i in 0…15        | S1E2M5 (8 bits) × one f32 per tensor      | s·level[i]   |
///
/// `level` is the tensor's codebook of 16 ascending int8 values.
package struct QuantizationScheme: Hashable, Sendable {
  /// Raw values are the codes the `.ingot` directory stores, so they never change.
  package enum Kind: UInt8, Sendable, Hashable, CaseIterable {
    case int8 = 1
    case int4 = 2
    case int4z = 3
    case cb4 = 4
    case int6 = 5

    package var name: String {
      switch self {
      case .int8: "int8"
      case .int6: "int6"
      case .int4: "int4"
      case .int4z: "int4z"
      case .cb4: "cb4"
      }
    }

    /// Bits of one weight's code, without its share of scales.
    package var codeBits: Int {
      switch self {
      case .int8: 8
      case .int6: 6
      case .int4, .int4z, .cb4: 4
      }
    }

    /// Bits of one group's scale, and of its zero point where there is one.
    package var groupBits: Int {
      switch self {
      case .int8, .int6, .int4: 16
      case .int4z: 24
      case .cb4: 8
      }
    }

    package var groupSizes: [Int] {
      self == .cb4 ? [16, 32, 64, 128] : [32, 64, 128]
    }
  }

  package let kind: Kind
  /// Consecutive columns that share one scale: 16, 32, 64 or 128.
  package let groupSize: Int

  /// Nil when the kind does not come in that group size.
  package init?(_ kind: Kind, groupSize: Int) {
    guard kind.groupSizes.contains(groupSize) else { return nil }
    self.kind = kind
    self.groupSize = groupSize
  }

  /// Parses `int4-g64`; nil for anything else than `<kind>-g<group size>`.
  package init?(name: some StringProtocol) {
    let parts = name.split(separator: "-", omittingEmptySubsequences: false)
    guard parts.count == 2, let kind = Kind.allCases.first(where: { $0.name == parts[0] }),
      parts[1].first == "g", let size = Int(parts[1].dropFirst()),
      "g\(size)" == parts[1]
    else { return nil }
    self.init(kind, groupSize: size)
  }

  /// `int4-g64`, as recipes and reports write it.
  package var name: String { "\(kind.name)-g\(groupSize)" }

  /// Bits per weight of codes, scales and zero points; padding and headers not counted.
  package var bitsPerWeight: Double {
    Double(kind.codeBits) + Double(kind.groupBits) / Double(groupSize)
  }
}
