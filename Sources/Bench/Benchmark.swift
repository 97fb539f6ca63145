internal import Architecture
package import Bytes
package import Kernels
package import ReFusion
internal import Tensors

/// Measures a model on this machine.
///
/// Each line's kernels are compared with the scalar definition at the shapes and numbers of tokens
/// that the line uses, before it is timed; a line whose kernels differ gets no figure.
package final class Benchmark {
  package struct Settings: Sendable {
    package var arithmetic = Arithmetic.quantized
    package var cacheFormat = KeyValueCache.Format.float32
    /// Rounds that each line measures at least, and seconds it measures for at least.
    package var rounds = 5
    package var seconds = 1.0
    package var decoding = DecodingSettings()
    /// What `refusion` decodes; empty leaves that line out.
    package var prompt: [Int32] = []

    package init() {}
  }

  let subject: BenchmarkModel
  let machine: BenchmarkMachine
  let settings: Settings
  let pool: ThreadPool
  let engine: ComputeEngine
  let session: InferenceSession
  private let probe: LimitProbe
  private var checks: [Check: String] = [:]

  package init(
    _ subject: BenchmarkModel, machine: BenchmarkMachine, settings: Settings, pool: ThreadPool,
    kernels: KernelTable = .selected
  ) {
    self.subject = subject
    self.machine = machine
    self.settings = settings
    self.pool = pool
    probe = LimitProbe(pool, readBytes: machine.readBytes)
    engine = ComputeEngine(pool: pool, kernels: kernels)
    session = InferenceSession(
      model: subject.model, pool: pool, arithmetic: settings.arithmetic,
      cacheFormat: settings.cacheFormat, kernels: kernels)
  }

  package enum Outcome: Sendable {
    case measured(BenchmarkResult)
    case refused(BenchmarkRefusal)
  }

  /// Verifies, then measures one line.
  ///
  /// - Throws: what decoding throws for settings or a prompt that the model cannot take.
  package func run(_ line: BenchmarkCase) throws(IngotError) -> Outcome {
    if let reason = fault(in: line) {
      return .refused(BenchmarkRefusal(name: line.name, reason: reason))
    }
    switch line {
    case .linear(let tokens): return .measured(linear(line, tokens))
    case .prefill(let tokens), .batch(let tokens):
      return .measured(forward(line, tokens, context: 0))
    case .decode: return .measured(forward(line, 1, context: Self.decodeContext))
    case .attention(let entries): return .measured(attention(line, entries))
    case .refusion: return .measured(try refusion(line))
    }
  }

  /// Entries in the cache while one-token decoding is measured: what a short answer averages.
  static let decodeContext = 64

  /// Times rounds until there are enough of them, and the machine's limits between them.
  ///
  /// - Parameters:
  ///   - rounds: how many at least, if more than the settings say.
  ///   - round: gets the round's number; the first round, −1, only warms up.
  func time(
    atLeast rounds: Int = 1, _ round: (Int) throws(IngotError) -> Void
  ) throws(IngotError) -> BenchmarkTiming {
    try round(-1)
    var timing = BenchmarkTiming(limits: [probe.sample()])
    var total = 0.0
    var sinceSample = 0.0
    let rounds = max(rounds, settings.rounds)
    while timing.seconds.count < rounds || total < settings.seconds {
      let start = ContinuousClock.now
      try round(timing.seconds.count)
      let elapsed = (ContinuousClock.now - start) / .seconds(1)
      timing.seconds.append(elapsed)
      total += elapsed
      sinceSample += elapsed
      // A sample takes a few milliseconds.
      if sinceSample > 0.05 {
        timing.limits.append(probe.sample())
        sinceSample = 0
      }
    }
    return timing
  }
}

/// Rounds of one line, and what the machine could do meanwhile.
struct BenchmarkTiming {
  var seconds: [Double] = []
  var limits: [MachineLimits]
}

extension Benchmark {
  private enum Check: Hashable {
    case products(tokens: Int, isHead: Bool)
    case operations(tokens: Int)
  }

  /// Why a line is refused: the first kernel that gives other bits than the definition.
  private func fault(in line: BenchmarkCase) -> String? {
    let checks: [Check] =
      switch line {
      case .linear(let tokens): [.products(tokens: tokens, isHead: false)]
      case .attention: [.operations(tokens: 1)]
      case .prefill(let tokens), .batch(let tokens): Self.forward(tokens)
      case .decode: Self.forward(1)
      case .refusion:
        Self.forward(settings.decoding.slotSize) + Self.forward(2 * settings.decoding.slotSize + 1)
      }
    for check in checks {
      let reason = self.checks[check] ?? fault(check)
      self.checks[check] = reason
      if !reason.isEmpty { return reason }
    }
    return nil
  }

  private static func forward(_ tokens: Int) -> [Check] {
    [
      .products(tokens: tokens, isHead: false), .products(tokens: 1, isHead: true),
      .operations(tokens: min(tokens, 32)),
    ]
  }

  /// Empty when all is well.
  private func fault(_ check: Check) -> String {
    switch check {
    case .products(let tokens, let isHead):
      let matrices = isHead ? [subject.head] : subject.distinctMatrices
      guard let bad = matrices.first(where: { !isRight($0, tokens) }) else { return "" }
      return "\(engine.kernels.name) differs from the scalar definition: "
        + "\(Self.name(bad.storage)), \(bad.rows) × \(bad.columns), \(tokens) tokens"
    case .operations(let tokens):
      let bad = KernelCheck.failingOperation(
        operationSizes, tokens: tokens, kernels: engine.kernels, pool: pool)
      return bad.map { "\(engine.kernels.name) differs from the scalar definition: \($0)" } ?? ""
    }
  }

  private func isRight(_ matrix: WeightMatrix, _ tokens: Int) -> Bool {
    if case .tiled = matrix.storage, settings.arithmetic == .quantized {
      return KernelCheck.verify(matrix, tokens: tokens, kernels: engine.kernels, pool: pool)
    }
    return KernelCheck.verifyFloat(matrix, tokens: tokens, kernels: engine.kernels, pool: pool)
  }

  private static func name(_ storage: WeightMatrix.Storage) -> String {
    switch storage {
    case .dense(let type): type.name
    case .tiled(let layout): layout.scheme.name
    }
  }

  private var operationSizes: OperationSizes {
    let shape = subject.model.configuration
    return OperationSizes(
      width: shape.hiddenSize, queryHeads: shape.attentionHeads,
      keyValueHeads: shape.keyValueHeads, headDimension: shape.headDimension,
      vocabulary: shape.vocabularySize, cacheFormat: settings.cacheFormat)
  }
}
