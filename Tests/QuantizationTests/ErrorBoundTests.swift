import Quantization
import Testing

/// The errors on Gaussian weights that issue 4 demands, from the statistics and from the payload.
@Suite struct ErrorBoundTests {
  static let gaussian = Weights.gaussian(rows: 128, columns: 2048)

  @Test(arguments: [
    ("cb4-g16", 4.5, 0.066), ("cb4-g32", 4.25, 0.075), ("cb4-g64", 4.125, 0.0815),
    ("int8-g32", 8.5, 0.0054), ("int6-g64", 6.25, 0.024),
  ])
  func searchedSchemesStayBelowTheirBounds(scheme: String, bits: Double, bound: Double) throws {
    let quantized = try Quantized(Self.gaussian, scheme)
    #expect(quantized.layout.scheme.bitsPerWeight == bits)
    let stored = Double(8 * (quantized.payload.count - 64)) / Double(128 * 2048)
    #expect(stored == bits)
    #expect(quantized.error.relativeError <= bound)
    #expect(quantized.relativeError(Self.gaussian) <= bound)
  }

  @Test(arguments: everyScheme)
  func searchIsNeverWorseThanPlainRounding(scheme: String) throws {
    let plain = try Quantized(Self.gaussian, scheme, .plain).error.relativeError
    let searched = try Quantized(Self.gaussian, scheme, .search).error.relativeError
    #expect(searched < plain)
  }
}
