import Bytes
import Foundation
import IngotFormat
import Tensors
import TestSupport
import Testing

/// A copy with one bit flipped in one scale fails, and its tensor is named first.
@Suite struct DamagedModelTests {
  private static let tensor = "model.layers.2.mlp.up_proj.weight"

  /// Flips a bit of the scale of row 3's first group.
  private func damaged(
    _ recipe: String, bit: Int, in folder: TemporaryFolder
  ) throws -> (intact: String, damaged: String) {
    let intact = try VerifyFixture.model(.sample, recipe: recipe)
    let file = try IngotFile.open(intact)
    let tensor = try #require(file.tensor(named: Self.tensor))
    guard case .tiled(let layout) = tensor.storage else {
      throw IngotError("test.layout", "not quantized")
    }
    let scaleBytes = layout.scheme.kind == .cb4 ? 1 : 2
    let offset =
      tensor.byteRange.lowerBound + layout.tileOffset(0) + 3 * scaleBytes + bit / 8
    var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: intact)))
    bytes[offset] ^= 1 << (bit % 8)
    return (intact, try folder.write(bytes, to: "damaged.ingot"))
  }

  private func expectNamed(_ reference: String, _ candidate: String, _ folder: TemporaryFolder)
    throws
  {
    let json = folder.path("report.json")
    let outcome = try Program.run(
      "verify", "--reference", reference, "--candidate", candidate, "--pairs",
      VerifyFixture.Checkpoint.sample.pairs, "--limit", "2", "--decode-pairs", "0", "--json", json,
      "--attribute", "--attribute-pairs", "1")
    #expect(outcome.status == 1, Comment(rawValue: outcome.output + outcome.complaint))
    let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: json)))
    let report = try #require(try JSONValue(parsing: bytes).object)
    #expect(report["verdict"]?.string == "fail")
    #expect(report["reasons"]?.array?.first?.string?.contains(Self.tensor) == true)
    let tensors = try #require(report["attribution"]?.object?["tensors"]?.array)
    #expect(tensors.first?.object?["name"]?.string == Self.tensor)
    #expect(report["damaged_tensors"]?.array == [.string(Self.tensor)])
  }

  @Test(arguments: 0..<16)
  func anyBitOfAHalfPrecisionScale(bit: Int) throws {
    let folder = try TemporaryFolder()
    let files = try damaged("int8", bit: bit, in: folder)
    try expectNamed(files.intact, files.damaged, folder)
    // The lowest bit is far below the rounding of the other weights; the checksum tells it.
    guard bit % 5 == 0 else { return }
    try expectNamed(try VerifyFixture.model(.sample), files.damaged, folder)
  }

  @Test(arguments: 0..<8)
  func anyBitOfACodebookScale(bit: Int) throws {
    let folder = try TemporaryFolder()
    let files = try damaged("int4", bit: bit, in: folder)
    try expectNamed(files.intact, files.damaged, folder)
  }

  /// A damaged reference is nothing to compare with.
  @Test func aDamagedReferenceCannotRun() throws {
    let folder = try TemporaryFolder()
    let files = try damaged("int8", bit: 9, in: folder)
    let outcome = try Program.run(
      "verify", "--reference", files.damaged, "--candidate", files.intact, "--pairs",
      VerifyFixture.Checkpoint.sample.pairs, "--limit", "2", "--decode-pairs", "0")
    #expect(outcome.status == 2)
    #expect(outcome.complaint.contains(Self.tensor))
  }
}
