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

  private func pairs(_ count: Int) throws -> [VerificationPair] {
    let tokenizer = try GoldenModel.tokenizer()
    return try GoldenModel.pairs().prefix(count).enumerated().map { index, pair in
      VerificationPair(
        index: index, query: pair.query, response: pair.response,
        example: try tokenizer.example(pair))
    }
  }

  private func report(
    _ candidate: any WeightSource, pairs count: Int = 2, decodes: Bool = false,
    attributes: Bool = false
  ) throws -> ParityReport {
    let weights = try GoldenModel.weights()
    let pairs = try pairs(count)
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
    let verification = Verification(verifier: verifier, inputs: inputs, policy: policy)
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
