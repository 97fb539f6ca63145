import Bytes
import Kernels
import Quantization
import Tensors
import Testing

/// Weights that cannot be stored are errors that name tensor, row and group; nothing is clamped.
@Suite struct FaultTests {
  static func weights(
    _ type: ElementType, row: Int, column: Int, _ value: Float
  ) -> Weights {
    let gaussian = Weights.gaussian(rows: 40, columns: 256, type: type)
    return Weights(rows: 40, columns: 256, type: type) {
      $0 == row && $1 == column ? value : gaussian.values[$0 * 256 + $1]
    }
  }

  @Test(arguments: everyScheme, [Float.nan, .infinity, -.infinity])
  func weightsThatAreNotFiniteAreRefused(scheme: String, value: Float) throws {
    let size = try #require(QuantizationScheme(name: scheme)).groupSize
    for type in [ElementType.bfloat16, .float16, .float32] {
      let weights = Self.weights(type, row: 35, column: 130, value)
      for kernel in QuantizationKernel.available {
        let error = #expect(throws: IngotError.self) {
          try Quantized(weights, scheme, kernel: kernel)
        }
        #expect(error?.code == "quantize.notFinite")
        #expect(error?.tensor == "t")
        #expect(error?.message.contains("row 35, group \(130 / size) ") == true)
      }
    }
  }

  @Test(arguments: ["int8-g32", "int6-g32", "int4-g64", "int4z-g128"], RoundingMethod.allCases)
  func scalesBeyondBinary16AreRefused(scheme: String, method: RoundingMethod) throws {
    let size = try #require(QuantizationScheme(name: scheme)).groupSize
    for value in [Float(1e7), -1e7, 1e20, 3e38, -3e38] {
      let weights = Self.weights(.float32, row: 16, column: 255, value)
      for kernel in QuantizationKernel.available {
        let error = #expect(throws: IngotError.self) {
          try Quantized(weights, scheme, method, kernel: kernel)
        }
        #expect(error?.code == "quantize.scaleOverflow")
        #expect(error?.message.contains("row 16, group \(255 / size) ") == true)
      }
    }
  }

  @Test func aTensorScaleBeyondFloatIsRefused() {
    let weights = Self.weights(.float32, row: 0, column: 0, 3e38)
    let error = #expect(throws: IngotError.self) { try Quantized(weights, "cb4-g16") }
    #expect(error?.code == "quantize.scaleOverflow")
    #expect(error?.tensor == "t")
  }

  @Test func theCodebookSchemeHasNoNarrowRange() throws {
    // The tensor scale is an f32, so magnitudes far beyond binary16 keep their relative error.
    for magnitude: Float in [1e-20, 1e-6, 1e10, 1e30] {
      let weights = Weights.gaussian(
        rows: 32, columns: 256, type: .float32, deviation: magnitude)
      #expect(try Quantized(weights, "cb4-g16").error.relativeError < 0.066)
    }
  }

  @Test func elementTypesThatAreNoWeightsAreRefused() throws {
    let scheme = try #require(QuantizationScheme(name: "int8-g32"))
    let layout = try #require(TileLayout(scheme: scheme, rows: 16, columns: 32))
    let error = #expect(throws: IngotError.self) {
      try TensorQuantizer(layout: layout, method: .plain, sourceType: .int32, name: "ids")
    }
    #expect(error?.code == "quantize.elementType")
  }

  @Test(arguments: [[Float](repeating: 1, count: 31), [-1] + .init(repeating: 1, count: 31)])
  func importanceThatDoesNotFitIsRefused(importance: [Float]) throws {
    let scheme = try #require(QuantizationScheme(name: "int8-g32"))
    let layout = try #require(TileLayout(scheme: scheme, rows: 16, columns: 32))
    let error = #expect(throws: IngotError.self) {
      try TensorQuantizer(
        layout: layout, method: .search, sourceType: .float32, name: "t", importance: importance)
    }
    #expect(error?.code == "quantize.importance")
  }
}
