import Foundation
import TestSupport
import Testing

/// Wrong input of every kind: status 2, one message that names the file, nothing left behind.
@Suite struct WrongInputTests {
  /// A way to break a good checkpoint folder, and a word the message must have.
  struct Breakage: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let expected: String
    let apply: @Sendable (TemporaryFolder) throws -> Void

    init(
      _ name: String, _ expected: String,
      _ apply: @escaping @Sendable (TemporaryFolder) throws -> Void
    ) {
      testDescription = name
      self.expected = expected
      self.apply = apply
    }

    /// Replaces text in a file of the folder.
    static func replace(
      _ file: String, _ old: String, _ new: String, _ expected: String
    ) -> Breakage {
      Breakage("\(file): \(new)", expected) { folder in
        let text = try String(contentsOfFile: folder.path(file), encoding: .utf8)
        let compact = text.replacingOccurrences(of: "\": ", with: "\":")
        let changed = compact.replacingOccurrences(of: old, with: new)
        #expect(changed != compact, "nothing to replace in \(file)")
        try folder.write(Array(changed.utf8), to: file)
      }
    }
  }

  static let breakages: [Breakage] = [
    .replace("config.json", #""Qwen3ForCausalLM""#, #""LlamaForCausalLM""#, "LlamaForCausalLM"),
    .replace("config.json", #""hidden_act":"silu""#, #""hidden_act":"gelu""#, "gelu"),
    .replace("config.json", #""hidden_size":"#, #""hidden_size":9"#, "shape"),
    .replace("config.json", #""num_attention_heads":"#, #""num_attention_heads":-"#, "heads"),
    .replace(
      "config.json", "{", #"{"use_sliding_window":true,"sliding_window":64,"#, "sliding"),
    .replace(
      "config.json", #""rope_scaling":null"#, #""rope_scaling":{"rope_type":"yarn","factor":4.0}"#,
      "yarn"),
    Breakage("config.json is no JSON", "config.json") { folder in
      try folder.write(Array("{\"vocab_size\": ".utf8), to: "config.json")
    },
    Breakage("config.json missing", "config.json") { folder in
      try FileManager.default.removeItem(atPath: folder.path("config.json"))
    },
    Breakage("weights missing", "safetensors") { folder in
      try FileManager.default.removeItem(atPath: folder.path("model.safetensors"))
    },
    Breakage("weights cut short", "model.safetensors") { folder in
      let data = try Data(contentsOf: folder.url.appendingPathComponent("model.safetensors"))
      try folder.write(data.dropLast(100), to: "model.safetensors")
    },
    Breakage("weights are a Git-LFS pointer", "LFS") { folder in
      let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"
      try folder.write(Array(pointer.utf8), to: "model.safetensors")
    },
    Breakage("merges.txt broken", "merges.txt") { folder in
      try folder.write(Array("#version: 0.2\nabc\n".utf8), to: "merges.txt")
    },
    Breakage("vocab.json broken", "vocab.json") { folder in
      try folder.write(Array("[1, 2]".utf8), to: "vocab.json")
    },
  ]

  @Test(arguments: breakages) func aBrokenCheckpointIsRefused(breakage: Breakage) throws {
    let folder = try SyntheticCheckpoint().write()
    try breakage.apply(folder)
    let before = folder.names
    let outcome = try Program.run("convert", folder.url.path, folder.path("out.ingot"))
    #expect(outcome.status == 2, Comment(rawValue: outcome.output + outcome.complaint))
    #expect(
      outcome.complaint.lowercased().contains(breakage.expected.lowercased()),
      Comment(rawValue: outcome.complaint))
    #expect(outcome.complaint.components(separatedBy: "error:").count == 2)
    #expect(folder.names == before)
  }

  @Test func anIngotFileIsRefusedWhenItIsDamaged() throws {
    let folder = try SyntheticCheckpoint().write()
    let model = folder.path("model.ingot")
    #expect(try Program.run("convert", folder.url.path, model).status == 0)
    let whole = try Data(contentsOf: URL(fileURLWithPath: model))
    try folder.write(whole.prefix(1000), to: "cut.ingot")
    try folder.write(Array("not a model".utf8), to: "text.ingot")
    var flipped = whole
    flipped[flipped.count - 5000] ^= 1
    try folder.write(flipped, to: "flipped.ingot")
    for name in ["cut.ingot", "text.ingot"] {
      for command in [["inspect"], ["check"], ["generate", "--prompt", "x"], ["tokenize"]] {
        let outcome = try Program.run([command[0], folder.path(name)] + command.dropFirst())
        #expect(outcome.status == 2, Comment(rawValue: "\(name) \(command)"))
        #expect(outcome.complaint.contains(name))
      }
    }
    let outcome = try Program.run("check", folder.path("flipped.ingot"))
    #expect(outcome.status == 2, Comment(rawValue: outcome.output))
    #expect(outcome.complaint.contains("checksum"))
  }

  @Test func badPairsRecipesAndSettingsAreRefused() throws {
    let folder = try SyntheticCheckpoint().write()
    let model = folder.path("model.ingot")
    let out = folder.path("out.ingot")
    #expect(try Program.run("convert", folder.url.path, model).status == 0)
    try folder.write(Array(#"[{"query":"a"}]"#.utf8), to: "bad.json")
    try folder.write(Array("default: int3-g7\n".utf8), to: "bad.yaml")
    let cases: [[String]] = [
      ["perplexity", model, "--pairs", folder.path("bad.json")],
      ["perplexity", model, "--pairs", folder.path("absent.json")],
      ["quantize", model, out, "--recipe", "int5"],
      ["quantize", model, out, "--recipe", folder.path("bad.yaml")],
      ["quantize", model, model, "--recipe", "int8"],
      [
        "generate", model, "--prompt", "x", "--slot-size", "8", "--blocks", "3", "--max-tokens",
        "64",
      ],
      ["generate", model, "--prompt", "x", "--slot-threshold", "1.5"],
      ["generate", folder.url.path, "--prompt", "x"],
    ]
    for arguments in cases {
      let outcome = try Program.run(arguments)
      #expect(outcome.status == 2, Comment(rawValue: "\(arguments): \(outcome.complaint)"))
      #expect(outcome.complaint.hasPrefix("error:"), Comment(rawValue: outcome.complaint))
    }
    #expect(!folder.names.contains { $0.contains("out.ingot") })
  }

  @Test func wrongUsageHasItsOwnStatus() throws {
    #expect(try Program.run("convert").status == 64)
    #expect(try Program.run("frobnicate").status == 64)
    #expect(try Program.run("generate", "x.ingot", "--slot-size", "many").status == 64)
  }
}
