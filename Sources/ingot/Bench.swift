import ArgumentParser
import Bench
import Bytes
import Foundation
import IngotFormat
import Kernels
import Quantization
import ReFusion
import Tensors

struct Bench: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measure a model's speed beside the limits of this machine.",
    discussion: """
      Each kernel is compared with the scalar definition, bit for bit, before it is timed; a line \
      whose kernel differs gets no figure, and the exit status is 1. Limits are measured in the \
      same run. Lines:
        linear_N     the linear layers of one block on average, back to back, cold between blocks
        prefill_N    a forward of N tokens on an empty cache, and one row of logits
        batch_N      the same, for the numbers of tokens ReFusion decoding uses
        decode_1     one token behind 64 others, and its logits
        attention_N  one token's attention over N cache entries in one layer
        refusion     decoding --prompt with a trained model

      Examples:
        ingot bench model-int4.ingot
        ingot bench --shape qwen3-1.7b --recipe int4 --json
        ingot bench --shape qwen3-8b --recipe int8 --only linear_32,decode_1 --threads 1
        ingot bench --shape qwen3-1.7b --recipe bf16 --only linear_512
      """)

  @Argument(help: "An .ingot file; or give --shape.", completion: .file())
  var model: String?
  @Option(
    name: .long,
    help: ArgumentHelp(
      "Random weights in this shape instead of a file: "
        + BenchmarkShape.names.joined(separator: ", ") + ".", valueName: "name"))
  var shape: String?
  @Option(
    name: .long,
    help: "With --shape: a recipe as for quantize; or bf16, f16, f32. Default: int4.")
  var recipe: String?
  @Option(
    name: .long, help: ArgumentHelp("Only these lines.", valueName: "list"),
    transform: Self.parseLines)
  var only: [BenchmarkCase] = BenchmarkCase.all
  @Option(name: .long, help: "Rounds that each line measures at least; the median counts.")
  var rounds = 5
  @Option(name: .long, help: "Seconds that each line measures for at least.") var seconds = 1.0
  @Option(name: .long, help: "What the refusion line decodes.")
  var prompt = "Explain in a few sentences how a sorting algorithm works."
  @OptionGroup var decoding: DecodingOptions
  @OptionGroup var runtime: RuntimeOptions
  @OptionGroup var common: CommonOptions

  static func parseLines(_ text: String) throws -> [BenchmarkCase] {
    try text.split(separator: ",").map { name in
      guard let line = BenchmarkCase(name: name) else {
        throw ValidationError(
          "Unknown line '\(name)'; use linear_N, prefill_N, batch_N, decode_1, attention_N, "
            + "refusion.")
      }
      return line
    }
  }

  func validate() throws {
    guard (model == nil) != (shape == nil) else {
      throw ValidationError("Give either a model or --shape.")
    }
    if let shape, BenchmarkShape.configuration(named: shape) == nil {
      throw ValidationError(
        "Unknown shape '\(shape)'; use \(BenchmarkShape.names.joined(separator: ", ")).")
    }
    if shape == nil, recipe != nil { throw ValidationError("--recipe goes with --shape.") }
    guard (1...100_000).contains(rounds), seconds >= 0, seconds <= 3600 else {
      throw ValidationError("--rounds must be from 1 to 100000, --seconds from 0 to 3600.")
    }
  }

  func run() throws {
    if let name = KernelTable.unavailableRequest, !common.quiet {
      Terminal.warn("this machine cannot run INGOT_ISA=\(name)")
    }
    let pool = common.makePool()
    var settings = Benchmark.Settings()
    settings.arithmetic = runtime.arithmeticMode
    settings.cacheFormat = runtime.cacheFormat
    settings.rounds = rounds
    settings.seconds = seconds
    settings.decoding = decoding.settings
    let report =
      try model.map { try measure(file: $0, settings, pool) }
      ?? measure(shape: shape ?? "", settings, pool)
    if common.json {
      var writer = JSONWriter()
      report.write(to: &writer)
      print(writer.text)
    } else {
      print(BenchmarkText.table(report))
    }
    for refusal in report.refusals {
      Terminal.note("\(refusal.name) was not measured: \(refusal.reason)")
    }
    if !report.refusals.isEmpty { throw ExitCode(1) }
  }

  private func measure(
    file path: String, _ settings: Benchmark.Settings, _ pool: ThreadPool
  ) throws -> BenchmarkReport {
    let file = try ModelFile.open(path)
    runtime.prefault(file, pool: pool, quiet: common.quiet)
    let source = IngotWeights(file)
    var settings = settings
    var lines = only
    if lines.contains(.refusion) {
      if file.configuration.maskToken != nil, try file.tokenizerBlob() != nil {
        try decoding.settings.validate()
        settings.prompt = try TextModel(path: path).promptIDs(prompt)
      } else {
        lines.removeAll { $0 == .refusion }
        if !common.quiet {
          Terminal.warn("\(path) has no MASK token or no tokenizer: no refusion line")
        }
      }
    }
    let summary = try BenchmarkModelSummary(
      name: (path as NSString).lastPathComponent, recipe: nil, source: source)
    return try measure(lines, BenchmarkModel(source: source), summary, settings, pool)
  }

  private func measure(
    shape: String, _ settings: Benchmark.Settings, _ pool: ThreadPool
  ) throws -> BenchmarkReport {
    guard let configuration = BenchmarkShape.configuration(named: shape) else {
      throw ValidationError("Unknown shape '\(shape)'.")
    }
    let recipe = self.recipe ?? "int4"
    let dense = ["bf16": ElementType.bfloat16, "f16": .float16, "f32": .float32][recipe]
    let plan = try RandomWeights.plan(
      configuration,
      recipe: dense == nil
        ? Quantize.recipe(recipe, for: configuration)
        : Recipe(name: recipe, standard: .keep, keepsMaskRow: false),
      type: dense ?? .bfloat16)
    let progress = Progress(
      "filling", total: plan.reduce(0) { $0 + $1.byteCount }, unit: .bytes, quiet: common.quiet)
    let source = RandomWeights(configuration, plan: plan, pool: pool) { progress.advance($0) }
    progress.finish()
    let summary = try BenchmarkModelSummary(name: shape, recipe: recipe, source: source)
    // Random weights decode nothing.
    let lines = only.filter { $0 != .refusion }
    return try measure(lines, BenchmarkModel(source: source), summary, settings, pool)
  }

  private func measure(
    _ lines: [BenchmarkCase], _ subject: BenchmarkModel, _ summary: BenchmarkModelSummary,
    _ settings: Benchmark.Settings, _ pool: ThreadPool
  ) throws -> BenchmarkReport {
    var report = BenchmarkReport(machine: BenchmarkMachine(pool: pool), model: summary)
    let benchmark = Benchmark(subject, machine: report.machine, settings: settings, pool: pool)
    let progress = Progress(
      "measuring", total: lines.count, unit: .items("lines"), quiet: common.quiet)
    for line in lines {
      switch try benchmark.run(line) {
      case .measured(let result): report.results.append(result)
      case .refused(let refusal): report.refusals.append(refusal)
      }
      progress.advance(1)
    }
    progress.finish()
    return report
  }
}
