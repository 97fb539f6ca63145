import Bytes
import Foundation
import IngotFormat
import Tensors
import TestSupport
import Testing

/// Requirements on writers and readers that neither a round trip nor a malformed file shows.
@Suite struct RequirementTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func contents(_ name: String) throws -> [UInt8] {
    Array(try Data(contentsOf: URL(fileURLWithPath: folder.path(name))))
  }

  private func number(_ bytes: [UInt8], _ offset: Int) -> Int {
    (0..<8).reduce(0) { $0 | Int(bytes[offset + $1]) << (8 * $1) }
  }

  private func plan(_ more: [IngotPlan.Metadata] = []) throws -> IngotPlan {
    try IngotPlan(
      metadata: Sample.configuration.ingotMetadata + more,
      tensors: [
        .init(name: "first", shape: [5], storage: .dense(.bfloat16)),
        .init(name: "second", shape: [3000], storage: .dense(.uint8)),
      ])
  }

  private func write(_ plan: IngotPlan, to name: String, seed: UInt64 = 1) throws {
    let data = plan.tensors.map { Sample.noise($0.byteRange.count, seed: seed) }
    try Sample.write(plan, to: folder.path(name), data: data)
  }

  @Test("ING-048") func unknownKeysAreIgnored() throws {
    let unknown = IngotPlan.Metadata("x.more", .string("what a later version may say"))
    try write(plan([unknown]), to: "unknown.ingot")
    let file = try IngotFile.open(folder.path("unknown.ingot"))
    #expect(file.configuration == Sample.configuration)
    #expect(file.check(threads: 1).isEmpty)
  }

  /// Recomputed here from the bytes, by the words of section 7 alone.
  @Test("ING-081, ING-082") func checksumsAreThoseOfTheText() throws {
    let bytes = try Sample.exampleBytes()
    let (metadata, values) = (number(bytes, 112), number(bytes, 128))
    var found = 0
    for entry in stride(from: metadata, to: values - 95, by: 96) where bytes[entry + 12] > 4 {
      let (start, length) = (number(bytes, entry + 24), number(bytes, entry + 32))
      guard length > 0 else { continue }
      let expected = Checksum(of: Array(bytes[start..<start + length])).bytes
      #expect(Array(bytes[entry + 48..<entry + 80]) == expected)
      found += 1
    }
    #expect(found == 2)
    let directory = Checksum(of: Array(bytes[..<224]) + Array(bytes[256..<values]))
    #expect(Array(bytes[224..<256]) == directory.bytes)
  }

  /// What another program writes over the directory of an open file changes nothing any more.
  @Test("ING-085") func theDirectoryIsAPrivateCopy() throws {
    try write(plan(), to: "private.ingot")
    let path = folder.path("private.ingot")
    let file = try IngotFile.open(path)
    let before = file.tensors
    let handle = try FileHandle(forUpdating: URL(fileURLWithPath: path))
    try handle.write(contentsOf: [UInt8](repeating: 0xFF, count: 4096))
    try handle.close()
    #expect(file.tensors == before)
    #expect(file.tensor(named: "second") == before.last)
    #expect(file.configuration == Sample.configuration)
  }

  /// Damage in the tensor data stays unseen until it is looked for.
  @Test("ING-088") func openingReadsNoTensorData() throws {
    try write(plan(), to: "good.ingot")
    let good = try IngotFile.open(folder.path("good.ingot"))
    var bytes = try contents("good.ingot")
    bytes[try #require(good.tensor(named: "second")).byteRange.lowerBound] ^= 1
    let file = try IngotFile.open(folder.write(bytes, to: "damaged.ingot"))
    #expect(file.check(threads: 1).map(\.code) == ["ingot.checksum"])
  }

  @Test("ING-092, ING-093") func paddingIsZeroAndDataOnPages() throws {
    try write(plan(), to: "padded.ingot")
    let bytes = try contents("padded.ingot")
    let file = try IngotFile.open(folder.path("padded.ingot"))
    #expect(bytes[20..<24].elementsEqual([0, 16, 0, 0]))
    let ranges = file.tensors.map(\.byteRange)
    for range in ranges { #expect(range.lowerBound % 4096 == 0) }
    for (left, right) in zip(ranges, ranges.dropFirst()) {
      #expect(bytes[left.upperBound..<right.lowerBound].allSatisfy { $0 == 0 })
    }
    let end = try #require(ranges.last?.upperBound)
    #expect(bytes.count == (end + 4095) / 4096 * 4096)
    #expect(bytes[end...].allSatisfy { $0 == 0 })
  }

  /// A text that would compress well is stored as it is, unless compression is asked for.
  @Test("ING-094") func valuesArePlainUnlessAsked() throws {
    let text = String(repeating: "{{ message }}", count: 500)
    try write(plan([.init(IngotKey.chatTemplate, .string(text))]), to: "plain.ingot")
    try write(
      plan([.init(IngotKey.chatTemplate, .string(text), isCompressed: true)]), to: "zstd.ingot")
    #expect(try contents("plain.ingot").firstRange(of: Array(text.utf8)) != nil)
    #expect(try contents("zstd.ingot").firstRange(of: Array(text.utf8)) == nil)
    #expect(try IngotFile.open(folder.path("zstd.ingot")).chatTemplate() == text)
  }

  /// Who has the old file open keeps the old bytes.
  @Test("ING-095") func filesAreReplacedAndNeverChanged() throws {
    try write(plan(), to: "model.ingot")
    let old = try IngotFile.open(folder.path("model.ingot"))
    let before = Array(old.bytes(of: old.tensors[1]))
    try write(plan(), to: "model.ingot", seed: 2)
    #expect(Array(old.bytes(of: old.tensors[1])) == before)
    let new = try IngotFile.open(folder.path("model.ingot"))
    #expect(Array(new.bytes(of: new.tensors[1])) != before)
  }
}
