import ArgumentParser
import Bytes
import Foundation
import Kernels
import Parity
import ReFusion

struct Perplexity: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measure likelihoods of query/response pairs.",
    discussion: """
      causal     next-token likelihood, as any autoregressive model
      slot       exact likelihood in slots from left to right, both heads, no sampling
      objective  the two training losses under seeded masks

      Example:
        ingot perplexity model.ingot --pairs eval.json --metric causal,slot --slot-size 8,32
      """)

  @Argument(help: "An .ingot file.", completion: .file())
  var model: String
  @Option(
    name: .long, help: ArgumentHelp("Query/response pairs, JSON or JSON lines.", valueName: "file"),
    completion: .file())
  var pairs: String
  @Option(
    name: .long, help: ArgumentHelp("Of causal, slot, objective.", valueName: "list"),
    transform: Self.parseMetrics)
  var metric: [MetricName] = [.causal, .slot, .objective]
  @Option(
    name: .long, help: ArgumentHelp("Slot sizes of the slot metric.", valueName: "list"),
    transform: Self.parseSizes)
  var slotSize: [Int] = [4, 8, 16, 32]
  @Option(name: .long, help: ArgumentHelp("Only the first N pairs.", valueName: "n"))
  var limit: Int?
  @Option(name: .long, help: "Seeds the objective's masks.") var seed: UInt64 = 0
  @OptionGroup var runtime: RuntimeOptions
  @OptionGroup var common: CommonOptions

  enum MetricName: String, CaseIterable {
    case causal
    case slot
    case objective
  }

  static func parseMetrics(_ text: String) throws -> [MetricName] {
    try text.split(separator: ",").map { name in
      guard let metric = MetricName(rawValue: String(name)) else {
        throw ValidationError("Unknown metric '\(name)'; use causal, slot, objective.")
      }
      return metric
    }
  }

  static func parseSizes(_ text: String) throws -> [Int] {
    try text.split(separator: ",").map { item in
      guard let size = Int(item), (1...4096).contains(size) else {
        throw ValidationError("Slot size '\(item)' is not a number from 1 to 4096.")
      }
      return size
    }
  }

  private var metrics: [PerplexityMetric] {
    metric.flatMap { name -> [PerplexityMetric] in
      switch name {
      case .causal: [.causal]
      case .slot: slotSize.map { .slot(size: $0) }
      case .objective: [.objective]
      }
    }
  }

  func run() throws {
    let text = try TextModel(path: model)
    if metric.contains(where: { $0 != .causal }), text.model.configuration.maskToken == nil {
      throw IngotError(
        "perplexity.noMask", "the model has no mask_token_id", path: model,
        advice: "Only --metric causal can be measured.")
    }
    let all = try PairSource.read(pairs)
    let examples = try text.examples(Array(all.prefix(limit ?? all.count)), path: pairs)
    let pool = common.makePool()
    runtime.prefault(text.file, pool: pool, quiet: common.quiet)
    let session = InferenceSession(
      model: text.model, pool: pool, arithmetic: runtime.arithmeticMode,
      cacheFormat: runtime.cacheFormat)
    var evaluator = PerplexityEvaluator(metrics: metrics, seed: seed)
    let progress = Progress(
      "scoring", total: examples.count, unit: .items("pairs"), quiet: common.quiet)
    for (index, example) in examples.enumerated() {
      evaluator.add(example, pair: index, on: session)
      progress.advance(1)
    }
    progress.finish()
    print(common.json ? json(evaluator) : table(evaluator))
  }

  private func json(_ evaluator: PerplexityEvaluator) -> String {
    var writer = JSONWriter()
    writer.object { object in
      object.key("pairs")
      object.value(evaluator.pairs)
      object.key("tokens")
      object.value(evaluator.tokens)
      object.key("metrics")
      object.object { metrics in
        for metric in evaluator.metrics {
          metrics.key(metric.name)
          metrics.object { Self.write(metric, evaluator, to: &$0) }
        }
      }
    }
    return writer.text
  }

  private static func write(
    _ metric: PerplexityMetric, _ evaluator: PerplexityEvaluator, to writer: inout JSONWriter
  ) {
    func number(_ key: String, _ value: Double?) {
      writer.key(key)
      if let value { writer.value(value) } else { writer.null() }
    }
    guard metric == .objective else {
      let estimate = evaluator.estimate(metric)
      number("nll", estimate?.value)
      number("perplexity", estimate.map { exp($0.value) })
      number("standard_error", estimate?.standardError)
      return
    }
    number("autoregressive_loss", evaluator.autoregressiveLoss?.value)
    number("autoregressive_standard_error", evaluator.autoregressiveLoss?.standardError)
    number("masked_loss", evaluator.maskedLoss?.value)
    number("masked_standard_error", evaluator.maskedLoss?.standardError)
  }

  private func table(_ evaluator: PerplexityEvaluator) -> String {
    var lines = [
      "\(evaluator.pairs) pairs, \(evaluator.tokens) response tokens (EOS included)", "",
    ]
    lines.append("metric         nll (nats/token)     perplexity")
    func line(_ name: String, _ estimate: RatioEstimate?, perplexity: Bool) {
      guard let estimate else { return }
      let error = estimate.standardError.map { String(format: "± %.4f", $0) } ?? ""
      let value = Format.padded(
        String(format: "%.4f ", estimate.value) + error, 21)
      lines.append(
        Format.padded(name, 15)
          + (perplexity ? value + String(format: "%.4f", exp(estimate.value)) : value))
    }
    for metric in evaluator.metrics {
      if metric == .objective {
        line("objective AR", evaluator.autoregressiveLoss, perplexity: false)
        line("objective MDM", evaluator.maskedLoss, perplexity: false)
      } else {
        line(metric.name, evaluator.estimate(metric), perplexity: true)
      }
    }
    return lines.joined(separator: "\n")
  }
}
