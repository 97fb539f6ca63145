import Architecture
import Bytes
import Checkpoints
import Foundation
import Tensors
import TestSupport
import Testing

@Suite struct CheckpointFolderTests {
  /// A checkpoint in three shards, its index as a tree to change.
  private struct Sharded {
    let folder: TemporaryFolder
    let synthetic: SyntheticCheckpoint
    var map: [(name: String, value: JSONValue)]
    var total: JSONValue

    init(_ synthetic: SyntheticCheckpoint = SyntheticCheckpoint(shards: 3)) throws {
      self.synthetic = synthetic
      folder = try synthetic.write()
      let index = try JSONValue(
        parsing: [UInt8](
          try Data(contentsOf: folder.url.appendingPathComponent(ShardIndex.fileName))))
      map = try #require(index.object?["weight_map"]?.object).map { ($0.name, $0.value) }
      total = try #require(index.object?["metadata"]?.object?["total_size"])
    }

    /// Writes the changed index and returns the code of the error that opening gives.
    func code() throws -> String? {
      var weights = JSONObject()
      for (name, value) in map { weights.append(name, value) }
      let index: JSONValue = ["metadata": ["total_size": total], "weight_map": .object(weights)]
      return try code(index: index.serialized())
    }

    func code(index: [UInt8]) throws -> String? {
      try folder.write(index, to: ShardIndex.fileName)
      return CheckpointsTests.code { _ = try Checkpoint(path: folder.url.path) }
    }
  }

  @Test(arguments: [1, 3], [ElementType.bfloat16, .float16, .float32])
  func opensWhatWasWritten(shards: Int, type: ElementType) throws {
    let synthetic = SyntheticCheckpoint(type: type, shards: shards)
    let folder = try synthetic.write()
    let checkpoint = try Checkpoint(path: folder.url.path)
    #expect(checkpoint.configuration == synthetic.configuration)
    #expect(checkpoint.shards.count == shards)
    #expect(checkpoint.generation?.endOfTextTokens == [SyntheticTokenizer.id(of: "<|im_end|>")])
    #expect(checkpoint.redundantHead == nil)
    #expect(checkpoint.tensors.map(\.schema) == synthetic.configuration.tensors)
    for (tensor, (written, bytes)) in zip(checkpoint.tensors, synthetic.tensors()) {
      #expect(tensor.name == written.name)
      #expect(tensor.type == type)
      #expect(try tensor.bytes() == bytes)
    }
  }

  @Test func keepsAuxiliaryFilesVerbatim() throws {
    let folder = try SyntheticCheckpoint().write()
    let checkpoint = try Checkpoint(path: folder.url.path)
    let config = try Data(contentsOf: folder.url.appendingPathComponent("config.json"))
    #expect(checkpoint.configurationBytes == [UInt8](config))
    let generation = try Data(
      contentsOf: folder.url.appendingPathComponent("generation_config.json"))
    #expect(checkpoint.generationBytes == [UInt8](generation))
    let template = try checkpoint.folder.bytes("chat_template.jinja", maximum: 1000)
    #expect(template?.isEmpty == false)
    #expect(try checkpoint.folder.bytes("absent.json", maximum: 1000) == nil)
    #expect(
      CheckpointsTests.code { _ = try checkpoint.folder.bytes("config.json", maximum: 10) }
        == "checkpoint.tooLarge")
  }

  @Test func optionalFilesMayBeAbsent() throws {
    let folder = try SyntheticCheckpoint(hasTokenizer: false).write()
    try FileManager.default.removeItem(
      at: folder.url.appendingPathComponent("generation_config.json"))
    let checkpoint = try Checkpoint(path: folder.url.path)
    #expect(checkpoint.generation == nil)
    #expect(checkpoint.generationBytes == nil)
  }

  @Test(.enabled(if: Shared.isPresent, Comment(rawValue: Shared.skipped)))
  func opensTheTrainedCheckpoint() throws {
    let checkpoint = try Checkpoint(path: Shared.path("checkpoints/gsm8k-refusion"))
    #expect(checkpoint.configuration.vocabularySize == 3009)
    #expect(checkpoint.configuration.maskToken == 3006)
    #expect(checkpoint.configuration.ropeTheta == 1_000_000)
    #expect(checkpoint.tensors.count == 69)
    let pairs = try PairFile(path: Shared.path("data/gsm8k-eval.json"))
    #expect(pairs.pairs.count == 256)
    let logits = try SafetensorsFile(path: Shared.path("golden/logits.safetensors"))
    #expect(logits.entry(named: "logits.0")?.type == .float32)
  }

  // MARK: The index

  @Test func acceptsAnIndexWithoutTotal() throws {
    var sharded = try Sharded()
    #expect(try sharded.code() == nil)
    sharded.total = nil
    #expect(try sharded.code() == nil)
  }

  @Test func acceptsATotalWrittenAsAFloat() throws {
    var sharded = try Sharded()
    sharded.total = .double(Double(try #require(sharded.total.integer)))
    #expect(try sharded.code() == nil)
  }

  @Test(arguments: [
    "../model-00001-of-00003.safetensors", "/etc/passwd.safetensors", "..",
    "sub/model-00001-of-00003.safetensors", "", "a\\b.safetensors", "a\0.safetensors",
  ])
  func refusesPathsInTheIndex(name: String) throws {
    var sharded = try Sharded()
    sharded.map[0].value = .string(name)
    #expect(try sharded.code() == "index.path")
  }

  @Test func refusesAnIndexThatDisagreesWithTheFiles() throws {
    var wrongShard = try Sharded()
    wrongShard.map[0].value = .string(wrongShard.synthetic.shardName(2))
    #expect(try wrongShard.code() == "index.wrongShard")

    var missingTensor = try Sharded()
    missingTensor.map.append(("model.extra", .string(missingTensor.synthetic.shardName(0))))
    #expect(try missingTensor.code() == "index.missingTensor")

    var unlisted = try Sharded()
    unlisted.map.removeLast()
    #expect(try unlisted.code() == "index.unlistedTensor")

    var total = try Sharded()
    total.total = .integer(try #require(total.total.integer) + 1)
    #expect(try total.code() == "index.totalSize")
    total.total = "many"
    #expect(try total.code() == "index.totalSize")
    total.total = 1.5
    #expect(try total.code() == "index.totalSize")

    var missingShard = try Sharded()
    missingShard.map[0].value = "model-00004-of-00003.safetensors"
    #expect(try missingShard.code() == "index.missingShard")

    var other = try Sharded()
    other.map[0].value = "pytorch_model.bin"
    #expect(try other.code() == "index.notSafetensors")
    other.map[0].value = 1
    #expect(try other.code() == "index.weightMap")

    let form = try Sharded()
    #expect(try form.code(index: Array("{}".utf8)) == "index.weightMap")
    #expect(try form.code(index: Array("[]".utf8)) == "index.weightMap")
    #expect(try form.code(index: Array("{\"weight_map\":[]}".utf8)) == "index.weightMap")
    #expect(
      try form.code(index: Array("{\"weight_map\":{\"a\":\"b\",\"a\":\"b\"}}".utf8))
        == "index.notSafetensors")
    #expect(
      try form.code(
        index: Array("{\"weight_map\":{\"a\":\"b.safetensors\",\"a\":\"b.safetensors\"}}".utf8))
        == "json.duplicateKey")
    #expect(
      try form.code(index: Array("version https://git-lfs.github.com/spec/v1\n".utf8))
        == "signature.gitLFS")
  }

  @Test func refusesATensorInTwoShards() throws {
    let sharded = try Sharded()
    let all = sharded.synthetic.tensors()
    try SafetensorsWriter.write(
      Array(all.suffix(2)) + [all[0]], to: sharded.folder.path(sharded.synthetic.shardName(2)))
    #expect(try sharded.code() == "index.duplicateTensor")
  }

  @Test func refusesTooManyShards() throws {
    let sharded = try Sharded()
    let map = (0...ShardIndex.maximumShards).map { "\"t\($0)\":\"\($0).safetensors\"" }
    let index = "{\"weight_map\":{" + map.joined(separator: ",") + "}}"
    #expect(try sharded.code(index: Array(index.utf8)) == "index.tooManyShards")
  }

  // MARK: Links

  @Test func refusesLinksOutOfTheFolder() throws {
    for name in ["config.json", "generation_config.json", "model.safetensors"] {
      let folder = try SyntheticCheckpoint().write()
      let outside = try TemporaryFolder()
      let file = folder.url.appendingPathComponent(name)
      let target = outside.url.appendingPathComponent(name)
      try FileManager.default.moveItem(at: file, to: target)
      try FileManager.default.createSymbolicLink(at: file, withDestinationURL: target)
      #expect(
        CheckpointsTests.code { _ = try Checkpoint(path: folder.url.path) }
          == "checkpoint.escape", "\(name)")
    }
  }

  @Test func acceptsLinksInsideTheFolderAndToTheFolder() throws {
    let folder = try SyntheticCheckpoint().write()
    let file = folder.url.appendingPathComponent("model.safetensors")
    let target = folder.url.appendingPathComponent("weights")
    try FileManager.default.moveItem(at: file, to: target)
    try FileManager.default.createSymbolicLink(at: file, withDestinationURL: target)
    let outside = try TemporaryFolder()
    let link = outside.url.appendingPathComponent("link")
    try FileManager.default.createSymbolicLink(at: link, withDestinationURL: folder.url)
    #expect(CheckpointsTests.code { _ = try Checkpoint(path: link.path) } == nil)
  }

  @Test func namesALinkToNothing() throws {
    let folder = try SyntheticCheckpoint().write()
    let file = folder.url.appendingPathComponent("model.safetensors")
    try FileManager.default.removeItem(at: file)
    try FileManager.default.createSymbolicLink(
      at: file, withDestinationURL: folder.url.appendingPathComponent("gone"))
    #expect(CheckpointsTests.code { _ = try Checkpoint(path: folder.url.path) } == "file.open")
  }

  @Test func doesNotWaitForAPipe() throws {
    for name in ["config.json", "generation_config.json", "model.safetensors"] {
      let folder = try SyntheticCheckpoint(hasTokenizer: false).write()
      try FileManager.default.removeItem(at: folder.url.appendingPathComponent(name))
      #expect(mkfifo(folder.path(name), 0o600) == 0)
      #expect(
        CheckpointsTests.code { _ = try Checkpoint(path: folder.url.path) } == "file.notRegular")
    }
  }

  @Test func followsTheLinksOfTheDownloadCache() throws {
    let cache = try TemporaryFolder()
    let manager = FileManager.default
    let snapshot = cache.url.appendingPathComponent("models--a--b/snapshots/0123")
    let blobs = cache.url.appendingPathComponent("models--a--b/blobs")
    try manager.createDirectory(at: snapshot, withIntermediateDirectories: true)
    try manager.createDirectory(at: blobs, withIntermediateDirectories: true)
    let source = try SyntheticCheckpoint().write()
    for name in source.names {
      try manager.moveItem(
        at: source.url.appendingPathComponent(name), to: blobs.appendingPathComponent(name))
      try manager.createSymbolicLink(
        atPath: snapshot.appendingPathComponent(name).path,
        withDestinationPath: "../../blobs/\(name)")
    }
    #expect(CheckpointsTests.code { _ = try Checkpoint(path: snapshot.path) } == nil)
    // Nothing but the blobs: a neighbour of theirs is outside.
    let config = snapshot.appendingPathComponent("config.json")
    try manager.removeItem(at: config)
    try manager.moveItem(
      at: blobs.appendingPathComponent("config.json"),
      to: cache.url.appendingPathComponent("models--a--b/config.json"))
    try manager.createSymbolicLink(
      atPath: config.path, withDestinationPath: "../../config.json")
    #expect(
      CheckpointsTests.code { _ = try Checkpoint(path: snapshot.path) } == "checkpoint.escape")
  }

  // MARK: What else a folder may be

  @Test(arguments: [
    ("pytorch_model.bin", "checkpoint.pickle"), ("model.gguf", "checkpoint.gguf"),
    ("tf_model.h5", "checkpoint.foreignWeights"), ("weights.safetensors", "checkpoint.strayShards"),
    ("readme.md", "checkpoint.noWeights"),
  ])
  func namesWeightsItCannotRead(name: String, expected: String) throws {
    let folder = try SyntheticCheckpoint().write()
    try FileManager.default.moveItem(
      at: folder.url.appendingPathComponent("model.safetensors"),
      to: folder.url.appendingPathComponent(name))
    #expect(CheckpointsTests.code { _ = try Checkpoint(path: folder.url.path) } == expected)
  }

  @Test func namesWhatIsNoCheckpoint() throws {
    let folder = try TemporaryFolder()
    func code(_ path: String) -> String? {
      CheckpointsTests.code { _ = try Checkpoint(path: path) }
    }
    #expect(code(folder.path("absent")) == "checkpoint.notFolder")
    #expect(code(try folder.write([], to: "file")) == "checkpoint.notFolder")
    #expect(code(folder.url.path) == "checkpoint.noConfiguration")
    try folder.write(Array("<html></html>".utf8), to: "config.json")
    #expect(code(folder.url.path) == "signature.html")
    try folder.write(Array("{".utf8), to: "config.json")
    #expect(code(folder.url.path) == "json.syntax")
    try FileManager.default.removeItem(at: folder.url.appendingPathComponent("config.json"))
    try FileManager.default.createDirectory(
      at: folder.url.appendingPathComponent("config.json"), withIntermediateDirectories: false)
    #expect(code(folder.url.path) == "file.notRegular")
  }
}
