import Bytes
import Casting
import Checkpoints
import Foundation
import IngotFormat
import Kernels
import Quantization
import Tensors
import TestSupport
import Testing

@Suite struct CastingTests {
  private func cast(
    _ plan: CastPlan, _ folder: TemporaryFolder, _ name: String, threads: Int = 2
  ) throws -> IngotFile {
    let path = folder.path(name)
    try Caster(plan).run(to: path, pool: ThreadPool(threads: threads))
    return try IngotFile.open(path)
  }

  private func source(_ synthetic: SyntheticCheckpoint) throws
    -> (TemporaryFolder, CheckpointCastSource)
  {
    let folder = try synthetic.write()
    return (folder, try CheckpointCastSource(Checkpoint(path: folder.url.path)))
  }

  @Test(arguments: [1, 3]) func conversionKeepsEveryByte(shards: Int) throws {
    let (folder, source) = try source(SyntheticCheckpoint(shards: shards))
    let plan = try CastPlan(converting: source, to: nil, toolVersion: "test")
    let file = try cast(plan, folder, "out.ingot")
    #expect(file.tensors.count == source.tensors.count)
    for tensor in source.checkpoint.tensors {
      let stored = try #require(file.tensor(named: tensor.name))
      #expect(stored.shape == tensor.shape)
      #expect(Array(file.bytes(of: stored)) == (try tensor.bytes()))
    }
    #expect(file.check(threads: 2).isEmpty)
    let sources = try file.sources()
    #expect(sources.map(\.name) == source.parts.map(\.name))
    for (index, part) in sources.enumerated() {
      #expect(part.checksum == (try source.checkpoint.shards[index].checksum()))
    }
  }

  /// Digests that begin while the tokenizer is read are the same ones.
  @Test(arguments: [1, 2, 3])
  func hashingAheadChangesNothing(shards: Int) throws {
    let (folder, source) = try source(SyntheticCheckpoint(shards: shards))
    let ahead = try CheckpointCastSource(source.checkpoint, hashesAhead: true)
    for (name, source) in [("plain", source), ("ahead", ahead)] {
      let plan = try CastPlan(converting: source, to: nil, toolVersion: "test")
      _ = try cast(plan, folder, "\(name).ingot", threads: 2)
    }
    #expect(
      try Data(contentsOf: folder.url.appendingPathComponent("plain.ingot"))
        == Data(contentsOf: folder.url.appendingPathComponent("ahead.ingot")))
  }

  /// Nothing in safetensors aligns its data: one more byte of header, and every weight lies at an odd
  /// address of the mapping that it is read from.
  @Test(arguments: ["int8", "int6", "cb4-g16"])
  func dataAtOddAddressesGivesTheSameTensors(recipe name: String) throws {
    let (folder, source) = try source(SyntheticCheckpoint())
    let recipe = try #require(Recipe.builtIn(name, for: source.configuration))
    let even = try cast(
      CastPlan(quantizing: source, by: recipe, toolVersion: "test"), folder, "even.ingot")
    let file = folder.url.appendingPathComponent("model.safetensors")
    var bytes = [UInt8](try Data(contentsOf: file))
    let length = bytes[..<8].reversed().reduce(0) { $0 << 8 | Int($1) }
    let spaces = [UInt8](repeating: 0x20, count: length % 2 == 0 ? 1 : 2)
    bytes.insert(contentsOf: spaces, at: 8 + length)
    for index in 0..<8 { bytes[index] = UInt8((length + spaces.count) >> (8 * index) & 255) }
    try Data(bytes).write(to: file)
    let moved = try CheckpointCastSource(Checkpoint(path: folder.url.path))
    let odd = try cast(
      CastPlan(quantizing: moved, by: recipe, toolVersion: "test"), folder, "odd.ingot")
    #expect((length + spaces.count) % 2 == 1)
    for (one, other) in zip(even.tensors, odd.tensors) {
      #expect(Array(even.bytes(of: one)) == Array(odd.bytes(of: other)), "\(one.name)")
    }
  }

  /// From the command's option to the file: the sample of real weights decides, the tensors of the
  /// file keep to the budget, and a larger budget leaves less error.
  @Test func targetBitsBoundTheFile() throws {
    let (folder, source) = try source(SyntheticCheckpoint())
    let weights = source.tensors.reduce(0) { $0 + $1.shape.reduce(1, *) }
    var errors: [Double] = []
    for target in [4.7, 5.5, 7, 9] {
      var tensorsLookedAt = 0
      let recipe = try source.recipe(targetBits: target) { tensorsLookedAt += 1 }
      #expect(tensorsLookedAt == 16)
      let plan = try CastPlan(quantizing: source, by: recipe, toolVersion: "test")
      let caster = Caster(plan)
      let path = folder.path("out.ingot")
      try caster.run(to: path, pool: .shared)
      let bytes = try IngotFile.open(path).tensors.reduce(0) { $0 + $1.byteRange.count }
      #expect(Double(8 * bytes) / Double(weights) <= target)
      errors.append(
        caster.report(recipe: recipe).entries.reduce(0) { $0 + $1.error.relativeError })
    }
    #expect(zip(errors, errors.dropFirst()).allSatisfy { $0 > $1 })
  }

  @Test func theConvertedFileHasThePlannedSize() throws {
    let (folder, source) = try source(SyntheticCheckpoint())
    let recipe = try #require(Recipe.builtIn("int4", for: source.configuration))
    let plan = try CastPlan(quantizing: source, by: recipe, toolVersion: "test")
    let file = try cast(plan, folder, "out.ingot")
    #expect(file.mapping.count == plan.file.fileBytes)
  }

  @Test(arguments: ["int8", "int6", "int4", "int4-g32", "int4z-g32", "cb4-g16"])
  func bytesDependOnNeitherThreadsNorTheRoute(recipe name: String) throws {
    let (folder, source) = try source(SyntheticCheckpoint(shards: 2))
    let recipe = try #require(Recipe.builtIn(name, for: source.configuration))
    let direct = try CastPlan(quantizing: source, by: recipe, toolVersion: "test")
    _ = try cast(direct, folder, "one.ingot", threads: 1)
    _ = try cast(direct, folder, "four.ingot", threads: 4)
    let lossless = try cast(
      CastPlan(converting: source, to: nil, toolVersion: "test"), folder, "lossless.ingot")
    let again = try CastPlan(
      quantizing: IngotCastSource(lossless), by: recipe, toolVersion: "test")
    _ = try cast(again, folder, "route.ingot")
    let one = try Data(contentsOf: folder.url.appendingPathComponent("one.ingot"))
    #expect(try one == Data(contentsOf: folder.url.appendingPathComponent("four.ingot")))
    #expect(try one == Data(contentsOf: folder.url.appendingPathComponent("route.ingot")))
  }

  @Test func castingToAnotherTypeRoundsEachNumber() throws {
    let (folder, source) = try source(SyntheticCheckpoint())
    for type in [ElementType.float16, .float32, .bfloat16] {
      let plan = try CastPlan(converting: source, to: type, toolVersion: "test")
      let file = try cast(plan, folder, "\(type.name).ingot")
      for tensor in source.checkpoint.tensors {
        let stored = try #require(file.tensor(named: tensor.name))
        let before = try tensor.bytes().withUnsafeBytes {
          HalfPrecision.floats($0, type: tensor.type)
        }
        let after = HalfPrecision.floats(file.bytes(of: stored), type: type)
        let expected = before.map { value -> Float in
          switch type {
          case .float16: HalfPrecision.float(fromHalf: HalfPrecision.half(from: value))
          case .bfloat16: HalfPrecision.float(fromBrain: HalfPrecision.brain(from: value))
          default: value
          }
        }
        #expect(after == expected)
      }
    }
  }

  @Test func aQuantizedFileIsNotQuantizedAgain() throws {
    let (folder, source) = try source(SyntheticCheckpoint())
    let recipe = try #require(Recipe.builtIn("int8", for: source.configuration))
    let file = try cast(
      CastPlan(quantizing: source, by: recipe, toolVersion: "test"), folder, "int8.ingot")
    let error = #expect(throws: IngotError.self) { try IngotCastSource(file) }
    #expect(error?.code == "cast.quantizedSource")
  }

  @Test func aCastIsReproducedFromItsFile() throws {
    let (folder, source) = try source(SyntheticCheckpoint())
    let recipe = try #require(Recipe.builtIn("int4", for: source.configuration))
    let file = try cast(
      CastPlan(quantizing: source, by: recipe, toolVersion: "test"), folder, "a.ingot")
    let again = try cast(CastPlan(reproducing: file, from: source), folder, "b.ingot")
    #expect(file.checksum == again.checksum)
  }

  @Test func aFailedCastLeavesNothing() throws {
    let (folder, source) = try source(SyntheticCheckpoint())
    let out = try TemporaryFolder()
    // The shard loses its end after it was opened.
    let shard = folder.url.appendingPathComponent("model.safetensors")
    let handle = try FileHandle(forWritingTo: shard)
    try handle.truncate(atOffset: 4096)
    try handle.close()
    let plan = try CastPlan(converting: source, to: nil, toolVersion: "test")
    let error = #expect(throws: IngotError.self) {
      try Caster(plan).run(to: out.path("out.ingot"), pool: .shared)
    }
    #expect(error?.code.hasPrefix("file.") == true)
    #expect(out.names.isEmpty)
  }
}
