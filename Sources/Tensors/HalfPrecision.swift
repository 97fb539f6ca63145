/// Conversions between f32 and the 16- and 8-bit float formats, on bit patterns: `Float16` is not
/// available on every platform Ingot runs on.
package enum HalfPrecision {
  /// The f32 with the same value as an IEEE 754 binary16 bit pattern; NaN payloads are kept.
  package static func float(fromHalf bits: UInt16) -> Float {
    let sign = UInt32(bits & 0x8000) << 16
    let exponent = UInt32(bits >> 10) & 0x1F
    let fraction = UInt32(bits & 0x3FF)
    if exponent == 0x1F { return Float(bitPattern: sign | 0x7F80_0000 | fraction << 13) }
    if exponent != 0 { return Float(bitPattern: sign | (exponent + 112) << 23 | fraction << 13) }
    // Zero or subnormal: fraction × 2⁻²⁴ is exact in f32.
    let magnitude = Float(fraction) * 0x1p-24
    return sign == 0 ? magnitude : -magnitude
  }

  /// The nearest binary16 bit pattern, ties to even; overflow gives infinity.
  package static func half(from value: Float) -> UInt16 {
    let bits = value.bitPattern
    let sign = UInt16(truncatingIfNeeded: bits >> 16) & 0x8000
    let magnitude = bits & 0x7FFF_FFFF
    if magnitude > 0x7F80_0000 {
      return sign | 0x7E00 | UInt16(truncatingIfNeeded: magnitude >> 13) & 0x3FF
    }
    if magnitude >= 0x477F_F000 { return sign | 0x7C00 }
    if magnitude < 0x3880_0000 {
      // Subnormal result: adding 0.5 aligns the fraction so that the hardware rounds to even.
      let shifted = Float(bitPattern: magnitude) + 0.5
      return sign | UInt16(truncatingIfNeeded: shifted.bitPattern &- 0x3F00_0000)
    }
    let rounded = magnitude &+ 0xFFF &+ (magnitude >> 13 & 1)
    return sign | UInt16(truncatingIfNeeded: (rounded &- 0x3800_0000) >> 13)
  }

  /// The f32 with the same value as a bfloat16 bit pattern.
  package static func float(fromBrain bits: UInt16) -> Float {
    Float(bitPattern: UInt32(bits) << 16)
  }

  /// The nearest bfloat16 bit pattern, ties to even; NaN stays a quiet NaN.
  package static func brain(from value: Float) -> UInt16 {
    let bits = value.bitPattern
    if bits & 0x7FFF_FFFF > 0x7F80_0000 { return UInt16(truncatingIfNeeded: bits >> 16) | 0x40 }
    return UInt16(truncatingIfNeeded: (bits &+ 0x7FFF &+ (bits >> 16 & 1)) >> 16)
  }

  /// The value of an S1E2M5 scale: a sign, 2 exponent bits with bias 15 and 5 fraction bits.
  ///
  /// By definition the binary16 whose sign is bit 7 of the code and whose bits 11…5 are the code's
  /// other seven: code 0 is zero, codes 1…31 are subnormal, 127 is 63 × 2⁻¹⁷ and 129…255 are the
  /// negatives. The sign turns a codebook that reaches further on one side towards the side where
  /// a group has its largest weight. Range was given up for it: 1…127 spans the top three octaves
  /// with 5 bits, and what lies below them in steps of 1/252 of the largest scale.
  package static func float(fromS1E2M5 code: UInt8) -> Float {
    float(fromHalf: UInt16(code & 0x80) << 8 | UInt16(code & 0x7F) << 5)
  }
}

extension HalfPrecision {
  /// Widens little-endian numbers of a computable type to f32; any alignment.
  ///
  /// - Parameter bytes: a whole number of elements; the rest is ignored.
  package static func floats(_ bytes: UnsafeRawBufferPointer, type: ElementType) -> [Float] {
    (0..<(bytes.count / type.byteCount)).map { float(bytes, at: $0, type: type) }
  }

  /// Element `index` of little-endian numbers of a computable type, as f32; any alignment.
  @inline(__always)
  package static func float(
    _ bytes: UnsafeRawBufferPointer, at index: Int, type: ElementType
  ) -> Float {
    switch type {
    case .float32:
      Float(
        bitPattern: UInt32(
          littleEndian: bytes.loadUnaligned(fromByteOffset: index * 4, as: UInt32.self)))
    case .float16: float(fromHalf: half(bytes, at: index))
    case .bfloat16: float(fromBrain: half(bytes, at: index))
    default: preconditionFailure("\(type.name) is not computable")
    }
  }

  private static func half(_ bytes: UnsafeRawBufferPointer, at index: Int) -> UInt16 {
    UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: index * 2, as: UInt16.self))
  }
}
