import Bytes
import Foundation
import TestSupport
import Testing

/// The commands as a user runs them, on a small random checkpoint.
@Suite struct EndToEndTests {
  private func checkpoint() throws -> TemporaryFolder { try SyntheticCheckpoint().write() }

  private func pairs(_ folder: TemporaryFolder) throws -> String {
    try folder.write(
      Array(#"[{"query":"hello there","response":"general"},{"query":"a b","response":"c"}]"#.utf8),
      to: "pairs.json")
  }

  private func json(_ text: String) throws -> JSONObject {
    try #require(try JSONValue(parsing: Array(text.utf8)).object)
  }

  @Test func theMainJobRunsThrough() throws {
    let folder = try checkpoint()
    let model = folder.path("model.ingot")
    let small = folder.path("small.ingot")
    let pairs = try pairs(folder)
    #expect(try Program.run("inspect", folder.url.path).status == 0)
    #expect(try Program.run("convert", folder.url.path, model).status == 0)
    let report = folder.path("errors.json")
    let quantized = try Program.run(
      "quantize", model, small, "--recipe", "int8-g32", "--report", report)
    #expect(quantized.status == 0, Comment(rawValue: quantized.complaint))
    #expect(try Program.run("check", small, "--source", folder.url.path).status == 0)
    let errors = try json(String(contentsOfFile: report, encoding: .utf8))
    #expect(errors["bits_per_weight"]?.number != nil)

    let answer = try Program.run(
      "generate", small, "--prompt", "hello", "--slot-size", "4", "--blocks", "2", "--max-tokens",
      "16", "--json")
    #expect(answer.status == 0, Comment(rawValue: answer.complaint))
    let generated = try json(answer.output)
    for key in [
      "prompt_ids", "output_ids", "text", "forwards", "tokens_per_forward",
      "published_tokens_per_forward", "seconds",
    ] { #expect(generated[key] != nil, Comment(rawValue: key)) }

    let perplexity = try Program.run("perplexity", small, "--pairs", pairs, "--json")
    #expect(perplexity.status == 0, Comment(rawValue: perplexity.complaint))
    let metrics = try #require(json(perplexity.output)["metrics"]?.object)
    #expect(metrics["causal"]?.object?["perplexity"]?.number != nil)
    #expect(metrics["slot_k8"]?.object?["nll"]?.number != nil)
    #expect(metrics["objective"]?.object?["masked_loss"]?.number != nil)
  }

  @Test func textSurvivesTokenization() throws {
    let folder = try checkpoint()
    let text = "Some text: naïve café, 日本語 and 12345!\n"
    let ids = try Program.run("tokenize", folder.url.path, input: text)
    #expect(ids.status == 0, Comment(rawValue: ids.complaint))
    let back = try Program.run("tokenize", folder.url.path, "--decode", input: ids.output)
    #expect(back.output == text)
  }

  @Test func dryRunsTellTheExactSizeAndWriteNothing() throws {
    let folder = try checkpoint()
    let out = folder.path("out.ingot")
    for recipe in ["int8", "int4", "cb4-g16"] {
      let plan = try Program.run(
        "quantize", folder.url.path, out, "--recipe", recipe, "--dry-run", "--json")
      #expect(plan.status == 0, Comment(rawValue: plan.complaint))
      #expect(!FileManager.default.fileExists(atPath: out))
      let bytes = try #require(json(plan.output)["bytes"]?.integer)
      #expect(try Program.run("quantize", folder.url.path, out, "--recipe", recipe).status == 0)
      let size = try FileManager.default.attributesOfItem(atPath: out)[.size] as? Int
      #expect(size == bytes)
      try FileManager.default.removeItem(atPath: out)
    }
  }

  @Test func benchMeasuresAFileAndRefusesNonsense() throws {
    let folder = try checkpoint()
    let model = folder.path("model.ingot")
    #expect(
      try Program.run("quantize", folder.url.path, model, "--recipe", "int8-g32").status == 0)
    let run = try Program.run(
      "bench", model, "--json", "--rounds", "2", "--seconds", "0", "--slot-size", "4", "--blocks",
      "1", "--max-tokens", "8", "--only", "linear_8,prefill_16,decode_1,attention_64,refusion")
    #expect(run.status == 0, Comment(rawValue: run.complaint))
    let report = try json(run.output)
    #expect(report["machine"]?.object?["int8_dot_gmacs"]?.number != nil)
    let names = report["results"]?.array?.compactMap { $0.object?["name"]?.string }
    #expect(names == ["linear_8", "prefill_16", "decode_1", "attention_64", "refusion"])
    for wrong in [
      [], ["--shape", "qwen3-9b"], [model, "--shape", "qwen3-0.6b"], [model, "--only", "linear"],
      [model, "--recipe", "int8"], [model, "--rounds", "0"],
    ] { #expect(try Program.run(["bench"] + wrong).status == 64, "\(wrong)") }
    #expect(try Program.run("bench", folder.path("nothing.ingot")).status == 2)
  }
}
