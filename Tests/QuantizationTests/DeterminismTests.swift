import Kernels
import Quantization
import Synchronization
import Tensors
import Testing

/// The scalar kernel is the definition: every other one, every division of the work and every
/// alignment of the source gives its bytes and its statistics.
@Suite struct DeterminismTests {
  /// Rows that do not fill their last tile, columns that do not fill a chunk of 128, and weights
  /// with everything unusual: dead and constant rows, zero groups, outliers, tiny numbers.
  static func awkward(
    rows: Int, columns: Int, type: ElementType, seed: UInt64
  ) -> Weights {
    var generator = SeededGenerator(seed: seed)
    return Weights(rows: rows, columns: columns, type: type) { row, column in
      let noise = generator.gaussian() * 0.05
      switch row % 11 {
      case 3: return 0
      case 4: return 0.125
      case 5: return column % 64 < 32 ? 0 : noise
      case 6: return column == 7 ? 30 : noise
      case 7: return noise * 1e-6
      case 8: return abs(noise)
      case 9: return column % 2 == 0 ? 0.25 : -0.25
      default: return noise
      }
    }
  }

  @Test(arguments: everyScheme, RoundingMethod.allCases)
  func everyInstructionSetGivesTheScalarBytes(scheme: String, method: RoundingMethod) throws {
    let group = try #require(QuantizationScheme(name: scheme)).groupSize
    let types: [ElementType] = [.bfloat16, .float16, .float32]
    for (index, type) in types.enumerated() {
      for (rows, columns) in [(1, group), (16, 2 * group), (37, 3 * group), (50, 5 * group)] {
        let weights = Self.awkward(
          rows: rows, columns: columns, type: type, seed: UInt64(rows + index))
        let definition = try Quantized(weights, scheme, method, kernel: Self.scalar)
        for kernel in QuantizationKernel.available {
          let other = try Quantized(weights, scheme, method, kernel: kernel)
          #expect(other.payload == definition.payload, "\(kernel.name) \(type) \(rows)×\(columns)")
          #expect(other.error == definition.error, "\(kernel.name) \(type) \(rows)×\(columns)")
        }
      }
    }
  }

  @Test(arguments: everyScheme)
  func importanceGivesTheSameBytesEverywhere(scheme: String) throws {
    let weights = Self.awkward(rows: 21, columns: 384, type: .bfloat16, seed: 5)
    var generator = SeededGenerator(seed: 6)
    let importance = (0..<384).map { column -> Float in
      column % 50 == 0 ? 0 : abs(generator.gaussian())
    }
    let definition = try Quantized(
      weights, scheme, importance: importance, kernel: Self.scalar)
    let unweighted = try Quantized(weights, scheme, kernel: Self.scalar)
    #expect(definition.payload != unweighted.payload)
    for kernel in QuantizationKernel.available {
      let other = try Quantized(weights, scheme, importance: importance, kernel: kernel)
      #expect(other.payload == definition.payload, "\(kernel.name)")
    }
  }

  @Test(arguments: ["int8-g64", "int6-g64", "int4-g32", "int4z-g128", "cb4-g16"])
  func theDivisionIntoBlocksDoesNotMatter(scheme: String) throws {
    let weights = Self.awkward(rows: 100, columns: 256, type: .bfloat16, seed: 9)
    let whole = try Quantized(weights, scheme)
    for blockRows in [16, 32, 48, 112] {
      let blocks = try Quantized(weights, scheme, blockRows: blockRows)
      #expect(blocks.payload == whole.payload)
      #expect(blocks.error == whole.error)
    }
  }

  @Test(arguments: [1, 2, 5])
  func theNumberOfThreadsDoesNotMatter(threads: Int) throws {
    let weights = Self.awkward(rows: 200, columns: 256, type: .bfloat16, seed: 10)
    let alone = try Quantized(weights, "cb4-g16")
    let layout = alone.layout
    let plain = try TensorQuantizer(
      layout: layout, method: .search, sourceType: .bfloat16, name: "t")
    let blocks = stride(from: 0, to: 200, by: 16).map { $0..<min($0 + 16, 200) }
    let pool = ThreadPool(threads: threads)
    let shared = Mutex((survey: TensorSurvey(), statistics: TensorStatistics()))
    let outcome = Mutex<[Int: [UInt8]]>([:])
    func source(_ rows: Range<Int>) -> [UInt8] {
      Array(weights.bytes[rows.lowerBound * 512..<rows.upperBound * 512])
    }
    pool.run(count: blocks.count) { index in
      let part = source(blocks[index]).withUnsafeBytes {
        try? plain.survey(rows: blocks[index], source: $0)
      }
      if let part { shared.withLock { $0.survey.merge(part) } }
    }
    var prepared = plain
    try prepared.prepare(shared.withLock { $0.survey })
    let quantizer = prepared
    pool.run(count: blocks.count) { index in
      var tile = [UInt8](repeating: 0, count: layout.tileBytes)
      var part = TensorStatistics()
      source(blocks[index]).withUnsafeBytes { source in
        tile.withUnsafeMutableBytes {
          try? quantizer.quantize(
            rows: blocks[index], source: source, into: $0, statistics: &part)
        }
      }
      let (done, figures) = (tile, part)
      outcome.withLock { $0[index] = done }
      shared.withLock { $0.statistics.merge(figures) }
    }
    let tiles = outcome.withLock { tiles in blocks.indices.flatMap { tiles[$0] ?? [] } }
    #expect(quantizer.header() + tiles == alone.payload)
    #expect(shared.withLock { $0.statistics.summary() } == alone.error)
  }

  @Test(arguments: [ElementType.bfloat16, .float16, .float32])
  func theAlignmentOfTheSourceDoesNotMatter(type: ElementType) throws {
    let weights = Self.awkward(rows: 20, columns: 128, type: type, seed: 3)
    let aligned = try Quantized(weights, "cb4-g32")
    for shift in [1, 2, 3, 63] {
      #expect(try Quantized(weights, "cb4-g32", misalignedBy: shift).payload == aligned.payload)
    }
  }

  @Test func theSelectedKernelFollowsTheArithmeticOne() {
    let name = QuantizationKernel.selected.name
    if ["scalar", "avx2"].contains(KernelTable.selected.name) {
      #expect(name == KernelTable.selected.name)
    } else {
      #expect(name == QuantizationKernel.available[0].name)
    }
  }

  static var scalar: QuantizationKernel {
    QuantizationKernel.available[QuantizationKernel.available.count - 1]
  }
}
