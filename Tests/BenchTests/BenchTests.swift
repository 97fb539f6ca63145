import Architecture
import Bench
import Bytes
import CIngotKernels
import Kernels
import Quantization
import ReFusion
import Tensors
import TestSupport
import Testing

/// A model of a few kilobytes, so that a line takes microseconds.
private enum Tiny {
  static let configuration = ModelConfiguration(
    vocabularySize: 301, hiddenSize: 128, intermediateSize: 256, layerCount: 2,
    attentionHeads: 4, keyValueHeads: 2, headDimension: 32, tiesEmbeddings: false,
    endOfTextToken: 299, maskToken: 300)
  static let pool = ThreadPool(threads: 2)

  static func weights(_ recipe: String) throws -> RandomWeights {
    let plan = try RandomWeights.plan(
      configuration,
      recipe: #require(Recipe.builtIn(recipe, for: configuration)))
    return RandomWeights(configuration, plan: plan, pool: pool)
  }

  static func settings() -> Benchmark.Settings {
    var settings = Benchmark.Settings()
    settings.rounds = 3
    settings.seconds = 0
    settings.decoding = DecodingSettings(slotSize: 4, blocks: 1, maximumTokens: 8)
    settings.prompt = [1, 2, 3]
    return settings
  }

  static func benchmark(
    _ recipe: String = "int4", kernels: KernelTable = .selected
  ) throws -> Benchmark {
    Benchmark(
      try BenchmarkModel(source: weights(recipe)),
      machine: BenchmarkMachine(pool: pool, readBytes: 1 << 20), settings: settings(), pool: pool,
      kernels: kernels)
  }
}

@Suite struct BenchTests {
  static let lines: [BenchmarkCase] = [
    .linear(tokens: 1), .linear(tokens: 33), .prefill(tokens: 40), .batch(tokens: 8), .decode,
    .attention(entries: 100), .refusion,
  ]

  @Test(arguments: ["int4", "int8", "int6", "cb4-g32", "int4-g64", "int4z-g32"])
  func everyLineIsMeasured(_ recipe: String) throws {
    let benchmark = try Tiny.benchmark(recipe)
    for line in Self.lines {
      guard case .measured(let result) = try benchmark.run(line) else {
        Issue.record("\(line.name) was refused")
        continue
      }
      #expect(result.name == line.name)
      #expect(result.rounds == 3 && result.medianSeconds > 0 && result.fractionOfLimit > 0)
      #expect(result.work.macs > 0 && result.work.bytes > 0)
    }
  }

  @Test func keysOfTheReportAreThoseThatProgramsRead() throws {
    let source = try Tiny.weights("int4")
    var report = BenchmarkReport(
      machine: BenchmarkMachine(pool: Tiny.pool, readBytes: 1 << 20),
      model: try BenchmarkModelSummary(name: "tiny", recipe: "int4", source: source))
    let benchmark = try Tiny.benchmark()
    for line in Self.lines {
      if case .measured(let result) = try benchmark.run(line) { report.results.append(result) }
    }
    var writer = JSONWriter()
    report.write(to: &writer)
    let object = try #require(try JSONValue(parsing: writer.bytes).object)
    let machine = try #require(object["machine"]?.object)
    for key in [
      "cpu", "isa", "threads", "int8_dot_gmacs", "f32_fma_gmacs", "read_gigabytes_per_second",
    ] { #expect(machine[key] != nil, Comment(rawValue: key)) }
    #expect(object["model"]?.object?["parameters"] != nil)
    let results = try #require(object["results"]?.array)
    #expect(results.count == Self.lines.count)
    for result in results {
      for key in [
        "name", "tokens", "median_seconds", "tokens_per_second", "gmacs", "gigabytes_per_second",
        "fraction_of_limit", "limit",
      ] { #expect(result.object?[key] != nil, Comment(rawValue: key)) }
      #expect(["multiply", "read"].contains(result.object?["limit"]?.string))
    }
    let refusion = try #require(results.last?.object)
    for key in ["slot_size", "blocks", "tokens_per_forward"] {
      #expect(refusion[key] != nil, Comment(rawValue: key))
    }
  }

  @Test func workOfTheLinearLayersIsCountedExactly() throws {
    let benchmark = try Tiny.benchmark("int8")
    guard case .measured(let result) = try benchmark.run(.linear(tokens: 3)) else {
      Issue.record("refused")
      return
    }
    // q, k, v, o, gate, up and down of one block.
    let weights = 128 * (128 + 64 + 64 + 128 + 256 + 256) + 256 * 128
    #expect(result.work.macs == Double(3 * weights))
    let shape = Tiny.configuration
    let matrices = try Tiny.weights("int8")
    let bytes = try shape.tensors.filter { $0.name.contains(".0.") && $0.shape.count == 2 }
      .reduce(0) { $0 + (try matrices.matrix(named: $1.name)).byteCount }
    #expect(result.work.bytes == Double(bytes))
  }

  /// Layers of a mixed recipe differ in bytes and time, and a line stands for all of them.
  @Test func linearLayersOfAMixedRecipeAreTheMeanOfAll() throws {
    var shape = Tiny.configuration
    shape.layerCount = 5
    let source = RandomWeights(
      shape,
      plan: try RandomWeights.plan(
        shape, recipe: #require(Recipe.builtIn("int4", for: shape))), pool: Tiny.pool)
    let model = try BenchmarkModel(source: source)
    #expect(model.blockForms == [0, 1, 1, 1, 0])
    #expect(model.formShares == [0.4, 0.6])
    let benchmark = Benchmark(
      model, machine: BenchmarkMachine(pool: Tiny.pool, readBytes: 1 << 20),
      settings: Tiny.settings(), pool: Tiny.pool)
    guard case .measured(let result) = try benchmark.run(.linear(tokens: 3)) else {
      Issue.record("refused")
      return
    }
    let bytes = model.blocks.joined().joined().reduce(0) { $0 + $1.byteCount }
    #expect(result.work.bytes == Double(bytes) / 5)
    // Five rounds at least, one for each layer; three of them with the more common form.
    #expect(result.rounds == 3)
    #expect(
      Benchmark.secondsOfMeanBlock([1, 2, 3, 10, 20], forms: [1, 1, 1, 0, 0], shares: [0.5, 0.5])
        == [5.5, 11, 6.5])
  }

  /// Multiplies right, then spoils one number in the middle.
  private static func spoiled() -> KernelTable {
    let copy = UnsafeMutablePointer<ingot_kernels>.allocate(capacity: 1)
    copy.initialize(to: KernelTable.selected.pointer.pointee)
    copy.pointee.multiply_tiled = { weights, x, first, end, out, scratch in
      KernelTable.selected.pointer.pointee.multiply_tiled(weights, x, first, end, out, scratch)
      if first == 0, let out { out[3] = out[3].nextUp }
    }
    return KernelTable(pointer: copy)
  }

  private static func forgetful() -> KernelTable {
    let copy = UnsafeMutablePointer<ingot_kernels>.allocate(capacity: 1)
    copy.initialize(to: KernelTable.selected.pointer.pointee)
    copy.pointee.swiglu = { _, _, _ in }
    return KernelTable(pointer: copy)
  }

  @Test func aKernelThatDiffersInOneBitGetsNoFigure() throws {
    let benchmark = try Tiny.benchmark(kernels: Self.spoiled())
    for line in [BenchmarkCase.linear(tokens: 1), .linear(tokens: 33), .decode, .refusion] {
      guard case .refused(let refusal) = try benchmark.run(line) else {
        Issue.record("\(line.name) was measured with a spoiled kernel")
        continue
      }
      #expect(refusal.name == line.name && refusal.reason.contains("differs"))
    }
  }

  @Test func aSpoiledOperationIsNamed() throws {
    let benchmark = try Tiny.benchmark(kernels: Self.forgetful())
    guard case .refused(let refusal) = try benchmark.run(.prefill(tokens: 5)) else {
      Issue.record("measured with a spoiled kernel")
      return
    }
    #expect(refusal.reason.contains("swiglu"))
    guard case .measured = try benchmark.run(.linear(tokens: 5)) else {
      Issue.record("linear layers do not use swiglu")
      return
    }
  }

  @Test(arguments: [ElementType.float32, .float16, .bfloat16])
  func denseWeightsAreCheckedAndMeasured(_ type: ElementType) throws {
    let plan = try RandomWeights.plan(
      Tiny.configuration, recipe: Recipe(name: "dense", standard: .keep, keepsMaskRow: false),
      type: type)
    let source = RandomWeights(Tiny.configuration, plan: plan, pool: Tiny.pool)
    let benchmark = Benchmark(
      try BenchmarkModel(source: source),
      machine: BenchmarkMachine(pool: Tiny.pool, readBytes: 1 << 20), settings: Tiny.settings(),
      pool: Tiny.pool)
    for tokens in [1, 8, 32] {
      guard case .measured(let result) = try benchmark.run(.linear(tokens: tokens)) else {
        Issue.record("refused")
        continue
      }
      #expect(result.fractionOfVectorLimit == nil)
      #expect(result.work.floatMACs + result.work.splitMACs > 0)
    }
  }

  @Test func shapesAreThoseOfThePublishedModels() throws {
    for name in BenchmarkShape.names {
      let shape = try #require(BenchmarkShape.configuration(named: name))
      #expect(shape.inconsistency == nil)
      #expect(shape.vocabularySize == 151_671 && shape.maskToken == 151_670)
    }
    #expect(BenchmarkShape.configuration(named: "qwen3-8b")?.parameterCount == 8_188_564_480)
    #expect(BenchmarkShape.configuration(named: "qwen3-9b") == nil)
  }

  @Test func namesOfLinesReadBack() {
    for line in BenchmarkCase.all { #expect(BenchmarkCase(name: line.name) == line) }
    for name in ["linear", "linear_0", "linear_x", "linear_01", "decode_2", "", "batch_-1"] {
      #expect(BenchmarkCase(name: name) == nil, Comment(rawValue: name))
    }
  }
}
