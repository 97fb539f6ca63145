import Bytes
import Foundation
import Parity
import Testing

@Suite struct VerdictTests {
  private func report(
    noise: Float, _ candidate: ParityPolicy.CandidateClass, pairs: Int = 24,
    change: (inout ParityEvidence) -> Void = { _ in }
  ) -> ParityReport {
    var synthetic = SyntheticEvidence(noise: noise, pairs: pairs)
    var evidence = synthetic.evidence()
    change(&evidence)
    return ParityReport(evidence: evidence, policy: .defaults(for: candidate))
  }

  @Test(arguments: ParityPolicy.CandidateClass.allCases)
  func aModelAgainstItselfPassesEveryPolicy(candidate: ParityPolicy.CandidateClass) {
    let report = report(noise: 0, candidate)
    #expect(report.heads.allSatisfy { $0.value.divergence.max == 0 })
    #expect(report.heads.allSatisfy { $0.value.topOneAgreement == 1 })
    #expect(report.likelihood.allSatisfy { $0.value.difference == 0 && $0.value.upper == 0 })
    #expect(report.decode?.flippedDecisions == 0)
    #expect(report.verdict == .pass, "\(report.reasons)")
  }

  /// The derivation in `ParityPolicy.defaults`: an advantage a over 32 tokens.
  @Test(arguments: [
    (ParityPolicy.CandidateClass.half, 1.0 / 64), (.int8, 1.0 / 16), (.fourBit, 1.0 / 8),
  ])
  func defaultsFollowFromTheObserversAdvantage(
    candidate: ParityPolicy.CandidateClass, advantage: Double
  ) throws {
    let policy = ParityPolicy.defaults(for: candidate)
    let divergence = try #require(policy.maximumDivergence)
    #expect(abs((32 * divergence / 2).squareRoot() - advantage) < 1e-12)
    #expect(policy.maximumTailDivergence == 32 * divergence)
    let changed = 2 * (divergence / 2).squareRoot()
    #expect(try abs(1 - #require(policy.minimumTopOne) - changed) < 1e-12)
    #expect(try abs(#require(policy.maximumFlips) - changed) < 1e-12)
  }

  @Test func anyDifferenceFailsALosslessCandidate() {
    let report = report(noise: 1e-4, .lossless)
    #expect(report.verdict == .fail)
    #expect(report.reasons.contains { $0.contains("mean KL") })
  }

  @Test func tooMuchNoiseFailsAndSaysBetweenWhichFigures() {
    let report = report(noise: 1, .int8)
    #expect(report.verdict == .fail)
    #expect(report.reasons.contains { $0.contains("at most 2.4e-4 is allowed") })
  }

  @Test func aLimitInsideTheIntervalIsUndecidedAndAsksForPairs() throws {
    var synthetic = SyntheticEvidence(noise: 0.3, pairs: 8)
    let evidence = synthetic.evidence()
    func report(_ limit: Double) -> ParityReport {
      ParityReport(
        evidence: evidence, policy: ParityPolicy(name: "", maximumPerplexityIncrease: limit))
    }
    let wide = report(1000)
    #expect(wide.verdict == .pass)
    // Halfway between the estimate and the upper bound: four times the pairs would settle it.
    let causal = try #require(wide.likelihood["causal"])
    let upper = try #require(causal.upper)
    let limit = (causal.difference + upper) / 2
    let check = try #require(
      report(exp(limit) - 1).checks.first { $0.scope == "causal" })
    #expect(check.outcome == .undecided)
    #expect((32...33).contains(check.pairsNeeded ?? 0))  // 32, rounded up
  }

  @Test func logitsThatAreNotFiniteFailWhateverThePolicy() {
    var synthetic = SyntheticEvidence(noise: 0, pairs: 3)
    var evidence = synthetic.evidence()
    evidence.pairs[1].positions[5].isFinite = false
    evidence.pairs[1].positions[5].divergence = .infinity
    let report = ParityReport(evidence: evidence, policy: ParityPolicy(name: "none"))
    #expect(report.verdict == .fail)
    #expect(report.reasons == ["1 position gave logits that are not finite."])
  }

  @Test func aTensorBeyondItsRoundingErrorFailsByName() {
    let report = report(noise: 0, .fourBit) {
      $0.attribution?.tensors[0].weightError = 0.9
    }
    #expect(report.verdict == .fail)
    #expect(report.reasons.count == 1)
    #expect(report.reasons[0].contains("model.layers.5.mlp.down_proj.weight"))
    let unknown = self.report(noise: 0, .fourBit) {
      $0.attribution?.tensors[0].weightError = .nan
    }
    #expect(unknown.verdict == .fail)
  }

  @Test func nothingComparedIsNotAPass() {
    let evidence = ParityEvidence(
      inputs: SyntheticEvidence.inputs(pairs: 0), pairs: [],
      run: RunInformation(tool: "", cpu: "", isa: "", threads: 1, seconds: 0))
    let report = ParityReport(evidence: evidence, policy: .defaults(for: .int8))
    #expect(report.verdict == .undecided)
    #expect(report.reasons == ["Nothing was compared."])
  }

  @Test func failureOutweighsDoubt() {
    func check(_ outcome: ParityVerdict) -> ParityCheck {
      ParityCheck(name: "x", scope: "y", outcome: outcome, explanation: outcome.rawValue)
    }
    #expect([check(.pass), check(.undecided), check(.fail)].verdict == .fail)
    #expect([check(.pass), check(.undecided)].verdict == .undecided)
    #expect([check(.pass), check(.undecided)].reasons == ["undecided"])
    #expect([check(.pass)].verdict == .pass)
  }
}

@Suite struct ParityPolicyTests {
  private func policy(_ json: String) throws(IngotError) -> ParityPolicy {
    try ParityPolicy(
      json: Array(json.utf8), name: "policy.json", over: .defaults(for: .int8))
  }

  @Test func limitsReplaceTheDefaultsAndNullSwitchesOff() throws {
    let read = try policy(#"{"max_kl": 0.5, "min_exact": null, "min_top1": 1}"#)
    #expect(read.name == "policy.json")
    #expect(read.maximumDivergence == 0.5)
    #expect(read.minimumExact == nil)
    #expect(read.minimumTopOne == 1)
    #expect(read.maximumPerplexityIncrease == 0.005)
  }

  @Test(arguments: [
    (#"{"max_lk": 1}"#, "policy.unknown"), (#"{"max_kl": "1"}"#, "policy.type"),
    (#"{"max_kl": -1}"#, "policy.range"), (#"{"min_top1": 1.5}"#, "policy.range"),
    (#"{"confidence": 1}"#, "policy.range"), (#"{"resamples": 5}"#, "policy.range"),
    (#"{"resamples": 2.5}"#, "policy.type"), (#"{"confidence": null}"#, "policy.type"),
    ("[]", "policy.type"), (#"{"max_kl": 1e999}"#, "json.number"),
  ])
  func badPoliciesAreRefused(json: String, code: String) {
    let error = #expect(throws: IngotError.self) { try policy(json) }
    #expect(error?.code == code)
  }
}
