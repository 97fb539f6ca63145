import COpenBLAS
import Kernels
import Tensors
import Testing

@Suite struct DenseProductTests {
  static let pools = [1, 2, 3].map { ThreadPool(threads: $0) }

  /// |found − exact| within what summing n products in f32 can lose: n · ε · Σ|wᵢ·xᵢ|.
  static func expectClose(
    _ found: [UInt32], _ matrix: WeightMatrix, _ input: [Float], tokens: Int,
    _ label: Comment
  ) {
    var row = [Float](repeating: 0, count: matrix.columns)
    for index in 0..<matrix.rows {
      row.withUnsafeMutableBufferPointer { matrix.row(index, into: $0.baseAddress!) }
      for token in 0..<tokens {
        let x = input[token * matrix.columns..<(token + 1) * matrix.columns]
        var exact = 0.0
        var magnitude = 0.0
        for (weight, value) in zip(row, x) {
          exact += Double(weight) * Double(value)
          magnitude += abs(Double(weight) * Double(value))
        }
        let error = abs(Double(Float(bitPattern: found[token * matrix.rows + index])) - exact)
        let bound = Double(matrix.columns) * Double(Float.ulpOfOne) * magnitude
        #expect(error <= bound, label)
      }
    }
  }

  @Test(arguments: [ElementType.float32, .float16, .bfloat16])
  func everyTableMultipliesDenseWeights(_ type: ElementType) {
    for (rows, columns) in [(1, 16), (37, 64), (130, 300), (33, 7), (16, 1024)] {
      for misalignment in [0, 1] {
        let matrix = Fixture.dense(
          type, rows: rows, columns: columns, misalignment: misalignment)
        for tokens in [0, 1, 3, 4, 9, 33, 120] {
          var random = SeededGenerator(9)
          let input = random.normals(tokens * columns)
          for table in KernelTable.available {
            let found = product(
              [matrix], input, tokens: tokens, arithmetic: .full, kernels: table,
              pool: Self.pools[tokens % 3])
            Self.expectClose(
              found[0], matrix, input, tokens: tokens,
              "\(table.name) \(type) \(rows)×\(columns) × \(tokens)")
          }
        }
      }
    }
  }

  @Test(arguments: [ElementType.float32, .float16, .bfloat16])
  func moreThanAKernelTakesAtOnceIsMultiplied(_ type: ElementType) {
    let (rows, columns, tokens) = (150, 530, 530)
    let matrix = Fixture.dense(type, rows: rows, columns: columns)
    var random = SeededGenerator(3)
    let input = random.normals(tokens * columns)
    for table in KernelTable.available where table.name != "scalar" {
      let found = product(
        [matrix], input, tokens: tokens, arithmetic: .full, kernels: table, pool: Self.pools[0])
      Self.expectClose(found[0], matrix, input, tokens: tokens, "\(table.name) \(type)")
    }
  }

  @Test(arguments: Fixture.schemes)
  func everyTableMultipliesDequantizedWeights(_ scheme: QuantizationScheme) throws {
    for (rows, columns) in [
      (33, 640), (5, scheme.groupSize), (16, 192 / scheme.groupSize * scheme.groupSize),
    ]
    where columns > 0 {
      let matrix = try Fixture.tiled(scheme, rows: rows, columns: columns)
      for tokens in [1, 33, 100] {
        var random = SeededGenerator(9)
        let input = random.normals(tokens * columns)
        for table in KernelTable.available {
          let found = product(
            [matrix], input, tokens: tokens, arithmetic: .dequantized, kernels: table,
            pool: Self.pools[tokens % 3])
          Self.expectClose(
            found[0], matrix, input, tokens: tokens, "\(table.name) \(scheme.name) × \(tokens)")
        }
      }
    }
  }

  @Test func threadsDoNotChangeTheBits() {
    let matrix = Fixture.dense(.bfloat16, rows: 210, columns: 200)
    var random = SeededGenerator(2)
    let input = random.normals(40 * 200)
    for tokens in [2, 40] {
      let found = Self.pools.map {
        product(
          [matrix], input, tokens: tokens, arithmetic: .full, kernels: .selected, pool: $0)
      }
      #expect(found.allSatisfy { $0 == found[0] })
    }
  }

  /// OpenBLAS multiplies in another order, so the two may differ by the sum of their bounds.
  @Test func manyTokensAgreeWithOpenBLAS() {
    let (rows, columns, tokens) = (203, 517, 70)
    let matrix = Fixture.dense(.float32, rows: rows, columns: columns)
    var random = SeededGenerator(11)
    let input = random.normals(tokens * columns)
    let weights = matrix.bytes.withMemoryRebound(to: Float.self) { Array($0) }
    func openBLAS(_ weights: [Float], _ input: [Float]) -> [Float] {
      var expected = [Float](repeating: 0, count: tokens * rows)
      cblas_sgemm(
        CblasRowMajor, CblasNoTrans, CblasTrans, Int32(tokens), Int32(rows), Int32(columns), 1,
        input, Int32(columns), weights, Int32(columns), 0, &expected, Int32(rows))
      return expected
    }
    let expected = openBLAS(weights, input)
    let magnitudes = openBLAS(weights.map(abs), input.map(abs))
    for table in KernelTable.available {
      let found = product(
        [matrix], input, tokens: tokens, arithmetic: .full, kernels: table, pool: Self.pools[1])[0]
      for index in found.indices {
        let bound = 2 * Float(columns) * Float.ulpOfOne * magnitudes[index]
        #expect(abs(Float(bitPattern: found[index]) - expected[index]) <= bound, "\(table.name)")
      }
    }
  }
}
