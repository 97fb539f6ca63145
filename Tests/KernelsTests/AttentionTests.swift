import Foundation
import Kernels
import Testing

@Suite struct AttentionTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var heads: Int
    var keyValueHeads: Int
    var dimension: Int
    var spans: [AttentionSpan]
    var entries: Int
    var testDescription: String { "\(heads)/\(keyValueHeads)×\(dimension), \(spans.count) tokens" }
  }

  static func causal(_ cached: Int, _ tokens: Int) -> [AttentionSpan] {
    (0..<tokens).map { AttentionSpan(prefixEnd: Int32(cached + $0 + 1)) }
  }

  /// Three rows of four tokens each over a shared prefix of 21.
  static let rows: [AttentionSpan] = (0..<12).map { token in
    let start = Int32(21 + token / 4 * 4)
    return AttentionSpan(prefixEnd: 21, start: start, end: start + Int32(token % 4) + 1)
  }

  static let cases: [Case] = [
    Case(heads: 1, keyValueHeads: 1, dimension: 16, spans: causal(0, 1), entries: 1),
    Case(heads: 4, keyValueHeads: 2, dimension: 64, spans: causal(0, 33), entries: 33),
    Case(heads: 4, keyValueHeads: 1, dimension: 128, spans: causal(70, 1), entries: 71),
    Case(heads: 6, keyValueHeads: 2, dimension: 40, spans: causal(5, 9), entries: 14),
    Case(heads: 12, keyValueHeads: 1, dimension: 32, spans: causal(40, 3), entries: 43),
    Case(heads: 4, keyValueHeads: 2, dimension: 96, spans: rows, entries: 33),
    Case(
      heads: 2, keyValueHeads: 1, dimension: 64,
      spans: [
        AttentionSpan(prefixEnd: 0), AttentionSpan(prefixEnd: 3, start: 40, end: 55),
        AttentionSpan(prefixEnd: 20, start: 22, end: 30), AttentionSpan(prefixEnd: 64),
      ], entries: 64),
    Case(
      heads: 4, keyValueHeads: 2, dimension: 64,
      spans: [
        AttentionSpan(prefixEnd: 21, start: 21, end: 24),
        AttentionSpan(prefixEnd: 21, start: 21, end: 39, hole: 23..<38),
        AttentionSpan(prefixEnd: 0, start: 2, end: 50, hole: 2..<49),
        AttentionSpan(prefixEnd: 9, start: 3, end: 50, hole: 5..<30),
      ], entries: 50),
  ]

  struct Run {
    var queries: [Float]
    var keys: [Float]
    var values: [Float]
    var output: [Float]
  }

  static func run(
    _ test: Case, format: KeyValueCache.Format, kernels: KernelTable, threads: Int = 1
  ) -> Run {
    var random = SeededGenerator(3)
    let width = test.keyValueHeads * test.dimension
    let queries = random.normals(test.spans.count * test.heads * test.dimension)
    let keys = random.normals(test.entries * width)
    let values = random.normals(test.entries * width)
    let cache = KeyValueCache(
      layers: 2, keyValueHeads: test.keyValueHeads, headDimension: test.dimension,
      format: format, capacity: 16)
    let poison = [Float](repeating: .nan, count: width)
    for entry in 0..<test.entries {
      cache.reserve(entry + 2)
      keys.withUnsafeBufferPointer { keys in
        values.withUnsafeBufferPointer { values in
          cache.store(
            layer: 1, index: entry, key: keys.baseAddress! + entry * width,
            value: values.baseAddress! + entry * width)
        }
      }
      // Entries beyond the last must not matter, whatever they hold.
      cache.store(layer: 1, index: entry + 1, key: poison, value: poison)
    }
    let engine = ComputeEngine(pool: ThreadPool(threads: threads), kernels: kernels)
    var output = [Float](repeating: 9, count: queries.count)
    output.withUnsafeMutableBufferPointer {
      engine.attend(
        queries: queries, tokens: test.spans.count, queryHeads: test.heads, layer: 1,
        cache: cache, spans: test.spans, into: $0.baseAddress!)
    }
    return Run(queries: queries, keys: keys, values: values, output: output)
  }

  /// Softmax attention in f64.
  static func expected(_ test: Case, _ run: Run) -> [Double] {
    var result: [Double] = []
    let d = test.dimension
    for (token, span) in test.spans.enumerated() {
      for head in 0..<test.heads {
        let shared = head / (test.heads / test.keyValueHeads)
        let query = run.queries[
          (token * test.heads + head) * d..<(token * test.heads + head + 1) * d]
        let visible = (0..<test.entries).filter {
          $0 < Int(span.prefixEnd)
            || ($0 >= Int(span.start) && $0 < Int(span.end)
              && !(Int(span.holeStart)..<Int(span.holeEnd)).contains($0))
        }
        let scores = visible.map { entry -> Double in
          let start = (entry * test.keyValueHeads + shared) * d
          return zip(query, run.keys[start..<start + d])
            .reduce(0) { $0 + Double($1.0) * Double($1.1) } / Double(d).squareRoot()
        }
        let top = scores.max() ?? 0
        let weights = scores.map { exp($0 - top) }
        let total = weights.reduce(0, +)
        for element in 0..<d {
          let sum = zip(visible, weights).reduce(0.0) { sum, pair in
            let at = (pair.0 * test.keyValueHeads + shared) * d + element
            return sum + pair.1 * Double(run.values[at])
          }
          result.append(visible.isEmpty ? 0 : sum / total)
        }
      }
    }
    return result
  }

  @Test(arguments: cases)
  func agreesWithDoublePrecision(_ test: Case) {
    // Rounding of a stored element relative to the largest: f32 chain, f16, int8.
    for (format, tolerance) in [
      (KeyValueCache.Format.float32, 2e-5), (.float16, 1e-2), (.int8, 0.15),
    ] {
      let run = Self.run(test, format: format, kernels: .scalar)
      for (found, expected) in zip(run.output, Self.expected(test, run)) {
        #expect(abs(Double(found) - expected) <= tolerance)
      }
    }
  }

  @Test(arguments: cases)
  func everyTableAndThreadCountGivesTheSameBits(_ test: Case) {
    for format in KeyValueCache.Format.allCases {
      let expected = Self.run(test, format: format, kernels: .scalar).output.map(\.bitPattern)
      for table in KernelTable.available {
        for threads in [1, 3] {
          let run = Self.run(test, format: format, kernels: table, threads: threads)
          #expect(run.output.map(\.bitPattern) == expected, "\(table.name) \(format)")
        }
      }
    }
  }

  @Test(arguments: KeyValueCache.Format.allCases)
  func tokensDoNotInfluenceEachOther(_ format: KeyValueCache.Format) {
    let all = Self.run(Self.cases[1], format: format, kernels: .selected).output
    for token in [0, 7, 32] {
      var single = Self.cases[1]
      single.spans = Self.causal(0, 33)
      for index in single.spans.indices where index != token {
        single.spans[index] = AttentionSpan(prefixEnd: 1)
      }
      let found = Self.run(single, format: format, kernels: .selected).output
      let range = token * 256..<(token + 1) * 256
      #expect(found[range].map(\.bitPattern) == all[range].map(\.bitPattern))
    }
  }

  /// Infill counts on it: what lies 16 entries further on, behind a hole, gives the bits it would in place.
  @Test(arguments: KeyValueCache.Format.allCases)
  func entriesBehindAHoleAreTheEntries(_ format: KeyValueCache.Format) {
    var random = SeededGenerator(7)
    let vectors = (0..<20).map { _ in random.normals(64) }
    let query = random.normals(64)
    let engine = ComputeEngine(pool: ThreadPool(threads: 1))
    let results = [0, 16, 32].map { shift in
      let cache = KeyValueCache(
        layers: 1, keyValueHeads: 1, headDimension: 64, format: format, capacity: 64)
      for (index, vector) in vectors.enumerated() {
        cache.store(layer: 0, index: index, key: vector, value: vector)
        if index >= 13 {
          cache.store(layer: 0, index: index + shift, key: vector, value: vector)
        }
      }
      var output = [Float](repeating: 0, count: 64)
      let span = AttentionSpan(
        prefixEnd: 5, start: 7, end: Int32(20 + shift), hole: 13..<Int32(13 + shift))
      output.withUnsafeMutableBufferPointer {
        engine.attend(
          queries: query, tokens: 1, queryHeads: 1, layer: 0, cache: cache, spans: [span],
          into: $0.baseAddress!)
      }
      return output.map(\.bitPattern)
    }
    #expect(results[1] == results[0] && results[2] == results[0])
  }

  @Test(arguments: KeyValueCache.Format.allCases)
  func movedEntryIsTheEntry(_ format: KeyValueCache.Format) {
    var random = SeededGenerator(5)
    let make = {
      KeyValueCache(layers: 1, keyValueHeads: 2, headDimension: 24, format: format, capacity: 40)
    }
    let engine = ComputeEngine(pool: ThreadPool(threads: 1))
    let vectors = (0..<4).map { _ in random.normals(48) }
    let direct = make()
    let moved = make()
    direct.store(layer: 0, index: 3, key: vectors[0], value: vectors[1])
    moved.store(layer: 0, index: 37, key: vectors[0], value: vectors[1])
    moved.store(layer: 0, index: 3, key: vectors[2], value: vectors[3])
    moved.move(from: 37, to: 3)
    let spans = [AttentionSpan(prefixEnd: 0, start: 3, end: 4)]
    let results = [direct, moved].map { cache in
      var output = [Float](repeating: 0, count: 48)
      output.withUnsafeMutableBufferPointer {
        engine.attend(
          queries: vectors[2], tokens: 1, queryHeads: 2, layer: 0, cache: cache, spans: spans,
          into: $0.baseAddress!)
      }
      return output
    }
    #expect(results[0] == results[1])
    #expect(results[0] != [Float](repeating: 0, count: 48))
  }
}
