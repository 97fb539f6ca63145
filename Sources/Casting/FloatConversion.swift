internal import Bytes
internal import Tensors

/// Conversion of stored numbers from one floating-point type to another.
enum FloatConversion {
  /// Converts elements, rounding to nearest even.
  ///
  /// - Parameter firstElement: index in the tensor of the first one, for messages.
  /// - Throws: `cast.elementType` for a type that holds no weights; `cast.overflow` for a finite
  ///   number too large for the target, which would silently become infinite.
  static func convert(
    _ input: UnsafeRawBufferPointer, _ source: SourceTensor, to type: ElementType,
    into output: UnsafeMutableRawBufferPointer, firstElement: Int
  ) throws(IngotError) {
    guard source.type.isComputable else {
      throw IngotError(
        "cast.elementType", "has type \(source.type.name), which is not converted",
        tensor: source.name, advice: "Convert without --type.")
    }
    let count = output.count / type.byteCount
    for index in 0..<count {
      let value = HalfPrecision.float(input, at: index, type: source.type)
      switch type {
      case .float32:
        output.storeBytes(
          of: value.bitPattern.littleEndian, toByteOffset: index * 4, as: UInt32.self)
      case .float16:
        let half = HalfPrecision.half(from: value)
        if half & 0x7FFF == 0x7C00, value.isFinite {
          throw IngotError(
            "cast.overflow",
            "element \(firstElement + index) is \(value), beyond the largest f16 (65504)",
            tensor: source.name, advice: "Use --type bf16 or f32.")
        }
        output.storeBytes(of: half.littleEndian, toByteOffset: index * 2, as: UInt16.self)
      default:
        let brain = HalfPrecision.brain(from: value)
        output.storeBytes(of: brain.littleEndian, toByteOffset: index * 2, as: UInt16.self)
      }
    }
  }
}
