import Foundation
import Parity

/// Made-up but consistent evidence: real statistics over random logits, for tests of everything
/// that comes after the models.
struct SyntheticEvidence {
  /// Standard deviation of the candidate's logits around the reference's.
  var noise: Float
  var pairs = 24
  var seed: UInt64 = 1
  var vocabulary = 400
  private var generator = SeededGenerator(seed: 0)

  init(noise: Float, pairs: Int = 24, seed: UInt64 = 1) {
    self.noise = noise
    self.pairs = pairs
    self.seed = seed
  }

  mutating func evidence(shard: Shard? = nil) -> ParityEvidence {
    let indices = (0..<pairs).filter { shard?.contains(pair: $0) ?? true }
    let made = indices.map { pair in
      // Every pair has its own seed, so that a shard sees what the whole run saw.
      generator = SeededGenerator(seed: seed &* 1000 &+ UInt64(pair))
      return pairEvidence(pair)
    }
    return ParityEvidence(
      inputs: Self.inputs(pairs: pairs), pairs: made, attribution: attribution(),
      run: RunInformation(
        tool: "ingot 0.1.0", cpu: "A CPU <with> & \"odd\" name", isa: "avx512vnni", threads: 2,
        seconds: 41.5), shard: shard)
  }

  static func inputs(pairs: Int) -> ParityInputs {
    ParityInputs(
      referenceDigest: String(repeating: "a1", count: 32),
      candidateDigest: String(repeating: "b2", count: 32),
      pairsDigest: String(repeating: "c3", count: 32),
      reference: .init(
        path: "model.ingot", bytes: 9_800_000, parameters: 4_070_000, types: ["bf16"],
        bitsPerWeight: 16),
      candidate: .init(
        path: "model-int4.ingot", bytes: 3_100_000, parameters: 4_070_000,
        types: ["cb4-g32", "int8-g64"], bitsPerWeight: 4.9),
      pairsPath: "gsm8k-eval.json", pairsInFile: pairs,
      settings: ParitySettings(
        slotSizes: [8, 32], objectiveDraws: 1, decodePairs: pairs,
        decoding: .init(
          slotSize: 8, blocks: 2, slotThreshold: 0.6, tokenThreshold: 0.3, maximumTokens: 128,
          endOfSequence: "fixed")), seed: 7, candidateClass: .fourBit)
  }

  // MARK: Positions

  private mutating func normal() -> Float {
    Float((-2 * log(1 - generator.unit())).squareRoot() * cos(2 * .pi * generator.unit()))
  }

  private mutating func comparison(_ correct: Int) -> RowComparison {
    let sharpness = Float(generator.unit()) * 10
    var reference = (0..<vocabulary).map { _ in normal() }
    reference[generator.unit() < 0.85 ? correct : (correct + 1) % vocabulary] += sharpness
    let candidate = reference.map { noise == 0 ? $0 : $0 + noise * normal() }
    return reference.withUnsafeBufferPointer { a in
      candidate.withUnsafeBufferPointer { b in
        RowComparison(reference: a, candidate: b, correct: correct)
      }
    }
  }

  private mutating func pairEvidence(_ pair: Int) -> PairEvidence {
    let length = 40 + generator.index(below: 80)
    var positions: [PositionRecord] = []
    var likelihoods = NamedList<PairedTotal>()
    func close(_ name: String, from start: Int, weight: Double? = nil) {
      let own = positions[start...]
      likelihoods.append(
        name,
        PairedTotal(
          pair: pair, weight: weight ?? Double(own.count),
          reference: own.reduce(0) { $0 + Double($1.referenceLoss) },
          candidate: own.reduce(0) { $0 + Double($1.candidateLoss) }))
    }
    for position in 0..<length {
      positions.append(record(pair, position, .causal, .causal))
    }
    close("causal", from: 0)
    for size in [8, 32] {
      let start = positions.count
      for position in 0..<length {
        let place = position % size
        positions.append(
          record(
            pair, position, .slot, place == 0 ? .masked : .autoregressive, size, place))
      }
      close("slot_k\(size)", from: start)
    }
    let ratio = Float(generator.unit())
    let start = positions.count
    for position in 0..<length where generator.unit() < Double(ratio) {
      positions.append(
        record(pair, position, .objective, .masked, 8, position % 8, ratio))
    }
    if positions.count > start { close("objective_masked", from: start, weight: 1) }
    return PairEvidence(
      index: pair, promptTokens: 50, responseTokens: length,
      query: "A shop sells \(pair + 3) <b>boxes</b> & each holds 12 pens. How many pens?",
      positions: positions, likelihoods: likelihoods, decode: decode(pair, length),
      replay: replay(pair), worst: worst(positions))
  }

  private mutating func record(
    _ pair: Int, _ position: Int, _ metric: LikelihoodMetric, _ head: ScoringHead,
    _ slotSize: Int = 0, _ place: Int = 0, _ ratio: Float = 0
  ) -> PositionRecord {
    let correct = generator.index(below: vocabulary)
    return PositionRecord(
      pair: pair, position: position, metric: metric, head: head, slotSize: slotSize,
      positionInSlot: place, maskRatio: ratio, correctToken: correct,
      comparison: comparison(correct))
  }

  private func worst(_ positions: [PositionRecord]) -> [WorstPosition] {
    positions.sorted { $0.divergence > $1.divergence }.prefix(2).map {
      WorstPosition(
        pair: Int($0.pair), position: Int($0.position), head: $0.head.rawValue,
        divergence: Double($0.divergence), context: "so the total is 12 * 4 = <<12*4=",
        correct: "48", referenceToken: "\($0.referenceTop)", candidateToken: "\($0.candidateTop)",
        referenceProbability: exp(-Double($0.referenceLoss)),
        candidateProbability: exp(-Double($0.candidateLoss)))
    }
  }

  // MARK: Decoding

  private mutating func decode(_ pair: Int, _ length: Int) -> DecodePair {
    let tokens = (0..<length).map { _ in Int32(generator.index(below: vocabulary)) }
    var other = tokens
    if noise > 0, generator.unit() < 0.4 {
      for index in (generator.index(below: length))..<length where generator.unit() < 0.5 {
        other[index] = (other[index] + 1) % Int32(vocabulary)
      }
    }
    let answer = "\(pair * 12 + 36)"
    let text = "Each box holds 12 pens.\nSo there are \(pair + 3) * 12 pens.\n#### \(answer)"
    return DecodePair(
      reference: run(tokens, text, length),
      candidate: run(
        other, other == tokens ? text : text.replacingOccurrences(of: "So", with: "Then"), length),
      expectedAnswer: answer)
  }

  private mutating func run(_ tokens: [Int32], _ text: String, _ length: Int) -> DecodeRun {
    var steps: [DecodeTimeline.Step] = []
    var open = Array(0..<((length + 7) / 8))
    while !open.isEmpty {
      steps.append(.init(work: .plan, slots: open))
      let chosen = open.filter { _ in generator.unit() < 0.3 }
      let drafted = chosen.isEmpty ? [open[0]] : chosen
      let accepted = generator.unit() < 0.5
      steps.append(.init(work: .verify, slots: drafted, committed: accepted ? [drafted[0]] : []))
      if accepted {
        open.removeAll { $0 == drafted[0] }
        continue
      }
      for round in 0..<(1 + generator.index(below: 3)) {
        steps.append(.init(work: .propose, slots: drafted))
        steps.append(.init(work: .check, slots: drafted, committed: round == 0 ? [] : []))
      }
      steps[steps.count - 1].committed = drafted
      open.removeAll { drafted.contains($0) }
    }
    return DecodeRun(
      tokens: tokens, text: text, forwards: steps.count, publishedTokensPerForward: 1.4,
      seconds: 0.2, timeline: DecodeTimeline(slotSize: 8, steps: steps))
  }

  private mutating func replay(_ pair: Int) -> [ReplayDecision] {
    (0..<60).map { index in
      let kind: ReplayDecision.Kind = index % 3 == 0 ? .slotChoice : .acceptance
      let threshold: Float = kind == .slotChoice ? 0.6 : 0.3
      let reference = Float(generator.unit())
      let candidate = min(max(reference + noise * 0.1 * normal(), 0), 1)
      return ReplayDecision(
        pair: pair, forward: index, position: index, kind: kind,
        flipped: (reference > threshold) != (candidate > threshold), reference: reference,
        candidate: candidate)
    }
  }

  private func attribution() -> Attribution {
    let scale = Double(noise)
    return Attribution(
      parts: [
        .init(name: "weights", divergence: 0.02 * scale),
        .init(name: "activations", divergence: 0.004 * scale),
        .init(name: "kv_cache", divergence: 0.0005 * scale),
      ],
      layers: (0..<6).map { .init(index: $0, relativeError: scale * 0.02 * Double($0 + 1)) },
      tensors: [
        .init(
          name: "model.layers.5.mlp.down_proj.weight", scheme: "cb4-g32", weightError: 0.0738,
          expectedError: 0.074, divergence: 0.006 * scale,
          recipeRule: "layers.5.mlp.down_proj: int8-g64"),
        .init(
          name: "model.layers.0.self_attn.v_proj.weight", scheme: "cb4-g32", weightError: 0.071,
          expectedError: 0.074, divergence: 0.004 * scale,
          recipeRule: "layers.0.self_attn.v_proj: int8-g64"),
      ])
  }
}
