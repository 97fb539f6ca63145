import Bytes
import Kernels
import ModelSupport
import Parity
import ReFusion
import TestSupport
import Testing

/// Whole verifications on the trained checkpoint.
@Suite(.enabled(if: Shared.isPresent, Comment(rawValue: Shared.skipped)))
struct VerificationTests {
  private static let decoding = ParitySettings.Decoding(
    DecodingSettings(
      slotSize: 8, blocks: 2, slotThreshold: 0.6, tokenThreshold: 0.3, maximumTokens: 64))

  private func report(
    _ candidate: any WeightSource, against reference: (any WeightSource)? = nil,
    pairs count: Int = 2, decodes: Bool = false,
    attributes: Bool = false, pairsAtOnce: Int = 1
  ) throws -> ParityReport {
    let weights = try reference ?? GoldenModel.weights()
    let pairs = try GoldenModel.verificationPairs(count)
    let scorer = try ModelPairScorer(
      reference: InferenceSession(model: ReFusionModel(source: weights), pool: .shared),
      candidate: InferenceSession(model: ReFusionModel(source: candidate), pool: .shared))
    var inputs = SyntheticEvidence.inputs(pairs: count)
    inputs.settings = ParitySettings(
      slotSizes: [8], objectiveDraws: 1, decodePairs: decodes ? count : 0,
      decoding: Self.decoding)
    let policy = ParityPolicy.defaults(for: .lossless)
    let tokenizer = try GoldenModel.tokenizer()
    let verifier = PairVerifier(
      scorer: scorer, settings: inputs.settings, seed: 3,
      text: { (try? tokenizer.decode($0.map(Int.init), skipSpecial: true)) ?? "" })
    let verification = Verification(
      verifier: verifier, inputs: inputs, policy: policy,
      turns: ModelTurns(pairsAtOnce: pairsAtOnce) { _ in })
    var evidence = try verification.run(
      pairs, run: RunInformation(tool: "", cpu: "", isa: "", threads: 1, seconds: 0), progress: {}
    ).evidence
    if attributes {
      evidence.attribution = try AttributionRun(
        reference: weights, candidate: candidate, pool: .shared, cacheFormat: .float32,
        pairs: Array(pairs.prefix(1)), slotSize: 8
      ).run { _, _ in }
    }
    return ParityReport(evidence: evidence, policy: policy)
  }

  /// Nothing differs; and since a replay rebuilds every forward from the decisions alone, no
  /// flipped decision also means that it rebuilt the reference's inputs exactly.
  @Test func aModelAgainstItselfIsIdentical() throws {
    let report = try report(GoldenModel.weights(), pairs: 6, decodes: true, attributes: true)
    #expect(report.heads.count == 3)
    for entry in report.heads {
      #expect(entry.value.divergence.max == 0, "\(entry.name)")
      #expect(entry.value.topOneAgreement == 1)
      #expect(entry.value.lossDifference == 0)
    }
    let decode = try #require(report.decode)
    #expect(decode.exactOutputs == 6)
    #expect(decode.replayedDecisions > 500)
    #expect(decode.flippedDecisions == 0)
    for kind in ["slot_choice", "draft_token", "acceptance", "accepted_length"] {
      #expect((decode.replay?.kinds[kind]?.decisions ?? 0) > 0, "\(kind)")
    }
    for example in report.examples {
      #expect(example.decode.reference.timeline.steps.count == example.decode.reference.forwards)
    }
    #expect(report.attribution?.tensors.allSatisfy { $0.weightError == 0 } == true)
    #expect(report.verdict == .pass, "\(report.reasons)")
  }

  /// Hidden states wait for the other model's turn; nothing that is computed from them changes.
  @Test(arguments: [2, 3, 100])
  func turnsOfAnyLengthGiveTheSameReport(pairsAtOnce: Int) throws {
    let candidate = DamagedWeights(
      source: try GoldenModel.weights(),
      damage: .scaled("model.layers.3.mlp.down_proj.weight", 1.02))
    func figures(_ pairsAtOnce: Int) throws -> ParityReport {
      var report = try report(candidate, pairs: 5, decodes: true, pairsAtOnce: pairsAtOnce)
      report.run.seconds = 0
      report.run.modelSeconds = 0
      for index in report.examples.indices {
        report.examples[index].decode.reference.seconds = 0
        report.examples[index].decode.candidate.seconds = 0
      }
      return report
    }
    #expect(try figures(pairsAtOnce) == figures(1))
  }

  @Test func memoryDecidesTheTurns() {
    func pairs(_ models: Int, memory: Int) -> Int {
      ModelTurns.pairsAtOnce(
        modelBytes: models, workingBytes: 1000, memory: memory, bytesPerPair: 100)
    }
    #expect(pairs(9_000, memory: 10_000) == 1)
    #expect(pairs(9_001, memory: 10_000) == 12)
    #expect(pairs(9_001, memory: 100) == 2)
    #expect(pairs(.max, memory: 10_000) == 12)
  }

  @Test(arguments: [
    ("model.layers.3.mlp.down_proj.weight", 1.5 as Float),
    ("model.layers.0.self_attn.k_proj.weight", 0.5),
  ])
  func aWrongScaleFailsAndIsNamedFirst(name: String, factor: Float) throws {
    let candidate = DamagedWeights(
      source: try GoldenModel.weights(), damage: .scaled(name, factor))
    let report = try report(candidate, attributes: true)
    #expect(report.verdict == .fail)
    #expect(report.attribution?.tensors.first?.name == name)
    #expect(report.reasons.first?.contains(name) == true)
  }

  @Test func oneWrongGroupFailsAndIsFoundInItsPlace() throws {
    let name = "model.layers.2.mlp.up_proj.weight"
    let candidate = DamagedWeights(
      source: try GoldenModel.weights(), damage: .group(name, row: 100, 2))
    let report = try report(candidate, attributes: true)
    #expect(report.verdict == .fail)
    let first = try #require(report.attribution?.tensors.first)
    #expect(first.name == name)
    #expect(first.worstPlace == "row 100, column 0")
  }

  /// A copy of a quantized model: whatever bit of a scale flips, something differs somewhere.
  @Test(arguments: 0..<16)
  func anyFlippedBitOfAScaleFailsACopy(bit: Int) throws {
    let name = "model.layers.1.self_attn.q_proj.weight"
    let intact = try GoldenModel.weights(recipe: "int8")
    let candidate = DamagedWeights(
      source: intact, damage: .flippedBit(name, byte: 2 * 5 + bit / 8, bit: bit % 8))
    let report = try report(candidate, against: intact, attributes: true)
    #expect(report.verdict == .fail)
    #expect(report.attribution?.tensors.first?.name == name)
    #expect(report.reasons.first?.contains(name) == true)
  }

  /// Against the full-precision reference, where every weight is off a little: a scale's exponent
  /// or sign stands out of the rounding.
  @Test(arguments: [("int8", [10, 11, 12, 13, 14, 15]), ("int4-g32", [11, 12, 13, 14, 15])])
  func aFlippedExponentStandsOutOfRounding(recipe: String, bits: [Int]) throws {
    let name = "model.layers.1.self_attn.q_proj.weight"
    let intact = try GoldenModel.weights(recipe: recipe)
    for bit in bits {
      let candidate = DamagedWeights(
        source: intact, damage: .flippedBit(name, byte: 2 * 5 + 1, bit: bit - 8))
      let report = try report(candidate, pairs: 1, attributes: true)
      #expect(report.verdict == .fail)
      #expect(report.attribution?.tensors.first?.name == name, "bit \(bit)")
      #expect(report.attribution?.tensors.first?.worstPlace == "row 5, column 0", "bit \(bit)")
      #expect(report.reasons.first?.contains(name) == true, "bit \(bit)")
    }
  }

  /// Rounding alone is never taken for damage, whatever the scheme.
  @Test(arguments: [
    "int8", "int8-g32", "int8-g128-plain", "int4", "int4-pure", "int4-g32", "int4-g128-plain",
    "int4z-g32", "int4z-g128", "cb4-g32", "cb4-g128", "cb4-g16-plain",
  ])
  func roundingIsNotDamage(recipe: String) throws {
    let attribution = try AttributionRun(
      reference: GoldenModel.weights(), candidate: GoldenModel.weights(recipe: recipe),
      pool: .shared, cacheFormat: .float32, pairs: [], slotSize: 8
    ).weights()
    let suspects = attribution.tensors.filter(\.isSuspect)
    #expect(suspects.isEmpty, "\(suspects)")
    #expect(attribution.tensors.count { $0.weightError > 0 } == 44)
  }

  @Test func aZeroedMaskRowFailsAndIsNamedFirst() throws {
    let weights = try GoldenModel.weights()
    let mask = try #require(weights.configuration.maskToken)
    let candidate = DamagedWeights(
      source: weights, damage: .zeroedRow("model.embed_tokens.weight", mask))
    let report = try report(candidate, attributes: true)
    #expect(report.verdict == .fail)
    #expect(report.attribution?.tensors.first?.name == "model.embed_tokens.weight")
    // Text without MASKs is not touched.
    #expect(report.heads["causal"]?.divergence.max == 0)
    #expect((report.heads["masked"]?.divergence.mean ?? 0) > 0.01)
  }

  @Test func swappedLayersFailAndAreNamedFirst() throws {
    let candidate = DamagedWeights(
      source: try GoldenModel.weights(), damage: .swappedLayers(1, 4))
    let report = try report(candidate, attributes: true)
    #expect(report.verdict == .fail)
    let tensors = try #require(report.attribution?.tensors)
    let suspects = tensors.filter(\.isSuspect)
    #expect(!suspects.isEmpty)
    #expect(
      suspects.allSatisfy {
        $0.name.hasPrefix("model.layers.1.") || $0.name.hasPrefix("model.layers.4.")
      })
    // The step in the error layer by layer is at the first of the two.
    let layers = try #require(report.attribution?.layers)
    #expect(layers[0].relativeError == 0)
    #expect(layers[1].relativeError > 0.05)
  }
}
