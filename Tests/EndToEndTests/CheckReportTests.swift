import Bytes
import Foundation
import TestSupport
import Testing

/// `ingot check --report`: a report that anybody touched, or that is about other files, is refused.
@Suite struct CheckReportTests {
  private let folder: TemporaryFolder
  private let report: String

  init() throws {
    folder = try TemporaryFolder()
    report = folder.path("report.json")
    for (name, path) in [
      ("model.ingot", try VerifyFixture.model(.sample)),
      ("int8.ingot", try VerifyFixture.model(.sample, recipe: "int8")),
      ("pairs.json", VerifyFixture.Checkpoint.sample.pairs),
    ] { try FileManager.default.copyItem(atPath: path, toPath: folder.path(name)) }
    let outcome = try Program.run(
      "verify", "--reference", folder.path("model.ingot"), "--candidate",
      folder.path("int8.ingot"), "--pairs", folder.path("pairs.json"), "--limit", "9",
      "--decode-pairs", "3", "--slot-size", "8", "--blocks", "1", "--max-tokens", "32", "--json",
      report, "--quiet")
    #expect(outcome.status == 0, Comment(rawValue: outcome.complaint))
  }

  private func text() throws -> String { try String(contentsOfFile: report, encoding: .utf8) }

  private func check(_ options: String...) throws -> Program.Outcome {
    try Program.run(["check", "--report", report] + options)
  }

  @Test func anUntouchedReportHolds() throws {
    let outcome = try check("--rerun", "9")
    #expect(outcome.status == 0, Comment(rawValue: outcome.complaint))
    #expect(outcome.output.contains("derived again with equal numbers"))
    let short = try check()
    #expect(short.status == 0, Comment(rawValue: short.complaint))
    let json = try JSONValue(parsing: Array(try check("--rerun", "2", "--json").output.utf8))
    #expect(json.object?["rerun_pairs"]?.array?.count == 2)
  }

  @Test func aReportMovedWithItsFilesIsFoundBesideThem() throws {
    let other = try TemporaryFolder()
    for name in ["report.json", "model.ingot", "int8.ingot", "pairs.json"] {
      try FileManager.default.copyItem(atPath: folder.path(name), toPath: other.path(name))
    }
    let moved = other.path("report.json")
    for name in ["model.ingot", "int8.ingot", "pairs.json"] {
      try FileManager.default.removeItem(atPath: folder.path(name))
    }
    let outcome = try Program.run("check", "--report", moved)
    #expect(outcome.status == 0, Comment(rawValue: outcome.complaint))
  }

  @Test(arguments: [
    #""verdict": "pass""#, #""seed": 0"#, #""decode_pairs": 3"#, #""objective_draws": 1"#,
  ])
  func anEditedMemberIsNoticed(member: String) throws {
    let before = try text()
    #expect(before.contains(member), Comment(rawValue: member))
    let changed =
      member.hasSuffix("\"")
      ? member.replacingOccurrences(of: "pass", with: "fail")
      : String(member.dropLast()) + "7"
    try Data(before.replacingOccurrences(of: member, with: changed).utf8).write(
      to: URL(fileURLWithPath: report))
    let outcome = try check()
    #expect(outcome.status == 2)
    #expect(outcome.complaint.contains("was edited after it was written"))
  }

  @Test(arguments: ["model.ingot", "int8.ingot", "pairs.json"])
  func aChangedFileIsNamed(name: String) throws {
    var bytes = [UInt8](try Data(contentsOf: folder.url.appendingPathComponent(name)))
    if name == "pairs.json" {
      bytes += Array("\n".utf8)
    } else {
      // Inside the last tensor, which nothing reads when the file is opened.
      bytes[bytes.count - 5000] ^= 1
    }
    try folder.write(bytes, to: name)
    let outcome = try check()
    #expect(outcome.status == 2)
    #expect(outcome.complaint.contains(name))
    #expect(outcome.complaint.contains("SHA-256"))
  }

  /// A forger who computes the report's hash again is found by deriving the pairs again.
  @Test func aForgedNumberDoesNotSurviveARerun() throws {
    var object = JSONObject()
    for member in try #require(try JSONValue(parsing: Array(text().utf8)).object) {
      switch member.name {
      case "report_sha256": continue
      case "pairs": object.append("pairs", try forged(member.value))
      default: object.append(member.name, member.value)
      }
    }
    let digest = Checksum(of: JSONValue.object(object).serialized(.compact)).hexadecimal
    object.append("report_sha256", .string(digest))
    try folder.write(JSONValue.object(object).serialized(.pretty), to: "report.json")
    #expect(try check().status == 0)
    let outcome = try check("--rerun", "9")
    #expect(outcome.status == 1)
    #expect(outcome.complaint.contains("pair 4, response_tokens: the report says 1"))
  }

  /// Another length of pair 4's response: nothing else in the report depends on it.
  private func forged(_ pairs: JSONValue) throws -> JSONValue {
    .array(
      try #require(pairs.array).enumerated().map { index, pair in
        guard index == 4, let members = pair.object else { return pair }
        var changed = JSONObject()
        for member in members {
          changed.append(
            member.name, member.name == "response_tokens" ? .integer(1) : member.value)
        }
        return .object(changed)
      })
  }

  @Test func forgedTotalsContradictTheirPairs() throws {
    let before = try text()
    var object = JSONObject()
    for member in try #require(try JSONValue(parsing: Array(before.utf8)).object)
    where member.name != "report_sha256" {
      object.append(
        member.name, member.name == "heads" ? try lowered(member.value) : member.value)
    }
    let digest = Checksum(of: JSONValue.object(object).serialized(.compact)).hexadecimal
    object.append("report_sha256", .string(digest))
    try folder.write(JSONValue.object(object).serialized(.pretty), to: "report.json")
    let outcome = try check()
    #expect(outcome.status == 2)
    #expect(outcome.complaint.contains("do not follow from the figures"))
  }

  /// Every head's mean KL halved.
  private func lowered(_ heads: JSONValue) throws -> JSONValue {
    var changed = JSONObject()
    for head in try #require(heads.object) {
      var members = JSONObject()
      for member in try #require(head.value.object) {
        guard member.name == "kl", let kl = member.value.object else {
          members.append(member.name, member.value)
          continue
        }
        var divergence = JSONObject()
        for figure in kl {
          divergence.append(
            figure.name,
            figure.name == "mean" ? .double((figure.value.number ?? 0) / 2) : figure.value)
        }
        members.append("kl", .object(divergence))
      }
      changed.append(head.name, .object(members))
    }
    return .object(changed)
  }

  @Test func whatIsNoReportIsRefused() throws {
    let shard = folder.path("shard.json")
    let part = try Program.run(
      "verify", "--reference", folder.path("model.ingot"), "--candidate",
      folder.path("int8.ingot"), "--pairs", folder.path("pairs.json"), "--limit", "4",
      "--decode-pairs", "0", "--shard", "1/2", "--json", shard)
    #expect(part.status == 0, Comment(rawValue: part.complaint))
    let refused = try Program.run("check", "--report", shard)
    #expect(refused.status == 2)
    #expect(refused.complaint.contains("is a shard"))
    #expect(try Program.run("check", "--report", folder.path("pairs.json")).status == 2)
    #expect(try Program.run("check", folder.path("model.ingot"), "--rerun", "1").status == 64)
    #expect(try Program.run("check").status == 64)
  }
}
