import Kernels
import Tensors
import Testing

@Suite struct MachineLimitsTests {
  @Test func everyLimitIsPositive() {
    let limits = MachineLimits.measure(ThreadPool(threads: 2), readBytes: 1 << 20)
    #expect(limits.int8DotGigaMACs > 0 && limits.vectorDotGigaMACs > 0)
    #expect(limits.floatFMAGigaMACs > 0 && limits.readGigabytesPerSecond > 0)
  }

  @Test(arguments: Fixture.schemes)
  func selectedKernelsPassTheirCheck(_ scheme: QuantizationScheme) throws {
    let layout = try #require(TileLayout(scheme: scheme, rows: 200, columns: 256))
    let matrix = WeightMatrix.random(layout)
    for tokens in [1, 17] {
      #expect(KernelCheck.verify(matrix, tokens: tokens, pool: ThreadPool(threads: 2)))
    }
  }
}
