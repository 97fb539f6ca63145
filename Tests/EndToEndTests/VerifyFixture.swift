import Bytes
import Foundation
import TestSupport
import Testing

/// Models of the sample and of the trained checkpoint as the program makes them, once a test run.
enum VerifyFixture {
  enum Checkpoint: String, CaseIterable {
    case sample
    /// Needs the shared data.
    case trained

    var path: String {
      switch self {
      case .sample: Shared.packageRoot.appendingPathComponent("samples/tiny-refusion").path
      case .trained: Shared.path("checkpoints/gsm8k-refusion")
      }
    }

    var pairs: String {
      switch self {
      case .sample: Shared.packageRoot.appendingPathComponent("samples/eval.json").path
      case .trained: Shared.path("data/gsm8k-eval.json")
      }
    }
  }

  private static let folder = Result<TemporaryFolder, any Error> { try TemporaryFolder() }
  private static let lock = NSLock()

  /// The checkpoint converted, or quantized by a recipe.
  static func model(_ checkpoint: Checkpoint, recipe: String? = nil) throws -> String {
    try lock.withLock {
      let folder = try folder.get()
      let plain = folder.path("\(checkpoint.rawValue).ingot")
      if !FileManager.default.fileExists(atPath: plain) {
        try succeed("convert", checkpoint.path, plain, "--quiet")
      }
      guard let recipe else { return plain }
      let path = folder.path("\(checkpoint.rawValue)-\(recipe).ingot")
      if !FileManager.default.fileExists(atPath: path) {
        try succeed("quantize", plain, path, "--recipe", recipe, "--quiet")
      }
      return path
    }
  }

  private static func succeed(_ arguments: String...) throws {
    let outcome = try Program.run(arguments)
    guard outcome.status == 0 else {
      throw IngotError("test.\(arguments[0])", outcome.complaint)
    }
  }

  /// A verification with JSON, and what it printed.
  static func verify(
    _ checkpoint: Checkpoint, reference: String, candidate: String, _ options: String...,
    json: String
  ) throws -> (outcome: Program.Outcome, report: JSONObject) {
    let outcome = try Program.run(
      [
        "verify", "--reference", reference, "--candidate", candidate, "--pairs",
        checkpoint.pairs, "--json", json, "--slot-size", "8", "--blocks", "1", "--max-tokens",
        "32", "--slot-threshold", "0.6", "--token-threshold", "0.3",
      ] + options)
    let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: json)))
    return (outcome, try #require(try JSONValue(parsing: bytes).object))
  }

  /// A report without what differs between two equal runs: times, and hashes over them.
  static func figures(_ report: JSONObject) -> JSONObject {
    var rest = JSONObject()
    for member in report where member.name != "run" && member.name != "report_sha256" {
      rest.append(member.name, timeless(member.value))
    }
    return rest
  }

  private static func timeless(_ value: JSONValue) -> JSONValue {
    switch value {
    case .object(let object):
      var rest = JSONObject()
      for member in object where member.name != "seconds" {
        rest.append(member.name, timeless(member.value))
      }
      return .object(rest)
    case .array(let array): return .array(array.map(timeless))
    default: return value
    }
  }
}
