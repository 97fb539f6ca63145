internal import Architecture
package import Bytes
package import Kernels
package import ReFusion

/// Finds what a candidate's drift comes from: which rounding, which layer, which tensor.
package struct AttributionRun {
  private let reference: any WeightSource
  private let candidate: any WeightSource
  private let pool: ThreadPool
  private let cacheFormat: KeyValueCache.Format
  private let plans: [ScoringPlan]
  private let damaged: Set<String>
  private let referenceModel: ReFusionModel
  private let candidateModel: ReFusionModel

  /// Models up to this many parameters have every tensor exchanged on its own.
  private static let exhaustiveLimit = 100_000_000
  /// Tensors exchanged in larger models: the ones whose weights moved most.
  private static let sampled = 12

  /// - Parameters:
  ///   - cacheFormat: how the candidate's keys and values are cached.
  ///   - pairs: a few are enough; each tensor costs one forward a pair.
  ///   - slotSize: of the slot likelihood whose positions are compared.
  ///   - damaged: tensors of the candidate known to be damaged.
  package init(
    reference: any WeightSource, candidate: any WeightSource, pool: ThreadPool,
    cacheFormat: KeyValueCache.Format, pairs: [VerificationPair], slotSize: Int,
    damaged: [String] = []
  ) throws(IngotError) {
    self.damaged = Set(damaged)
    self.reference = reference
    self.candidate = candidate
    self.pool = pool
    self.cacheFormat = cacheFormat
    let mask = reference.configuration.maskToken.map { Int32($0) }
    plans = pairs.map { pair in
      mask.map { .slots(pair.example, slotSize: slotSize, maskToken: $0) } ?? .causal(pair.example)
    }
    referenceModel = try ReFusionModel(source: reference)
    candidateModel = try ReFusionModel(source: candidate)
  }

  /// Only the weights themselves, tensor by tensor: no forward is run.
  ///
  /// - Parameter progress: called after each of the model's tensors.
  package func weights(progress: () -> Void = {}) throws(IngotError) -> Attribution {
    Attribution(tensors: try comparedTensors(progress).sorted(by: Self.costsMore))
  }

  /// - Parameter progress: called with the number of finished steps of `steps`.
  package func run(progress: (_ done: Int, _ steps: Int) -> Void) throws(IngotError) -> Attribution
  {
    var tensors = try comparedTensors({})
    let exchanged = indicesToExchange(tensors)
    let steps = exchanged.count + 2
    let parts = try parts()
    progress(1, steps)
    let layers = layers()
    progress(2, steps)
    let base = side(session(referenceModel, .quantized))
    for (done, index) in exchanged.enumerated() {
      tensors[index].divergence = try divergence(exchanging: tensors[index].name, from: base)
      progress(done + 3, steps)
    }
    tensors.sort(by: Self.costsMore)
    return Attribution(parts: parts, layers: layers, tensors: tensors)
  }

  /// Damaged tensors first, the worst of them in front; then by the divergence they cause alone.
  private static func costsMore(_ a: Attribution.Tensor, _ b: Attribution.Tensor) -> Bool {
    if a.isDamaged != b.isDamaged { return a.isDamaged }
    if a.isSuspect != b.isSuspect { return a.isSuspect }
    let left = a.divergence ?? -1
    let right = b.divergence ?? -1
    return left != right ? left > right : a.weightError > b.weightError
  }

  private func indicesToExchange(_ tensors: [Attribution.Tensor]) -> [Int] {
    let changed = tensors.indices.filter { tensors[$0].weightError != 0 }
    guard reference.configuration.parameterCount > Self.exhaustiveLimit else { return changed }
    return Array(
      changed.sorted { Self.costsMore(tensors[$0], tensors[$1]) }.prefix(Self.sampled))
  }

  // MARK: Kinds of rounding

  private func session(
    _ model: ReFusionModel, _ arithmetic: Arithmetic, _ format: KeyValueCache.Format = .float32
  ) -> InferenceSession {
    InferenceSession(model: model, pool: pool, arithmetic: arithmetic, cacheFormat: format)
  }

  /// A session and what it left of each plan: run once, compared with several others.
  private struct Side {
    let session: InferenceSession
    let hidden: [[Float]]
  }

  private func side(_ session: InferenceSession) -> Side {
    Side(
      session: session,
      hidden: plans.map { ModelPairScorer.hiddenStates($0, on: session) })
  }

  private func parts() throws(IngotError) -> [Attribution.Part] {
    let exact = side(session(candidateModel, .dequantized))
    let quantized = side(session(candidateModel, .quantized))
    var parts = [
      Attribution.Part(
        name: "weights",
        divergence: try divergence(side(session(referenceModel, .dequantized)), exact)),
      Attribution.Part(name: "activations", divergence: try divergence(exact, quantized)),
    ]
    if cacheFormat != .float32 {
      parts.append(
        Attribution.Part(
          name: "kv_cache",
          divergence: try divergence(
            quantized, side(session(candidateModel, .quantized, cacheFormat)))))
    }
    return parts
  }

  /// Mean KL over all positions of the plans.
  private func divergence(_ reference: Side, _ candidate: Side) throws(IngotError) -> Double {
    let scorer = try ModelPairScorer(
      reference: reference.session, candidate: candidate.session)
    var sum = 0.0
    var count = 0
    for (index, plan) in plans.enumerated() {
      let compared = scorer.compare(
        plan.scored, reference: reference.hidden[index], candidate: candidate.hidden[index])
      for comparison in compared {
        sum += comparison.divergence
        count += 1
      }
    }
    return sum / Double(max(1, count))
  }

  private func divergence(
    exchanging name: String, from reference: Side
  ) throws(IngotError) -> Double {
    let mixed = MixedWeights(
      reference: self.reference, candidate: candidate, exchanged: name)
    return try divergence(
      reference, side(session(ReFusionModel(source: mixed), .quantized)))
  }

  // MARK: Layers

  /// Relative error of each block's output, over the plans.
  private func layers() -> [Attribution.Layer] {
    let count = reference.configuration.layerCount
    let width = reference.configuration.hiddenSize
    var errors = [Double](repeating: 0, count: count)
    var norms = [Double](repeating: 0, count: count)
    let first = session(referenceModel, .quantized)
    let second = session(candidateModel, .quantized, cacheFormat)
    // One plan at a time: all layers' outputs of one forward are held.
    for plan in plans.prefix(4) {
      var outputs = [[Float]](repeating: [], count: count)
      first.layerProbe = { layer, output, tokens in
        outputs[layer] += UnsafeBufferPointer(start: output, count: tokens * width)
      }
      first.forward(plan.batch)
      first.layerProbe = nil
      var read = [Int](repeating: 0, count: count)
      second.layerProbe = { layer, output, tokens in
        for index in 0..<(tokens * width) {
          let expected = Double(outputs[layer][read[layer] + index])
          let difference = Double(output[index]) - expected
          errors[layer] += difference * difference
          norms[layer] += expected * expected
        }
        read[layer] += tokens * width
      }
      second.forward(plan.batch)
      second.layerProbe = nil
    }
    return (0..<count).map {
      Attribution.Layer(
        index: $0, relativeError: (errors[$0] / max(norms[$0], .leastNormalMagnitude)).squareRoot())
    }
  }

  // MARK: Tensors

  private func comparedTensors(
    _ progress: () -> Void
  ) throws(IngotError) -> [Attribution.Tensor] {
    var all: [Attribution.Tensor] = []
    for tensor in reference.configuration.tensors {
      var compared =
        tensor.shape.count == 2
        ? try comparedMatrix(tensor.name) : try comparedVector(tensor.name)
      compared.isDamaged = damaged.contains(tensor.name)
      all.append(compared)
      progress()
    }
    return all
  }

  private func comparedMatrix(_ name: String) throws(IngotError) -> Attribution.Tensor {
    let a = try reference.matrix(named: name)
    let b = try candidate.matrix(named: name)
    let exactA = try reference.exactRows(named: name)
    let exactB = try candidate.exactRows(named: name)
    func read(
      _ row: Int, _ matrix: WeightMatrix, _ exact: [Int: [Float]],
      _ output: UnsafeMutablePointer<Float>
    ) {
      if let values = exact[row] {
        output.update(from: values, count: values.count)
      } else {
        matrix.row(row, into: output)
      }
    }
    let drift = TensorDrift(
      rows: a.rows, columns: a.columns,
      rounding: WeightRounding(reference: a, candidate: b), pool: pool
    ) { row, left, right in
      read(row, a, exactA, left)
      read(row, b, exactB, right)
    }
    return Attribution.Tensor(name, b.storage.name, drift, Self.rule(name, b.storage))
  }

  private func comparedVector(_ name: String) throws(IngotError) -> Attribution.Tensor {
    let a = try reference.vector(named: name)
    let b = try candidate.vector(named: name)
    // Norms and biases are never quantized; at most they are stored in another 16-bit type.
    let rounding: WeightRounding = a == b ? .none : .relative(0x1p-8)
    let drift = TensorDrift(
      rows: 1, columns: a.count, rounding: rounding, pool: pool
    ) { _, left, right in
      left.update(from: a, count: a.count)
      right.update(from: b, count: b.count)
    }
    return Attribution.Tensor(name, "float", drift, nil)
  }

  /// The recipe rule that stores a tensor in the next better way.
  private static func rule(_ name: String, _ storage: WeightMatrix.Storage) -> String? {
    guard case .tiled(let layout) = storage else { return nil }
    return layout.scheme.kind == .int8
      ? "- {tensors: \(name), action: keep}" : "- {tensors: \(name), scheme: int8, group: 64}"
  }
}

extension Attribution.Tensor {
  fileprivate init(_ name: String, _ scheme: String, _ drift: TensorDrift, _ rule: String?) {
    self.init(
      name: name, scheme: scheme, weightError: drift.relativeError,
      expectedError: drift.expectedError, worstGroup: drift.worstRatio,
      worstPlace: drift.worstRatio > Self.damageRatio
        ? "row \(drift.worstRow), column \(drift.worstColumn)" : nil, recipeRule: rule)
  }
}
