public import ArgumentParser
import Bytes
import Foundation
import Kernels
import ReFusion

struct Generate: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Answer a prompt, streaming the text as it becomes final.",
    discussion: """
      Examples:
        ingot generate model.ingot --prompt 'What is 2+2?'
        ingot generate model.ingot --pairs eval.json --limit 4 --json
        echo 'Once upon a time' | ingot generate model.ingot --raw --decoder autoregressive
      """)

  enum Decoder: String, ExpressibleByArgument, CaseIterable {
    case refusion
    case autoregressive
  }

  @Argument(help: "An .ingot file.", completion: .file())
  var model: String
  @Option(name: .long, help: "The question to answer; without it and --pairs, stdin is read.")
  var prompt: String?
  @Option(
    name: .long, help: ArgumentHelp("Answer every query of this file.", valueName: "file"),
    completion: .file())
  var pairs: String?
  @Option(name: .long, help: ArgumentHelp("Only the first N pairs.", valueName: "n"))
  var limit: Int?
  @Flag(name: .long, help: "Feed the text as it is, without the chat template.") var raw = false
  @Option(name: .long, help: "refusion or autoregressive.") var decoder: Decoder = .refusion
  @OptionGroup var decoding: DecodingOptions
  @Option(
    name: .long,
    help: ArgumentHelp("Write every forward of the model to this JSON file.", valueName: "file"),
    completion: .file())
  var trace: String?
  @OptionGroup var runtime: RuntimeOptions
  @OptionGroup var common: CommonOptions

  func validate() throws {
    if prompt != nil, pairs != nil { throw ValidationError("Give --prompt or --pairs, not both.") }
    if let limit, limit < 1 { throw ValidationError("--limit must be at least 1.") }
  }

  func run() throws {
    let text = try TextModel(path: model)
    if decoder == .refusion { try decoding.settings.validate() }
    let pool = common.makePool()
    runtime.prefault(text.file, pool: pool, quiet: common.quiet)
    let session = InferenceSession(
      model: text.model, pool: pool, arithmetic: runtime.arithmeticMode,
      cacheFormat: runtime.cacheFormat)
    var traces: [Trace] = []
    let queries = try self.queries()
    // Streamed text and lines on a terminal show by themselves how far the work is.
    let progress = Progress(
      "generating", total: queries.count, unit: .items("answers"),
      quiet: common.quiet || !common.json || Terminal.outputIsTerminal)
    defer { progress.finish() }
    for query in queries {
      let ids = try text.promptIDs(query, raw: raw)
      let run = try answer(ids, text, session, collectTrace: trace != nil)
      report(run, text)
      progress.advance(1)
      if trace != nil { traces.append(Trace(prompt: ids, run: run, settings: decoding.settings)) }
    }
    if let trace { try Trace.write(traces, to: trace) }
  }

  private func queries() throws -> [String] {
    if let prompt { return [prompt] }
    if let pairs {
      let all = try PairSource.read(pairs).map(\.query)
      return Array(all.prefix(limit ?? all.count))
    }
    let data = FileHandle.standardInput.readDataToEndOfFile()
    guard let text = String(validating: data, as: UTF8.self) else {
      throw IngotError("input.utf8", "stdin is not UTF-8 text")
    }
    return [text]
  }

  private func answer(
    _ ids: [Int32], _ text: TextModel, _ session: InferenceSession, collectTrace: Bool
  ) throws -> GenerationRun {
    var run = GenerationRun(prompt: ids)
    let printer = StreamPrinter(text: text, firstPosition: ids.count, isOn: !common.json)
    var forwards: [TracedForward] = []
    let observer = DecodingObserver(
      forward: collectTrace ? { forwards.append($0) } : nil,
      commit: { printer.commit($0, at: $1) })
    let start = ContinuousClock.now
    switch decoder {
    case .refusion:
      var decoder = try ReFusionDecoder(
        session: session, settings: decoding.settings, observer: observer)
      run.result = try decoder.decode(prompt: ids)
    case .autoregressive:
      var decoder = AutoregressiveDecoder(
        session: session, maximumTokens: decoding.maxTokens, temperature: decoding.temperature,
        seed: decoding.seed, observer: observer)
      run.result = try decoder.decode(prompt: ids)
    }
    run.seconds = (ContinuousClock.now - start) / .seconds(1)
    run.forwards = forwards
    printer.finish(run.result.tokens)
    return run
  }

  private func report(_ run: GenerationRun, _ text: TextModel) {
    if common.json {
      print(run.json(text: text.decode(run.result.tokens)))
      return
    }
    guard !common.quiet else { return }
    let speed = Double(run.result.tokens.count) / max(run.seconds, 1e-9)
    Terminal.note(
      Terminal.styled(
        String(
          format: "%d tokens in %.2f s (%.1f tokens/s), %d forwards, %.2f tokens per forward",
          run.result.tokens.count, run.seconds, speed, run.result.forwards,
          run.result.tokensPerForward), .dim, forError: true))
  }
}

/// The settings of both decoders.
struct DecodingOptions: ParsableArguments {
  @Option(name: .long, help: "Tokens of one slot (k).") var slotSize = 32
  @Option(name: .long, help: "Blocks decoded one after the other (S).") var blocks = 4
  @Option(name: .long, help: "Draft slots whose first token is likelier than this (τs).")
  var slotThreshold: Float = 0.9
  @Option(name: .long, help: "Accept drafted tokens likelier than this (τt).")
  var tokenThreshold: Float = 0.4
  @Option(name: .long, help: "Tokens to generate at most, rounded up to whole slots.")
  var maxTokens = 128
  @Option(name: .long, help: "0 is greedy.") var temperature = 0.0
  @Option(name: .long, help: "Seeds sampling.") var seed: UInt64 = 0
  @Option(
    name: .long,
    help: "fixed, or official to reproduce the published code's treatment of EOS token for token.")
  var eos: EndOfSequenceHandling = .fixed

  var settings: DecodingSettings {
    DecodingSettings(
      slotSize: slotSize, blocks: blocks, slotThreshold: slotThreshold,
      tokenThreshold: tokenThreshold, maximumTokens: maxTokens, temperature: temperature,
      seed: seed, endOfSequence: eos)
  }
}

extension EndOfSequenceHandling: ExpressibleByArgument {}
