import Architecture
import Bytes
import Checkpoints
import Foundation
import TestSupport
import Testing

/// Feeds thousands of damaged files to every reader of this module.
///
/// A mutant must be read or refused with an `IngotError`: a trap ends the run. What is read must
/// keep the promises of its type. No mutant may take 2 s of processor time. `INGOT_FUZZ=N` runs N
/// mutants in all instead of a few thousand, alone in its process, and then also bounds memory.
@Suite struct MutationTests {
  private static let requested = ProcessInfo.processInfo.environment["INGOT_FUZZ"].flatMap {
    Int($0)
  }
  private static let mutantsPerReader = (requested ?? 6000) / 6

  /// Runs `read` on mutants of `seeds`; prints how many were read and how many refused.
  private func fuzz(
    _ name: String, seeds: [[UInt8]], _ read: ([UInt8]) throws(IngotError) -> Void
  ) {
    var mutator = Mutator(seed: UInt64(name.utf8.reduce(7) { $0 &* 31 &+ Int($1) }))
    var refusals: [String: Int] = [:]
    var accepted = 0
    var slowest = 0.0
    for seed in seeds {
      do throws(IngotError) { try read(seed) } catch { Issue.record("a seed is refused: \(error)") }
    }
    for number in 0..<Self.mutantsPerReader {
      let seed = seeds[number % seeds.count]
      let mutant = mutator.mutate(seed, with: seeds[(number / seeds.count) % seeds.count])
      let start = Self.processorTime()
      do throws(IngotError) {
        try read(mutant)
        accepted += 1
      } catch {
        refusals[error.code, default: 0] += 1
      }
      slowest = max(slowest, Self.processorTime() - start)
    }
    #expect(slowest < 2, "the slowest mutant took \(slowest) s")
    // A fuzzer that reaches one check only, or none, tests nothing.
    #expect(accepted > 0)
    #expect(refusals.count > 5)
    print(
      "\(name): \(Self.mutantsPerReader) mutants, \(accepted) read, "
        + "\(refusals.values.reduce(0, +)) refused with \(refusals.count) codes, "
        + "slowest \(slowest) s")
    checkMemory()
  }

  /// Seconds this thread has computed, which other work on the machine does not lengthen.
  private static func processorTime() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }

  /// Bounds the process' peak memory, where the fuzzer runs alone in it.
  private func checkMemory() {
    #if os(Linux)
      guard Self.requested != nil,
        let status = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8),
        let line = status.split(separator: "\n").first(where: { $0.hasPrefix("VmHWM:") }),
        let kilobytes = line.split(separator: " ").dropFirst().first.flatMap({ Int($0) })
      else { return }
      print("  peak resident memory \(kilobytes / 1024) MiB")
      // The address sanitizer multiplies memory several times.
      #expect(kilobytes < 1 << 20)
    #endif
  }

  private static let header: [UInt8] = Array(
    ("{\"__metadata__\":{\"format\":\"pt\"},"
      + entry("model.embed_tokens.weight", "BF16", [4, 8], 0, 64) + ","
      + entry("a", "F32", [], 64, 68) + "," + entry("b", "U8", [3, 0], 68, 68) + ","
      + entry("model.layers.0.mlp.up_proj.weight", "I64", [1, 2], 68, 84) + "}  ").utf8)

  @Test func safetensorsHeaders() {
    fuzz(
      "safetensors headers",
      seeds: [Self.header, Array("{}".utf8) + [UInt8](repeating: 0x20, count: 6)]
    ) {
      (bytes) throws(IngotError) in
      let dataBytes = bytes.count < 60 ? 0 : 84
      let header = try SafetensorsHeader(parsing: bytes, fileSize: 8 + bytes.count + dataBytes)
      var end = header.dataStart
      for entry in header.entries {
        #expect(entry.range.lowerBound == end)
        #expect(entry.shape.reduce(1, *) == entry.elementCount)
        end = entry.range.upperBound
      }
      #expect(end == 8 + bytes.count + dataBytes)
    }
  }

  @Test func shardIndexes() {
    let index: JSONValue = [
      "metadata": ["total_size": 1_000_000],
      "weight_map": [
        "lm_head.weight": "model-00002-of-00002.safetensors",
        "model.embed_tokens.weight": "model-00001-of-00002.safetensors",
        "model.layers.0.input_layernorm.weight": "model-00001-of-00002.safetensors",
      ],
    ]
    fuzz("shard indexes", seeds: [index.serialized(), index.serialized(.pretty)]) {
      (bytes) throws(IngotError) in
      let index = try ShardIndex(parsing: bytes)
      #expect(index.files.allSatisfy { CheckpointFolder.isPlainName($0) })
      #expect(index.weights.allSatisfy { index.files.indices.contains($0.file) })
    }
  }

  @Test func configurations() {
    let config = SyntheticCheckpoint().configurationJSON
    let nested = """
      {"model_type":"qwen3","num_hidden_layers":2,"layer_types":["full_attention","full_attention"],
       "rope_parameters":{"rope_theta":1000000.0,"rope_type":"default"},"eos_token_id":[3,4]}
      """
    fuzz("configurations", seeds: [config.serialized(.pretty), Array(nested.utf8)]) {
      (bytes) throws(IngotError) in
      let configuration = try ModelConfiguration(huggingFace: bytes)
      #expect(configuration.inconsistency == nil)
    }
  }

  @Test func generationConfigurations() {
    let text = """
      {"bos_token_id":1,"do_sample":true,"eos_token_id":[2,1],"temperature":0.6,"top_k":20,
       "top_p":0.95,"repetition_penalty":1.1,"max_new_tokens":512,"transformers_version":"4.51.0"}
      """
    fuzz("generation configurations", seeds: [Array(text.utf8)]) { (bytes) throws(IngotError) in
      _ = try GenerationDefaults(huggingFace: bytes).tokenOutside(100)
    }
  }

  @Test func pairs() {
    let lines =
      "{\"query\":\"How many?\\n\",\"response\":\"4 \\ud83d\\ude00\"}\r\n"
      + "{\"question\":\"é\",\"answer\":\"#### 3\",\"id\":3}\n"
    let array = "[{\"query\":\"a\",\"response\":\"b\"},\n {\"response\":\"\",\"query\":\"\"}]"
    fuzz("pairs", seeds: [Array(lines.utf8), Array(array.utf8)]) { (bytes) throws(IngotError) in
      #expect(try !PairFile.parse(bytes).isEmpty)
    }
  }

  @Test func jsonTrees() {
    let text = """
      {"a":[1,-2.5e-3,null,true,{"":"\\u00e9\\n"}],"b":{"c":9223372036854775807,"d":[]},"e":"é😀"}
      """
    fuzz("JSON", seeds: [Array(text.utf8), Self.header]) { (bytes) throws(IngotError) in
      let tree = try JSONValue(parsing: bytes)
      // What was read is written and read again as the same.
      #expect(try JSONValue(parsing: tree.serialized(.pretty)) == tree)
      var cursor = try JSONCursor(bytes)
      try cursor.skip()
      try cursor.end()
    }
  }

  /// Whole folders, on disk: a tenth as many, each with one damaged file.
  @Test func folders() throws {
    let folder = try SyntheticCheckpoint(
      SyntheticCheckpoint.configuration(
        hidden: 16, intermediate: 16, layers: 1, heads: 2, keyValueHeads: 1, headDimension: 8),
      shards: 2, hasTokenizer: false
    ).write()
    let names = folder.names
    let originals = try names.map { name in
      [UInt8](try Data(contentsOf: folder.url.appendingPathComponent(name)))
    }
    var mutator = Mutator(seed: 99)
    var refused = 0
    for number in 0..<Self.mutantsPerReader / 10 {
      let index = number % names.count
      let original = originals[index]
      // The weights themselves may be anything; damage what describes them.
      let head = names[index].hasSuffix(".safetensors") ? min(original.count, 1200) : original.count
      let mutant =
        mutator.mutate(Array(original[..<head]), with: originals[(number / 7) % names.count])
        + original[head...]
      try folder.write(mutant, to: names[index])
      do {
        let checkpoint = try Checkpoint(path: folder.url.path)
        for tensor in checkpoint.tensors { _ = try tensor.bytes() }
      } catch {
        #expect(!error.description.isEmpty)
        refused += 1
      }
      try folder.write(original, to: names[index])
    }
    #expect(refused > 0)
    print("folders: \(Self.mutantsPerReader / 10) mutants, \(refused) refused")
    checkMemory()
  }
}
