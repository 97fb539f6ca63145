import Foundation
import Kernels
import Testing

@Suite struct ElementwiseTests {
  static let pools = [1, 3].map { ThreadPool(threads: $0) }

  /// Runs `body` on a copy of `values` and returns it as bits, for every table and pool.
  static func results(
    _ values: [Float], _ body: (ComputeEngine, UnsafeMutablePointer<Float>) -> Void
  ) -> [(name: String, values: [Float])] {
    KernelTable.available.flatMap { table in
      pools.map { pool in
        let engine = ComputeEngine(pool: pool, kernels: table)
        var copy = values
        copy.withUnsafeMutableBufferPointer { body(engine, $0.baseAddress!) }
        return ("\(table.name), \(pool.threads) threads", copy)
      }
    }
  }

  static func expectEqualBits(_ results: [(name: String, values: [Float])]) {
    let last = results[results.count - 1].values.map(\.bitPattern)
    for result in results { #expect(result.values.map(\.bitPattern) == last, "\(result.name)") }
  }

  static func random(_ count: Int, scale: Float = 1, seed: UInt64 = 1) -> [Float] {
    var generator = SeededGenerator(seed)
    return generator.normals(count).map { $0 * scale }
  }

  @Test(arguments: [1, 15, 16, 17, 128, 1000])
  func rmsNorm(_ width: Int) {
    let x = Self.random(5 * width)
    let weight = Self.random(width, seed: 2)
    let results = Self.results(x) { engine, values in
      engine.rmsNorm(
        values, weight: weight, epsilon: 1e-6, tokens: 0..<5, width: width, into: values)
    }
    Self.expectEqualBits(results)
    for token in 0..<5 {
      let row = x[token * width..<(token + 1) * width].map(Double.init)
      let mean = row.reduce(0) { $0 + $1 * $1 } / Double(width)
      for index in 0..<width {
        let exact = row[index] / (mean + 1e-6).squareRoot() * Double(weight[index])
        // Four roundings and the sum's: 2·log2(width) would do; 16 ulp is generous and fixed.
        #expect(abs(Double(results[0].values[token * width + index]) - exact) <= 1e-6 * abs(exact))
      }
    }
  }

  @Test func swigluFollowsTheFormula() {
    let gate = (0..<4001).map { Float($0 - 2000) / 20 } + [0, -0.0, 1e-30, 300, -300, 88.7, -104]
    let up = Self.random(gate.count)
    let results = Self.results(gate) { engine, values in
      engine.swiglu(gate: values, up: up, count: gate.count)
    }
    Self.expectEqualBits(results)
    for (index, x) in gate.enumerated() {
      let exact = Double(x) / (1 + exp(-Double(x))) * Double(up[index])
      let error = abs(Double(results[0].values[index]) - exact)
      // e⁻ˣ overflows below −88.7, where |silu · up| < 89 · 2⁻¹²⁸ · 6.
      #expect(error <= 1e-6 * abs(exact) + 0x1p-118, "\(x)")
    }
  }

  @Test func add() {
    let x = Self.random(3 * 37)
    let y = Self.random(3 * 37, seed: 4)
    let sums = Self.results(x) { engine, values in engine.add(values, y, count: x.count) }
    #expect(sums.allSatisfy { $0.values == zip(x, y).map { $0 + $1 } })
  }

  @Test(arguments: [2, 16, 40, 64, 128])
  func headNormAndRope(_ dimension: Int) {
    let heads = 3
    let positions: [Int32] = [0, 1, 17, 4095, 32767]
    let x = Self.random(positions.count * heads * dimension)
    let weight = Self.random(dimension, seed: 6)
    let rope = RopeTable(theta: 1_000_000, headDimension: dimension)
    let results = Self.results(x) { engine, values in
      rope.withRows(covering: positions) { rows in
        for index in 0..<positions.count * heads {
          engine.normAndRotate(
            values + index * dimension, weight: weight, epsilon: 1e-6,
            rope: rows + Int(positions[index / heads]) * dimension, headDimension: dimension)
        }
      }
    }
    Self.expectEqualBits(results)
    for (index, found) in results[0].values.enumerated() {
      let start = index / dimension * dimension
      let token = index / (heads * dimension)
      let row = x[start..<start + dimension].map(Double.init)
      let scale = 1 / (row.reduce(0) { $0 + $1 * $1 } / Double(dimension) + 1e-6).squareRoot()
      let normed = row.indices.map { row[$0] * scale * Double(weight[$0]) }
      let element = index - start
      let half = dimension / 2
      let pair = element % half
      let power = pow(1_000_000, Double(Float(2 * pair) / Float(dimension)))
      let angle = Double(Float(positions[token]) * (1 / Float(power)))
      let exact =
        element < half
        ? normed[element] * cos(angle) - normed[element + half] * sin(angle)
        : normed[element] * cos(angle) + normed[element - half] * sin(angle)
      let size = abs(normed[element]) + abs(normed[(element + half) % dimension])
      #expect(abs(Double(found) - exact) <= 1e-6 * size)
    }
  }

  @Test(arguments: [1, 16, 17, 3009, 151_671])
  func softmaxSummary(_ count: Int) {
    var logits = Self.random(count, scale: 5)
    logits[count / 2] = 30
    if count > 3 { logits[count - 1] = 30 }
    let summaries = KernelTable.available.map {
      ComputeEngine(pool: Self.pools[0], kernels: $0).softmaxSummary(logits, count: count)
    }
    let exact = 30 + log(logits.reduce(0.0) { $0 + exp(Double($1) - 30) })
    for summary in summaries {
      #expect(summary.argmax == count / 2)
      #expect(summary.maximum == 30)
      #expect(summary.logSumExp.bitPattern == summaries[0].logSumExp.bitPattern)
      #expect(abs(Double(summary.logSumExp) - exact) <= 4e-6)
    }
  }

  @Test func summariesOfManyTokensAreThoseOfEach() {
    let logits = Self.random(7 * 900)
    for pool in Self.pools {
      let engine = ComputeEngine(pool: pool)
      let all = engine.softmaxSummaries(logits, tokens: 7, count: 900)
      for token in 0..<7 {
        let one = engine.softmaxSummary(Array(logits[token * 900..<(token + 1) * 900]), count: 900)
        #expect(all[token] == one)
      }
    }
  }

  @Test func summaryOfStrangeLogitsDoesNotTrap() {
    for value in [Float.nan, .infinity, -.infinity] {
      for table in KernelTable.available {
        let engine = ComputeEngine(pool: Self.pools[0], kernels: table)
        let logits = [Float](repeating: value, count: 20)
        #expect((0..<20).contains(engine.softmaxSummary(logits, count: 20).argmax))
      }
    }
  }
}
