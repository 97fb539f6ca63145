import Bytes
import Foundation
import Kernels
import ModelSupport
import Parity
import ReFusion
import TestSupport
import Testing

/// The figures of a report against NumPy's, from the logits of both models.
@Suite struct IndependentFiguresTests {
  private static let script = Shared.packageRoot.appendingPathComponent(
    "Tests/peers/parity_from_logits.py"
  ).path

  private static let canRun = Shared.isPresent && Python.hasNumPy
  private static let skipped: Comment =
    "needs ../shared (the trained checkpoint) and python3 with NumPy; one of them is absent"

  private static let slotSizes = [8, 32]

  @Test(.enabled(if: canRun, skipped), arguments: ["int8", "int4-pure"])
  func everyFigureAgreesWithNumPy(recipe: String) throws {
    let folder = try TemporaryFolder()
    let scorer = try ModelPairScorer(
      reference: InferenceSession(model: GoldenModel.fullPrecision(), pool: .shared),
      candidate: InferenceSession(
        model: ReFusionModel(source: GoldenModel.weights(recipe: recipe)), pool: .shared))
    let pairs = try GoldenModel.verificationPairs(5)
    try writeReport(scorer, pairs, to: folder)
    try dump(scorer, pairs, to: folder)

    let agreement = try Python.run([Self.script, folder.url.path])
    #expect(agreement.status == 0, Comment(rawValue: agreement.output))
    print(agreement.output)

    // The comparison can fail: one row of the candidate's logits becomes a uniform distribution.
    var logits = [UInt8](try Data(contentsOf: folder.url.appendingPathComponent("0.candidate")))
    let row = 4 * scorer.reference.model.configuration.vocabularySize
    logits.replaceSubrange(..<row, with: repeatElement(0, count: row))
    try folder.write(logits, to: "0.candidate")
    #expect(try Python.run([Self.script, folder.url.path]).status == 1)
  }

  private func writeReport(
    _ scorer: ModelPairScorer, _ pairs: [VerificationPair], to folder: TemporaryFolder
  ) throws {
    var inputs = SyntheticEvidence.inputs(pairs: pairs.count)
    inputs.settings = ParitySettings(slotSizes: Self.slotSizes, objectiveDraws: 0)
    let verifier = PairVerifier(scorer: scorer, settings: inputs.settings, seed: 0) { _ in "" }
    let evidence = ParityEvidence(
      inputs: inputs, pairs: try pairs.map { try verifier.evidence(for: $0, decodes: false) },
      run: RunInformation(tool: "", cpu: "", isa: "", threads: 1, seconds: 0))
    let report = ParityReport(evidence: evidence, policy: .defaults(for: .fourBit))
    try folder.write(try ParityDocument.report(report).json(), to: "report.json")
  }

  /// Logits of every scored row, from forwards of their own.
  private func dump(
    _ scorer: ModelPairScorer, _ pairs: [VerificationPair], to folder: TemporaryFolder
  ) throws {
    let configuration = scorer.reference.model.configuration
    let mask = Int32(try #require(configuration.maskToken))
    var plans: [JSONValue] = []
    for pair in pairs {
      let named =
        [("causal", ScoringPlan.causal(pair.example))]
        + Self.slotSizes.map {
          ("slot_k\($0)", ScoringPlan.slots(pair.example, slotSize: $0, maskToken: mask))
        }
      for (metric, plan) in named {
        let index = plans.count
        for (side, session) in [
          ("reference", scorer.reference), ("candidate", scorer.candidate),
        ] {
          try folder.write(logits(plan, session), to: "\(index).\(side)")
        }
        plans.append([
          "metric": .string(metric), "pair": .integer(pair.index),
          "heads": .array(plan.scored.map { .string($0.head.rawValue) }),
          "targets": .array(plan.scored.map { .integer(Int($0.target)) }),
          "reference": .string("\(index).reference"), "candidate": .string("\(index).candidate"),
        ])
      }
    }
    let document: JSONValue = [
      "vocabulary": .integer(configuration.vocabularySize), "plans": .array(plans),
    ]
    try folder.write(document.serialized(), to: "plans.json")
  }

  private func logits(_ plan: ScoringPlan, _ session: InferenceSession) -> [UInt8] {
    session.forward(plan.batch)
    var bytes: [UInt8] = []
    let width = session.model.configuration.vocabularySize
    session.withLogits(at: plan.scored.map(\.input)) { _, rows, count in
      for value in UnsafeBufferPointer(start: rows, count: count * width) {
        withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes += $0 }
      }
    }
    return bytes
  }
}
