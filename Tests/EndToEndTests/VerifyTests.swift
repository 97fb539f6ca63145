import Bytes
import Foundation
import TestSupport
import Testing

/// `ingot verify` as a user runs it, on the sample checkpoint.
@Suite struct VerifyTests {
  private let folder: TemporaryFolder
  private let reference: String
  private let candidate: String

  init() throws {
    folder = try TemporaryFolder()
    reference = try VerifyFixture.model(.sample)
    candidate = try VerifyFixture.model(.sample, recipe: "int4")
  }

  private func verify(_ options: String..., json name: String) throws -> (
    outcome: Program.Outcome, report: JSONObject
  ) {
    let outcome = try Program.run(
      [
        "verify", "--reference", reference, "--candidate", candidate, "--pairs",
        VerifyFixture.Checkpoint.sample.pairs, "--json", folder.path(name), "--slot-size", "8",
        "--blocks", "1", "--max-tokens", "32", "--decode-pairs", "4",
      ] + options)
    let bytes = [UInt8](try Data(contentsOf: folder.url.appendingPathComponent(name)))
    return (outcome, try #require(try JSONValue(parsing: bytes).object))
  }

  @Test func aModelAgainstItselfPassesWithoutAnyDifference() throws {
    let (outcome, report) = try VerifyFixture.verify(
      .sample, reference: reference, candidate: reference, "--limit", "8", "--decode-pairs", "4",
      json: folder.path("self.json"))
    #expect(outcome.status == 0, Comment(rawValue: outcome.output + outcome.complaint))
    let heads = try #require(report["heads"]?.object)
    for head in heads {
      #expect(head.value.object?["kl"]?.object?["max"]?.number == 0)
      #expect(head.value.object?["top1_agreement"]?.number == 1)
    }
    #expect(report["decode"]?.object?["flipped_decisions"]?.integer == 0)
  }

  @Test func shardsMergeToTheWhole() throws {
    let whole = try verify("--limit", "20", json: "whole.json")
    let parts = try (1...3).map { index in
      let name = "part-\(index).json"
      let part = try Program.run(
        "verify", "--reference", reference, "--candidate", candidate, "--pairs",
        VerifyFixture.Checkpoint.sample.pairs, "--json", folder.path(name), "--slot-size", "8",
        "--blocks", "1", "--max-tokens", "32", "--decode-pairs", "4", "--limit", "20", "--shard",
        "\(index)/3")
      #expect(part.status == 0, Comment(rawValue: part.complaint))
      return folder.path(name)
    }
    let merged = folder.path("merged.json")
    let outcome = try Program.run(["verify", "--merge"] + parts.reversed() + ["--json", merged])
    #expect(outcome.status == whole.outcome.status, Comment(rawValue: outcome.complaint))
    let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: merged)))
    let report = try #require(try JSONValue(parsing: bytes).object)
    #expect(VerifyFixture.figures(report) == VerifyFixture.figures(whole.report))

    let incomplete = try Program.run("verify", "--merge", parts[0], parts[2], "--json", merged)
    #expect(incomplete.status == 2)
    #expect(incomplete.complaint.contains("missing shards: 2/3"))
  }

  /// A memory that holds neither model: each gets its turn, and no figure changes.
  @Test func turnsGiveTheFiguresOfSideBySide() throws {
    let whole = try verify("--limit", "10", json: "whole.json")
    let turns = try verify("--limit", "10", "--memory", "0.001", json: "turns.json")
    #expect(VerifyFixture.figures(turns.report) == VerifyFixture.figures(whole.report))
  }

  @Test func earlyStopLooksAtFewerPairs() throws {
    let (outcome, report) = try verify("--early-stop", "--limit", "64", json: "early.json")
    let run = try #require(report["run"]?.object)
    #expect(run["stopped_early"]?.bool == true)
    #expect((report["pairs"]?.array?.count ?? 64) < 64)
    #expect(outcome.status == 0)
  }

  @Test func limitsDecide() throws {
    let policy = try folder.write(
      Array(#"{"max_kl": 1e-9, "min_top1": null, "max_flips": null}"#.utf8), to: "policy.json")
    let (outcome, report) = try verify(
      "--limit", "8", "--policy", policy, json: "policy-report.json")
    #expect(outcome.status == 1)
    #expect(report["verdict"]?.string == "fail")
    #expect(report["policy"]?.object?["name"]?.string == "policy.json")
    let options = try verify(
      "--limit", "8", "--policy", policy, "--max-kl", "1", json: "options.json")
    #expect(options.outcome.status == 0, Comment(rawValue: options.outcome.output))
    let exact = try verify("--limit", "8", "--min-exact", "1", json: "exact.json")
    let decode = try #require(exact.report["decode"]?.object)
    let isExact = decode["exact_outputs"]?.integer == decode["prompts"]?.integer
    let check = exact.report["checks"]?.array?.first { $0.object?["name"]?.string == "min_exact" }
    #expect(check?.object?["outcome"]?.string == (isExact ? "pass" : "fail"))
  }

  /// Two pairs cannot bound the change of perplexity: the outcome is its own, and asks for more.
  @Test func tooFewPairsAreUndecided() throws {
    let (outcome, report) = try verify("--limit", "2", json: "few.json")
    #expect(outcome.status == 1)
    #expect(report["verdict"]?.string == "undecided")
    let needed = (report["checks"]?.array ?? []).compactMap {
      $0.object?["pairs_needed"]?.integer
    }
    #expect(needed.contains { $0 > 2 })
    #expect(outcome.output.contains("pairs would"))
  }

  @Test func rawQueriesSkipTheTemplate() throws {
    let chat = try verify("--limit", "2", json: "chat.json")
    let raw = try verify("--limit", "2", "--raw", json: "raw.json")
    func promptTokens(_ report: JSONObject) -> Int? {
      report["pairs"]?.array?.first?.object?["prompt_tokens"]?.integer
    }
    #expect(try #require(promptTokens(raw.report)) < (try #require(promptTokens(chat.report))))
    let settings = raw.report["inputs"]?.object?["settings"]?.object
    #expect(settings?["raw"]?.bool == true)
  }

  /// Every part of the evidence is in all three forms of the report.
  @Test func everythingIsInJSONMarkdownAndHTML() throws {
    let (_, report) = try verify(
      "--limit", "8", "--attribute", "--report", folder.path("r.html"), "--markdown",
      folder.path("r.md"), json: "r.json")
    let dimensions = Set(
      (report["splits"]?.array ?? []).compactMap { $0.object?["by"]?.string })
    #expect(dimensions == ["mask_ratio", "position_in_slot", "position", "confidence"])
    let attribution = try #require(report["attribution"]?.object)
    #expect(attribution["parts"]?.array?.isEmpty == false)
    #expect(attribution["layers"]?.array?.count == 4)
    let kinds = try #require(
      report["decode"]?.object?["replay"]?.object?["kinds"]?.object)
    #expect(kinds["slot_choice"]?.object?["predicted_flips"]?.number != nil)
    let html = try String(contentsOfFile: folder.path("r.html"), encoding: .utf8)
    let markdown = try String(contentsOfFile: folder.path("r.md"), encoding: .utf8)
    for text in ["Divergence by confidence", "Divergence by position", "NLL per token"] {
      #expect(html.contains(text), Comment(rawValue: text))
    }
    for text in ["Error layer by layer", "Slots over forwards", "Replayed decision"] {
      #expect(html.contains(text), Comment(rawValue: text))
    }
    for text in ["Replayed decision", "Predicted", "Mask ratio", "Place in slot", "confidence"] {
      #expect(markdown.contains(text), Comment(rawValue: text))
    }
    for text in ["Drift by cause", "Costliest tensors", "Largest single differences"] {
      #expect(markdown.contains(text), Comment(rawValue: text))
    }
  }
}
