import Bytes
import Foundation
import TestSupport
import Testing

/// The default limits tell what may be deployed from what may not, on the trained checkpoint.
@Suite(.enabled(if: Shared.isPresent, Comment(rawValue: Shared.skipped)))
struct DefaultLimitsTests {
  private func verify(
    _ recipe: String, _ options: String...
  ) throws -> (outcome: Program.Outcome, report: JSONObject) {
    let folder = try TemporaryFolder()
    let json = folder.path("report.json")
    let outcome = try Program.run(
      [
        "verify", "--reference", try VerifyFixture.model(.trained), "--candidate",
        try VerifyFixture.model(.trained, recipe: recipe), "--pairs",
        VerifyFixture.Checkpoint.trained.pairs, "--json", json, "--limit", "32", "--decode-pairs",
        "4", "--slot-size", "8", "--blocks", "1", "--max-tokens", "64", "--slot-threshold", "0.6",
        "--token-threshold", "0.3",
      ] + options)
    let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: json)))
    return (outcome, try #require(try JSONValue(parsing: bytes).object))
  }

  @Test(arguments: ["int8", "int8-g128", "int4"])
  func theDefaultRecipesPass(recipe: String) throws {
    let (outcome, _) = try verify(recipe)
    #expect(outcome.status == 0, Comment(rawValue: outcome.output + outcome.complaint))
  }

  @Test(arguments: ["int4-pure", "cb4-g32", "int4-g32", "int4-g64-plain", "int4z-g64"])
  func fourBitsEverywhereFail(recipe: String) throws {
    let (outcome, report) = try verify(recipe, "--attribute", "--attribute-pairs", "2")
    #expect(outcome.status == 1)
    #expect(report["verdict"]?.string == "fail")
    let reasons = (report["reasons"]?.array ?? []).compactMap(\.string)
    #expect(reasons.contains { $0.contains("mean KL of the causal head") })
    // No tensor is damaged; the costliest are told, with the rule that would raise them.
    let tensors = try #require(report["attribution"]?.object?["tensors"]?.array)
    #expect(reasons.allSatisfy { !$0.contains("weights of") })
    let costs = tensors.compactMap { $0.object?["kl_mean"]?.number }
    #expect(costs.count == 44)
    #expect(costs == costs.sorted(by: >))
    #expect(tensors.first?.object?["recipe_rule"]?.string?.contains("int8") == true)
  }
}
