import Bytes
import Quantization
import Tensors
import Testing

/// What the bytes mean, against a dequantizer written from the specification alone.
@Suite struct CodecTests {
  @Test(arguments: everyScheme, RoundingMethod.allCases)
  func statisticsDescribeTheDequantizedWeights(scheme: String, method: RoundingMethod) throws {
    let weights = DeterminismTests.awkward(rows: 45, columns: 384, type: .bfloat16, seed: 2)
    let quantized = try Quantized(weights, scheme, method)
    var (error, source, dequantized, product, worst) = (0.0, 0.0, 0.0, 0.0, 0.0)
    for row in 0..<45 {
      for column in 0..<384 {
        let w = Double(weights.values[row * 384 + column])
        let v = Double(quantized.weight(row: row, column: column))
        error += (w - v) * (w - v)
        source += w * w
        dequantized += v * v
        product += w * v
        worst = max(worst, abs(w - v))
      }
    }
    // Both sum the same numbers, one in f32 within groups: 64 roundings of 2⁻²⁴ at most.
    let relative = (error / source).squareRoot()
    #expect(abs(quantized.error.relativeError - relative) <= relative * 64 * 0x1p-24)
    let cosine = product / (source * dequantized).squareRoot()
    #expect(abs(quantized.error.cosine - cosine) <= 256 * 0x1p-24)
    // cb4 divides weights by the tensor scale first: one rounding of w, one of v, both below 32.
    #expect(abs(quantized.error.maximumError - worst) <= 32 * 0x1p-23)
  }

  @Test(arguments: everyScheme)
  func plainRoundingIsOffByHalfAStepAtMost(scheme: String) throws {
    let weights = Weights.gaussian(rows: 32, columns: 256, seed: 8)
    let quantized = try Quantized(weights, scheme, .plain)
    let kind = quantized.layout.scheme.kind
    let size = quantized.layout.scheme.groupSize
    for row in 0..<32 {
      for first in stride(from: 0, to: 256, by: size) {
        let group = (first..<first + size).map { weights.values[row * 256 + $0] }
        let largest = group.reduce(0) { max($0, abs($1)) }
        let range = max(0, group.max() ?? 0) - min(0, group.min() ?? 0)
        // The step of the scheme; +7 stops a step short of −8, codebook levels are 29 apart at
        // most, and a scale is off by 1/64 (cb4) or 2⁻¹¹ of itself.
        let allowed: Float =
          switch kind {
          case .int8: largest / 127 * (0.5 + 127 * 0x1p-11)
          case .int6: largest / 32 * (1 + 32 * 0x1p-11)
          case .int4: largest / 8 * (1 + 8 * 0x1p-11)
          case .int4z: range / 15 * (1 + 15 * 0x1p-11)
          case .cb4: largest / 127 * (127 / 32 + 16)
          }
        for column in first..<first + size {
          let w = weights.values[row * 256 + column]
          #expect(abs(w - quantized.weight(row: row, column: column)) <= allowed)
        }
      }
    }
  }

  @Test(arguments: everyScheme, RoundingMethod.allCases)
  func zerosStayZeros(scheme: String, method: RoundingMethod) throws {
    let weights = Weights(rows: 17, columns: 256, type: .bfloat16) { _, _ in 0 }
    let quantized = try Quantized(weights, scheme, method)
    #expect(
      (0..<17).allSatisfy { row in
        (0..<256).allSatisfy { quantized.weight(row: row, column: $0) == 0 }
      })
    #expect(quantized.error.relativeError == 0)
    #expect(quantized.error.cosine == 1)
    #expect(quantized.error.deadRows == 17)
    #expect(quantized.error.vanishedGroups == 0)
    #expect(quantized.parameters.tensorScale == 1)
    // Scales and zero points are zero bytes; codes are the code of zero.
    let tile = quantized.layout.tileBytes
    let planes = quantized.payload[64..<64 + quantized.layout.codeOffset]
    #expect(planes.allSatisfy { $0 == 0 })
    let codes = quantized.payload[64 + quantized.layout.codeOffset..<64 + tile]
    let expected: UInt8 =
      switch quantized.layout.scheme.kind {
      case .int8, .int4z, .int6: 0
      case .int4: 0x88
      case .cb4: 0x77
      }
    // Of int6, two thirds of a group's bytes are low bits, all zero, and one third is high bits.
    if quantized.layout.scheme.kind == .int6 {
      let size = quantized.layout.scheme.groupSize
      #expect(
        codes.enumerated().allSatisfy { $1 == ($0 % (12 * size) < 8 * size ? 0 : 0xAA) })
    } else {
      #expect(codes.allSatisfy { $0 == expected })
    }
  }

  @Test("ING-063", arguments: everyScheme)
  func rowsThatPadATileAreZeroRows(scheme: String) throws {
    let short = Weights.gaussian(rows: 21, columns: 128, seed: 4)
    let padded = Weights(rows: 32, columns: 128, type: .bfloat16) { row, column in
      row < 21 ? short.values[row * 128 + column] : 0
    }
    let first = try Quantized(short, scheme, .plain)
    let second = try Quantized(padded, scheme, .plain)
    #expect(first.layout.payloadBytes == second.layout.payloadBytes)
    // A codebook is fitted to a sample that depends on the shape, so only the tiles of equal
    // parameters compare.
    if first.parameters == second.parameters {
      #expect(first.payload == second.payload)
    } else {
      #expect(first.layout.scheme.kind == .cb4)
    }
    #expect(first.error.deadRows == 0)
    #expect(second.error.deadRows == 11)
  }

  /// What readers may rely on, from the bytes of a payload with ordinary, tiny and zero groups.
  @Test("ING-064", arguments: everyScheme, RoundingMethod.allCases)
  func codesAndScalesKeepToTheirRanges(scheme: String, method: RoundingMethod) throws {
    var generator = SeededGenerator(seed: 3)
    let weights = Weights(rows: 16, columns: 512, type: .float32) { row, column in
      generator.gaussian() * (column < 256 ? 1 : [0, 1e-12, -1e-7, 1e-3][row % 4])
    }
    let quantized = try Quantized(weights, scheme, method)
    let layout = quantized.layout
    let tile = Array(quantized.payload[64...])
    let count = layout.groupsPerRow * 16
    if layout.scheme.kind == .cb4 {
      #expect(tile[..<count].allSatisfy { $0 != 0x80 })
    } else {
      for index in 0..<count {
        let half = UInt16(tile[2 * index]) | UInt16(tile[2 * index + 1]) << 8
        #expect(half != 0x8000 && half & 0x7C00 != 0x7C00)
        #expect(layout.scheme.kind != .int4z || half & 0x8000 == 0)
      }
    }
    if layout.scheme.kind == .int4z {
      #expect(tile[layout.zeroPointOffset..<layout.zeroPointOffset + count].allSatisfy { $0 < 16 })
    }
    if layout.scheme.kind == .int8 { #expect(tile[layout.codeOffset...].allSatisfy { $0 != 0x80 }) }
  }

  @Test func headersHoldTheCodebookAndTheTensorScale() throws {
    let weights = Weights.gaussian(rows: 32, columns: 256)
    let codebook = try Quantized(weights, "cb4-g32")
    let levels = codebook.payload[0..<16].map { Int8(bitPattern: $0) }
    #expect(levels == codebook.parameters.codebook)
    #expect(zip(levels, levels.dropFirst()).allSatisfy { $0 < $1 })
    #expect(levels.map { abs(Int($0)) }.max() == 127)
    #expect(codebook.parameters.tensorScale > 0)
    #expect(codebook.payload[20..<64].allSatisfy { $0 == 0 })
    let uniform = try Quantized(weights, "int4-g32")
    #expect(uniform.payload[0..<16].allSatisfy { $0 == 0 })
    #expect(Array(uniform.payload[16..<20]) == [0, 0, 0x80, 0x3F])
  }

  @Test func importanceMovesTheErrorToColumnsThatMatterLess() throws {
    let weights = Weights.gaussian(rows: 64, columns: 256, seed: 12)
    let importance = (0..<256).map { Float($0 % 2 == 0 ? 100 : 1) }
    func evenError(_ quantized: Quantized) -> Double {
      var sum = 0.0
      for row in 0..<64 {
        for column in stride(from: 0, to: 256, by: 2) {
          let gap = weights.values[row * 256 + column] - quantized.weight(row: row, column: column)
          sum += Double(gap * gap)
        }
      }
      return sum
    }
    for scheme in everyScheme {
      let equal = evenError(try Quantized(weights, scheme))
      let weighted = evenError(try Quantized(weights, scheme, importance: importance))
      #expect(weighted < equal, "\(scheme)")
    }
  }

  @Test func rowsAndGroupsThatAreUnusualAreCounted() throws {
    var generator = SeededGenerator(seed: 1)
    let weights = Weights(rows: 20, columns: 512, type: .bfloat16) { row, column in
      switch row {
      case 2, 17: 0
      case 5: 0.5
      case 7: column == 100 || column == 300 ? 3 : generator.gaussian() * 0.01
      default: generator.gaussian() * 0.01
      }
    }
    let error = try Quantized(weights, "int8-g64").error
    #expect(error.deadRows == 2)
    #expect(error.constantRows == 1)
    #expect(error.outlierGroups == 2)
    #expect(error.vanishedGroups == 0)
    // int8 scales below 2⁻²⁵ vanish in binary16, and the report says so.
    let tiny = Weights(rows: 16, columns: 64, type: .float32) { row, _ in row == 3 ? 1e-9 : 1 }
    #expect(try Quantized(tiny, "int8-g32").error.vanishedGroups == 2)
  }
}
