import Bytes
import Foundation
import IngotFormat
import Tensors
import TestSupport
import Testing

/// Packing is lossless, seekable, and damage is found.
@Suite struct ArchiveTests {
  private let folder: TemporaryFolder
  private let original: [UInt8]

  init() throws {
    folder = try TemporaryFolder()
    let layout = try Sample.layout(.int8, group: 32, rows: 100, columns: 96)
    let plan = try IngotPlan(
      metadata: Sample.configuration.ingotMetadata,
      tensors: [
        .init(name: "brain", shape: [1_500_000], storage: .dense(.bfloat16)),
        .init(name: "tiles", shape: [100, 96], storage: .tiled(layout)),
        .init(name: "single", shape: [1000], storage: .dense(.float32)),
        .init(name: "double", shape: [3], storage: .dense(.float64)),
      ])
    var random = SplitMix(seed: 4)
    // Sums of uniforms: near enough to the bell shape of trained weights.
    let weights = (0..<1_500_000).flatMap { _ -> [UInt8] in
      let sum = (0..<6).reduce(Float(0)) { sum, _ in
        sum + Float.random(in: -0.01...0.01, using: &random)
      }
      let bits = HalfPrecision.brain(from: sum)
      return [UInt8(bits & 0xFF), UInt8(bits >> 8)]
    }
    let data = plan.tensors.enumerated().map {
      $0 == 0 ? weights : Sample.noise($1.byteRange.count, seed: UInt64($0))
    }
    try Sample.write(plan, to: folder.path("a.ingot"), data: data)
    original = Array(try Data(contentsOf: URL(fileURLWithPath: folder.path("a.ingot"))))
  }

  private func bytes(_ name: String) throws -> [UInt8] {
    Array(try Data(contentsOf: URL(fileURLWithPath: folder.path(name))))
  }

  @Test("ING-100 to ING-105", arguments: [1, 3]) func roundTrip(_ threads: Int) throws {
    try IngotArchive.pack(
      folder.path("a.ingot"), to: folder.path("packed"), threads: threads)
    let archive = try IngotArchive(path: folder.path("packed"))
    #expect(archive.unpackedBytes == original.count)
    // Two thirds of the bf16 bytes, and a little for the rest.
    #expect(archive.packedBytes < original.count * 72 / 100)
    try archive.unpack(to: folder.path("b.ingot"), threads: threads)
    #expect(try bytes("b.ingot") == original)
    #expect(folder.names == ["a.ingot", "b.ingot", "packed"])
  }

  @Test func threadsDoNotChangeTheArchive() throws {
    try IngotArchive.pack(folder.path("a.ingot"), to: folder.path("one"), threads: 1)
    try IngotArchive.pack(folder.path("a.ingot"), to: folder.path("four"), threads: 4)
    #expect(try bytes("one") == bytes("four"))
  }

  @Test func readsAnyRange() throws {
    try IngotArchive.pack(folder.path("a.ingot"), to: folder.path("packed"), threads: 2)
    let archive = try IngotArchive(path: folder.path("packed"))
    var random = SplitMix(seed: 8)
    for _ in 0..<20 {
      let start = Int.random(in: 0...original.count, using: &random)
      let count = Int.random(in: 0...min(2_000_000, original.count - start), using: &random)
      #expect(
        try archive.read(at: start, count: count) == Array(original[start..<start + count]))
    }
    for (offset, count) in [(-1, 1), (0, original.count + 1), (.max, .max), (1, -1)] {
      #expect(throws: IngotError.self) { try archive.read(at: offset, count: count) }
    }
  }

  @Test("ING-104") func damageIsFoundAndLeavesNothing() throws {
    try IngotArchive.pack(folder.path("a.ingot"), to: folder.path("packed"), threads: 2)
    let packed = try bytes("packed")
    var codes: Set<String> = []
    for offset in [
      0, 9, 12, 16, 24, 32, 40, 50, 90, 128, 5000, packed.count - 40, packed.count - 1,
    ] {
      var damaged = packed
      damaged[offset] ^= 0x20
      let path = try folder.write(damaged, to: "damaged")
      do {
        try IngotArchive(path: path).unpack(to: folder.path("out"), threads: 2)
        Issue.record("byte \(offset) went unnoticed")
      } catch {
        codes.insert(error.code)
      }
      #expect(!folder.names.contains { $0.hasPrefix("out") })
    }
    for length in [0, 100, 128, packed.count / 2, packed.count - 1] {
      let path = try folder.write(packed[..<length], to: "cut")
      #expect(throws: IngotError.self) { try IngotArchive(path: path) }
    }
    #expect(
      codes.isSuperset(of: [
        "archive.magic", "archive.version", "archive.length", "archive.checksum", "archive.block",
        "archive.table",
      ]))
  }

  /// Seeded mutants, most with a table checksum made right again.
  @Test func mutantsAreRefusedOrRead() throws {
    let (plan, data) = try Sample.example()
    try Sample.write(plan, to: folder.path("small.ingot"), data: data)
    try IngotArchive.pack(folder.path("small.ingot"), to: folder.path("small"), threads: 1)
    let packed = try bytes("small")
    var random = SplitMix(seed: 5)
    for _ in 0..<500 {
      var mutant = packed
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        let place = Bool.random(using: &random) ? 0..<128 : 0..<mutant.count
        mutant[Int.random(in: place, using: &random)] =
          [0, 1, 0x7F, 0x80, 0xFF].randomElement(using: &random) ?? 0
      }
      let table = Int(packed[32]) | Int(packed[33]) << 8
      let checksum = Checksum(of: Array(mutant[..<48]) + Array(mutant[table...]))
      mutant.replaceSubrange(48..<80, with: checksum.bytes)
      let path = try folder.write(mutant, to: "mutant")
      if let archive = try? IngotArchive(path: path), archive.unpackedBytes < 1 << 20 {
        _ = try? archive.read(at: 0, count: archive.unpackedBytes)
      }
    }
  }
}
