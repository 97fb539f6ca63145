import Kernels
import Tensors
import Testing

/// The steps of a layer as jobs of several threads against the same operations one after the other.
@Suite struct LayerTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var tokens: Int
    var queryHeads: Int
    var keyValueHeads: Int
    var dimension: Int
    var scheme: QuantizationScheme?
    var hasBias = false
    var queryWidth: Int { queryHeads * dimension }
    var keyWidth: Int { keyValueHeads * dimension }
    var testDescription: String {
      "\(tokens) tokens, \(queryHeads)/\(keyValueHeads)×\(dimension), \(scheme?.name ?? "bf16")"
    }
  }

  static let cases: [Case] = [1, 5, 19, 33, 70].flatMap { tokens in
    [
      Case(tokens: tokens, queryHeads: 4, keyValueHeads: 2, dimension: 64),
      Case(
        tokens: tokens, queryHeads: 4, keyValueHeads: 2, dimension: 64,
        scheme: QuantizationScheme(.int8, groupSize: 64), hasBias: true),
      Case(
        tokens: tokens, queryHeads: 6, keyValueHeads: 3, dimension: 32,
        scheme: QuantizationScheme(.cb4, groupSize: 16)),
      Case(
        tokens: tokens, queryHeads: 3, keyValueHeads: 3, dimension: 48,
        scheme: QuantizationScheme(.int4, groupSize: 16)),
    ]
  }

  static let width = 192
  static let epsilon: Float = 1e-6

  static func matrix(_ test: Case, rows: Int, columns: Int, seed: UInt64) throws -> WeightMatrix {
    guard let scheme = test.scheme else {
      return Fixture.dense(.bfloat16, rows: rows, columns: columns, seed: seed)
    }
    return try Fixture.tiled(scheme, rows: rows, columns: columns, seed: seed)
  }

  /// The result of `body` on memory for `count` numbers.
  static func numbers(_ count: Int, _ body: (UnsafeMutablePointer<Float>) -> Void) -> [Float] {
    [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
      buffer.initialize(repeating: .nan)
      body(buffer.baseAddress!)
      initialized = count
    }
  }

  static func expectSameBits(_ found: [Float], _ expected: [Float], _ name: String) {
    #expect(found.map(\.bitPattern) == expected.map(\.bitPattern), "\(name)")
  }

  /// Engines of every table with one to three threads.
  static var engines: [ComputeEngine] {
    KernelTable.available.flatMap { table in
      [1, 2, 3].map { ComputeEngine(pool: ThreadPool(threads: $0), kernels: table) }
    }
  }

  @Test(arguments: cases)
  func gatedProductIsSwigluOfTwo(_ test: Case) throws {
    let rows = 3 * 128 + 64
    let gate = try Self.matrix(test, rows: rows, columns: Self.width, seed: 1)
    let up = try Self.matrix(test, rows: rows, columns: Self.width, seed: 2)
    let down = try Self.matrix(test, rows: Self.width, columns: rows, seed: 3)
    let x = ElementwiseTests.random(test.tokens * Self.width)
    let norm = ElementwiseTests.random(Self.width, seed: 9)
    for engine in Self.engines {
      let tokens = test.tokens
      func product(_ weights: WeightMatrix, _ input: [Float]) -> [Float] {
        Self.numbers(tokens * weights.rows) {
          engine.multiply(
            [weights], input: input, tokens: tokens, outputs: [$0], arithmetic: .quantized)
        }
      }
      let normed = Self.numbers(x.count) {
        engine.rmsNorm(
          x, weight: norm, epsilon: Self.epsilon, tokens: 0..<tokens, width: Self.width, into: $0)
      }
      var gated = product(gate, normed)
      engine.swiglu(gate: &gated, up: product(up, normed), count: gated.count)
      let expected = zip(x, product(down, gated)).map { $0 + $1 }

      var found = x
      let (first, second) = (InputMemory(), InputMemory())
      func input(_ weights: WeightMatrix, _ memory: InputMemory) -> LinearInput {
        engine.input(of: [weights], tokens: tokens, arithmetic: .quantized, in: memory)
      }
      let one = input(gate, first)
      engine.normalize(x, weight: norm, epsilon: Self.epsilon, into: one)
      let two = input(down, second)
      _ = Self.numbers(tokens * rows) {
        engine.multiplyGated(
          gate: gate,
          up: engine.product(up, into: $0, tokens: tokens, arithmetic: .quantized), one,
          arithmetic: .quantized, into: two)
      }
      _ = Self.numbers(x.count) {
        engine.multiply(
          engine.product(down, into: $0, tokens: tokens, arithmetic: .quantized), two, bias: nil,
          addingTo: &found)
      }
      Self.expectSameBits(found, expected, "\(engine.kernels.name) \(engine.pool.threads)")
    }
  }

  @Test(arguments: cases)
  func attentionIsThatOfItsParts(_ test: Case) throws {
    let weights = try [test.queryWidth, test.keyWidth, test.keyWidth].enumerated().map {
      try Self.matrix(test, rows: $1, columns: Self.width, seed: UInt64($0))
    }
    let output = try Self.matrix(test, rows: Self.width, columns: test.queryWidth, seed: 5)
    for engine in Self.engines {
      let name = "\(engine.kernels.name) \(engine.pool.threads)"
      Self.expectSameBits(
        Self.attention(test, engine, weights, output),
        Self.attentionByParts(test, engine, weights, output), name)
    }
  }

  static func cache(_ test: Case) -> KeyValueCache {
    KeyValueCache(
      layers: 2, keyValueHeads: test.keyValueHeads, headDimension: test.dimension,
      format: .float32, capacity: 2 * test.tokens + 1)
  }

  /// Every other entry, out of order, each seeing those of the tokens before it.
  static func tokens(_ test: Case) -> AttentionTokens {
    let entries = (0..<test.tokens).map { Int32(2 * $0) }
    return AttentionTokens(
      positions: (0..<test.tokens).map { Int32(7 * $0 % 64) }, destinations: entries,
      spans: entries.map { AttentionSpan(prefixEnd: 1, start: 2 * ($0 / 8), end: $0 + 1) })
  }

  static func bias(_ test: Case, _ count: Int, seed: UInt64) -> [Float]? {
    test.hasBias ? ElementwiseTests.random(count, seed: seed) : nil
  }

  static func attention(
    _ test: Case, _ engine: ComputeEngine, _ weights: [WeightMatrix], _ output: WeightMatrix
  ) -> [Float] {
    let tokens = test.tokens
    let x = ElementwiseTests.random(tokens * width)
    let norm = ElementwiseTests.random(test.dimension, seed: 3)
    let (first, second) = (InputMemory(), InputMemory())
    let input = engine.input(of: weights, tokens: tokens, arithmetic: .quantized, in: first)
    x.withUnsafeBufferPointer { input.numbers.update(from: $0.baseAddress!, count: x.count) }
    engine.prepare(input)
    let next = engine.input(of: [output], tokens: tokens, arithmetic: .quantized, in: second)
    var memory = weights.map { [Float](repeating: .nan, count: tokens * $0.rows) }
    let pointers = memory.indices.map { index in
      memory[index].withUnsafeMutableBufferPointer { $0.baseAddress! }
    }
    func projection(_ index: Int) -> HeadProjection {
      HeadProjection(
        engine.product(
          weights[index], into: pointers[index], tokens: tokens, arithmetic: .quantized),
        bias: bias(test, weights[index].rows, seed: UInt64(index)), norm: index < 2 ? norm : nil)
    }
    engine.attend(
      LayerAttention(
        query: projection(0), key: projection(1), value: projection(2), epsilon: epsilon,
        rope: RopeTable(theta: 10_000, headDimension: test.dimension), tokens: Self.tokens(test),
        layer: 1, cache: cache(test)), input, into: next)
    return withExtendedLifetime(memory) {
      numbers(tokens * width) {
        engine.multiply(
          [engine.product(output, into: $0, tokens: tokens, arithmetic: .quantized)], next)
      }
    }
  }

  static func attentionByParts(
    _ test: Case, _ engine: ComputeEngine, _ weights: [WeightMatrix], _ output: WeightMatrix
  ) -> [Float] {
    let x = ElementwiseTests.random(test.tokens * width)
    let norm = ElementwiseTests.random(test.dimension, seed: 3)
    let cache = cache(test)
    let places = tokens(test)
    let rope = RopeTable(theta: 10_000, headDimension: test.dimension)
    let parts = weights.enumerated().map { index, matrix in
      numbers(test.tokens * matrix.rows) { out in
        engine.multiply(
          [matrix], input: x, tokens: test.tokens, outputs: [out], arithmetic: .quantized)
        let bias = bias(test, matrix.rows, seed: UInt64(index))
        for token in 0..<test.tokens {
          let row = out + token * matrix.rows
          if let bias { engine.add(row, bias, count: bias.count) }
          guard index < 2 else { continue }
          rope.withRows(covering: places.positions) { rows in
            for head in 0..<matrix.rows / test.dimension {
              engine.normAndRotate(
                row + head * test.dimension, weight: norm, epsilon: epsilon,
                rope: rows + Int(places.positions[token]) * test.dimension,
                headDimension: test.dimension)
            }
          }
        }
      }
    }
    for token in 0..<test.tokens {
      let range = token * test.keyWidth..<(token + 1) * test.keyWidth
      cache.store(
        layer: 1, index: Int(places.destinations[token]), key: Array(parts[1][range]),
        value: Array(parts[2][range]))
    }
    let attended = numbers(test.tokens * test.queryWidth) {
      engine.attend(
        queries: parts[0], tokens: test.tokens, queryHeads: test.queryHeads, layer: 1,
        cache: cache, spans: places.spans, into: $0)
    }
    return numbers(test.tokens * width) {
      engine.multiply(
        [output], input: attended, tokens: test.tokens, outputs: [$0], arithmetic: .quantized)
    }
  }
}
