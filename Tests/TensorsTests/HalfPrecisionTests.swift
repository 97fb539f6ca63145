import Tensors
import Testing

@Suite struct HalfPrecisionTests {
  @Test func everyHalfSurvivesARoundTrip() {
    for bits in UInt16.min...UInt16.max {
      let value = HalfPrecision.float(fromHalf: bits)
      if value.isNaN { continue }
      #expect(HalfPrecision.half(from: value) == bits)
    }
  }

  @Test func everyBrainFloatSurvivesARoundTrip() {
    for bits in UInt16.min...UInt16.max {
      let value = HalfPrecision.float(fromBrain: bits)
      if value.isNaN { continue }
      #expect(HalfPrecision.brain(from: value) == bits)
    }
  }

  @Test func halfRoundsTiesToEven() {
    // 1 + 2⁻¹¹ lies halfway between 1 and 1 + 2⁻¹⁰.
    #expect(HalfPrecision.half(from: 1 + 0x1p-11) == 0x3C00)
    #expect(HalfPrecision.half(from: 1 + 0x3p-11) == 0x3C02)
    #expect(HalfPrecision.half(from: 65519) == 0x7BFF)
    #expect(HalfPrecision.half(from: 65520) == 0x7C00)
    #expect(HalfPrecision.half(from: 0x1p-25) == 0)
    #expect(HalfPrecision.half(from: 0x1.8p-25) == 1)
    #expect(HalfPrecision.half(from: -0x1p-24) == 0x8001)
  }

  @Test("ING-070") func scaleCodesAscendFromZeroAndMirror() {
    var previous: Float = -1
    for code in UInt8.min...127 {
      let value = HalfPrecision.float(fromS1E2M5: code)
      #expect(value > previous)
      #expect(HalfPrecision.float(fromS1E2M5: code | 0x80) == -value)
      previous = value
    }
    #expect(HalfPrecision.float(fromS1E2M5: 0) == 0)
    #expect(HalfPrecision.float(fromS1E2M5: 1) == 0x1p-19)
    #expect(HalfPrecision.float(fromS1E2M5: 32) == 0x1p-14)
    #expect(HalfPrecision.float(fromS1E2M5: 127) == 63 * 0x1p-17)
  }
}
