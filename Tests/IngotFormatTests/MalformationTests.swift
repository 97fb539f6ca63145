import Bytes
import Foundation
import IngotFormat
import TestSupport
import Testing

/// One test per way to break a file: each is refused at opening with its own code.
@Suite struct MalformationTests {
  private let folder: TemporaryFolder
  private let bytes: [UInt8]
  /// Offsets in the example file.
  private let secondTensor = 256 + 128
  private let nameOrder: Int
  private let names: Int
  private let metadata: Int
  private let values: Int

  init() throws {
    folder = try TemporaryFolder()
    bytes = try Sample.exampleBytes()
    nameOrder = Self.number(bytes, 80)
    names = Self.number(bytes, 96)
    metadata = Self.number(bytes, 112)
    values = Self.number(bytes, 128)
  }

  private static func number(_ bytes: [UInt8], _ offset: Int) -> Int {
    (0..<8).reduce(0) { $0 | Int(bytes[offset + $1]) << (8 * $1) }
  }

  private func code(of bytes: [UInt8]) throws -> String? {
    let path = try folder.write(bytes, to: "broken.ingot")
    do {
      _ = try IngotFile.open(path)
      return nil
    } catch {
      #expect(error.path == path)
      return error.code
    }
  }

  /// The code of the refusal after bytes were replaced and the checksum was made right.
  private func code(_ offset: Int, _ replacement: [UInt8]) throws -> String? {
    var changed = bytes
    changed.replaceSubrange(offset..<offset + replacement.count, with: replacement)
    #expect(changed != bytes, "the change changes nothing")
    return try code(of: Sample.resealed(changed))
  }

  private func number(_ value: Int) -> [UInt8] {
    (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
  }

  @Test func intactExampleOpens() throws {
    #expect(try code(of: bytes) == nil)
    #expect(try code(of: Sample.resealed(bytes)) == nil)
  }

  // Header.

  @Test("ING-002") func magic() throws {
    #expect(try code(0, [0x88]) == "ingot.magic")
    #expect(try code(of: []) == "ingot.magic")
    #expect(try code(of: Array("PK\u{3}\u{4}".utf8)) == "ingot.magic")
    #expect(try code(0, IngotLayout.partialMagic) == "ingot.partial")
  }

  @Test("ING-003") func endianness() throws {
    #expect(try code(8, [1, 2, 3, 4]) == "ingot.endianness")
    #expect(try code(8, [9]) == "ingot.endianness")
  }

  @Test("ING-004") func majorVersion() throws {
    #expect(try code(12, [2]) == "ingot.version")
    #expect(try code(12, [0]) == "ingot.version")
  }

  @Test("section 10") func higherMinorVersionOpens() throws { #expect(try code(14, [7]) == nil) }

  @Test("ING-005") func headerLength() throws { #expect(try code(16, [128]) == "ingot.header") }

  @Test("ING-006") func dataAlignment() throws {
    #expect(try code(20, [0, 0, 0, 0]) == "ingot.alignment")
    #expect(try code(20, [0, 0x18, 0, 0]) == "ingot.alignment")
    #expect(try code(20, [0, 0, 0x20, 0]) == "ingot.alignment")
  }

  @Test("ING-007, ING-008") func features() throws {
    #expect(try code(24, [1]) == "ingot.features")
    #expect(try code(31, [0x80]) == "ingot.features")
    #expect(try code(32, [0xFF]) == nil)
  }

  @Test("ING-009") func fileLength() throws {
    #expect(try code(of: bytes + [0]) == "ingot.length")
    #expect(try code(of: bytes.dropLast()) == "ingot.length")
    #expect(try code(of: Array(bytes[..<100])) == "ingot.length")
    #expect(try code(of: Array(bytes[..<300])) == "ingot.length")
    #expect(try code(40, number(Int.max)) == "ingot.limit")
    #expect(try code(40, number(-1)) == "bytes.tooLarge")
  }

  @Test("ING-010") func counts() throws {
    #expect(try code(48, number(1 << 25)) == "ingot.limit")
    #expect(try code(48, number(-1)) == "bytes.tooLarge")
    #expect(try code(48, number(3)) == "ingot.section")
    #expect(try code(56, number(1 << 17)) == "ingot.limit")
    #expect(try code(56, number(3)) == "ingot.section")
  }

  @Test("ING-011") func reservedHeaderBytes() throws {
    #expect(try code(152, [1]) == "ingot.reserved")
    #expect(try code(223, [1]) == "ingot.reserved")
  }

  @Test("ING-012") func sections() throws {
    for field in stride(from: 64, to: 144, by: 8) {
      for value in [0, 1, bytes.count, Int.max, 1 << 40] {
        // The last section may be too short for its values: found when they are placed.
        let isShort = field == 136 && value < 2
        #expect(
          try code(field, number(value)) == (isShort ? "ingot.metadata" : "ingot.section"),
          "field \(field) \(value)")
      }
    }
  }

  @Test("ING-013") func dataOffset() throws {
    #expect(try code(144, number(0)) == "ingot.section")
    #expect(try code(144, number(8192)) == "ingot.section")
  }

  @Test("ING-014") func directoryChecksum() throws {
    for offset in [20, 21, 224, 255, 256, nameOrder - 1, names, metadata, values - 1] {
      var changed = bytes
      changed[offset] ^= 0x40
      let refusal = try code(of: changed)
      #expect(refusal == "ingot.directoryChecksum" || offset < 22, "byte \(offset)")
      #expect(refusal != nil)
    }
  }

  // Tensors.

  @Test("ING-020") func tensorName() throws {
    #expect(try code(names, [0x1F]) == "ingot.name")
    #expect(try code(names, [0x7F]) == "ingot.name")
    #expect(try code(names, [0xFF]) == "ingot.name")
    #expect(try code(names, [0xC0, 0x80]) == "ingot.name")
    #expect(try code(256 + 8, [0, 0, 0, 0]) == "ingot.name")
    #expect(try code(256 + 8, [0xFF, 0xFF, 0xFF, 0xFF]) == "bytes.outside")
  }

  @Test("ING-021") func nameOffsets() throws {
    #expect(try code(256, number(1)) == "ingot.name")
    #expect(try code(secondTensor, number(0)) == "ingot.name")
    #expect(try code(secondTensor, number(-1)) == "bytes.tooLarge")
    #expect(try code(256 + 8, [3]) == "ingot.name")
    #expect(try code(metadata, number(0)) == "ingot.name")
  }

  @Test("ING-022") func reservedTensorBytes() throws {
    for offset in [18, 72, 79, 112, 127] {
      #expect(try code(256 + offset, [1]) == "ingot.reserved")
    }
  }

  @Test("ING-023") func shape() throws {
    #expect(try code(256 + 16, [5]) == "ingot.shape")
    #expect(try code(256 + 16, [0xFF]) == "ingot.shape")
    #expect(try code(256 + 24, number(1 << 41)) == "ingot.shape")
    #expect(try code(256 + 24, number(-1)) == "bytes.tooLarge")
    #expect(try code(256 + 32, number(1)) == "ingot.reserved")
    #expect(try code(256 + 16, [0]) == "ingot.reserved")
  }

  @Test("ING-024") func typeCodes() throws {
    #expect(try code(256 + 12, [2]) == "ingot.type")
    #expect(try code(256 + 13, [0]) == "ingot.type")
    #expect(try code(256 + 13, [16]) == "ingot.type")
    #expect(try code(256 + 14, [32]) == "ingot.reserved")
    #expect(try code(secondTensor + 13, [6]) == "ingot.type")
    #expect(try code(secondTensor + 14, [16]) == "ingot.type")
    #expect(try code(secondTensor + 14, [0]) == "ingot.type")
  }

  @Test("ING-025") func dataLength() throws {
    #expect(try code(256 + 64, [3]) == "ingot.dataBytes")
    #expect(try code(256 + 13, [1]) == "ingot.dataBytes")
    #expect(try code(256 + 24, number(3)) == "ingot.dataBytes")
    #expect(try code(256 + 24, number(1 << 40)) == "ingot.dataBytes")
    // Products beyond 2⁶⁴.
    let huge = [UInt8](repeating: 0, count: 5) + [1, 0, 0]
    #expect(
      try code(256 + 16, [4, 0, 0, 0, 0, 0, 0, 0] + huge + huge + huge + huge) == "ingot.shape")
    // Tiled: columns that the group does not divide, no rows, another rank.
    #expect(try code(secondTensor + 32, number(48)) == "ingot.shape")
    #expect(try code(secondTensor + 24, number(0)) == "ingot.shape")
    #expect(try code(secondTensor + 24, number(1 << 40) + number(1 << 40)) == "ingot.shape")
    #expect(try code(secondTensor + 16, [1]) == "ingot.reserved")
    #expect(try code(secondTensor + 16, [3]) == "ingot.shape")
  }

  @Test("ING-026") func dataPlace() throws {
    for value in [0, 4096, 4097, bytes.count, Int.max] {
      #expect(try code(secondTensor + 56, number(value)) == "ingot.dataOffset")
    }
    #expect(try code(secondTensor + 56, number(-4096)) == "bytes.tooLarge")
  }

  @Test("ING-027") func dataBeyondTheEnd() throws {
    // A page more at the end, announced: nothing owns it.
    var longer = bytes + [UInt8](repeating: 0, count: 4096)
    longer.replaceSubrange(40..<48, with: number(longer.count))
    #expect(try code(of: Sample.resealed(longer)) == "ingot.length")
    // A page less, announced: the last tensor leaves the file.
    var shorter = Array(bytes.dropLast(4096))
    shorter.replaceSubrange(40..<48, with: number(shorter.count))
    #expect(try code(of: Sample.resealed(shorter)) == "ingot.dataBytes")
  }

  @Test("ING-028") func nameOrdering() throws {
    #expect(try code(nameOrder, [1, 0, 0, 0, 0, 0, 0, 0]) == "ingot.nameOrder")
    #expect(try code(nameOrder, [2]) == "ingot.nameOrder")
    #expect(try code(nameOrder, [0xFF, 0xFF, 0xFF, 0xFF]) == "ingot.nameOrder")
    #expect(try code(nameOrder, [0, 0, 0, 0, 0, 0, 0, 0]) == "ingot.duplicate")
  }

  @Test("ING-029") func exactRows() throws {
    #expect(try code(256 + 17, [3]) == "ingot.type")
    #expect(try code(256 + 20, [1]) == "ingot.type")
    #expect(try code(256 + 17, [3, 0, 0, 1]) == "ingot.shape")
    #expect(try code(secondTensor + 17, [0]) == "ingot.type")
    #expect(try code(secondTensor + 17, [6]) == "ingot.shape")
    #expect(try code(secondTensor + 20, [0]) == "ingot.type")
    #expect(try code(secondTensor + 20, [2]) == "ingot.shape")
    #expect(try code(secondTensor + 17, [1]) == "ingot.dataBytes")
  }

  // Metadata. The first entry is the chat template, the second the string model.architecture.

  @Test("ING-040") func keys() throws {
    #expect(try code(names + 10, [UInt8(ascii: "A")]) == "ingot.metadata")
    #expect(try code(names + 10, [UInt8(ascii: "z")]) == "ingot.metadata")
    #expect(try code(metadata + 8, [0, 0, 0, 0]) == "ingot.metadata")
    #expect(try code(metadata + 8, [0xFF, 0xFF, 0xFF, 0x7F]) == "bytes.outside")
  }

  @Test("ING-041") func metadataCodes() throws {
    #expect(try code(metadata + 12, [0]) == "ingot.metadata")
    #expect(try code(metadata + 12, [11]) == "ingot.metadata")
    #expect(try code(metadata + 13, [2]) == "ingot.metadata")
    for offset in [14, 80, 95] { #expect(try code(metadata + offset, [1]) == "ingot.reserved") }
  }

  @Test("ING-042") func scalars() throws {
    // The third entry is model.attention_bias, a bool.
    let entry = metadata + 2 * 96
    #expect(bytes[entry + 12] == IngotMetadataType.bool.rawValue)
    for (offset, value) in [(13, 1), (16, 2), (24, 2), (32, 1), (40, 1), (48, 1)] {
      #expect(try code(entry + offset, [UInt8(value)]) == "ingot.metadata", "offset \(offset)")
    }
  }

  @Test("ING-043") func valuePlaces() throws {
    for value in [1, values + 64, bytes.count, Int.max] {
      #expect(try code(metadata + 24, number(value)) == "ingot.metadata")
    }
    #expect(try code(metadata + 24, number(0)) == "ingot.metadata")
    #expect(try code(metadata + 32, number(Int.max)) == "ingot.metadata")
    #expect(try code(metadata + 32, number(-1)) == "bytes.tooLarge")
    #expect(try code(metadata + 32, number(0)) == "ingot.metadata")
  }

  @Test("ING-044, ING-045") func valueLengths() throws {
    #expect(try code(metadata + 16, number(9)) == "ingot.metadata")
    #expect(try code(metadata + 40, number(9)) == "ingot.metadata")
    #expect(try code(metadata + 40, number(1 << 29)) == "ingot.limit")
    #expect(try code(metadata + 12, [7]) == "ingot.metadata")
    #expect(try code(metadata + 12, [10]) == "ingot.metadata")
  }

  @Test("ING-046") func compressedLengths() throws {
    // Encoding zstd, but not smaller than the decoded length.
    #expect(try code(metadata + 13, [1]) == "ingot.metadata")
  }

  @Test("ING-047") func damagedValue() throws {
    var changed = bytes
    changed[values] ^= 1
    let path = try folder.write(changed, to: "value.ingot")
    let file = try IngotFile.open(path)
    #expect(throws: IngotError.self) { try file.chatTemplate() }
    #expect(file.check(threads: 1).map(\.code) == ["ingot.valueChecksum"])
  }

  @Test("ING-049, ING-050", arguments: ["vocab_size", "head_dim", "rope_theta", "architecture"])
  func modelValues(_ name: String) throws {
    let key = Array("model.\(name)".utf8)
    let place = try #require(bytes[names..<metadata].firstRange(of: key)).lowerBound
    // Another last letter keeps the order of keys for these names, or breaks it: refused anyway.
    #expect(try code(place + key.count - 1, [UInt8(ascii: "x")]) != nil)
    let entry = try #require(
      stride(from: metadata, to: values - 95, by: 96).first {
        Self.number(bytes, $0) == place - names
      })
    if name != "architecture" {
      #expect(try code(entry + 24, number(0)) == "ingot.configuration")
      #expect(try code(entry + 24, number(-1)) == "ingot.configuration")
      #expect(try code(entry + 12, [2]) == "ingot.configuration")
    }
  }

  // Contents, found by the complete check.

  @Test("ING-080, ING-083") func everyDamagedByteIsFound() throws {
    let file = try IngotFile.open(folder.write(bytes, to: "good.ingot"))
    #expect(file.check(threads: 2).isEmpty)
    for offset in stride(from: 0, to: bytes.count, by: 37) {
      var changed = bytes
      changed[offset] ^= 1 << (offset % 8)
      let path = try folder.write(changed, to: "damaged.ingot")
      if let file = try? IngotFile.open(path) {
        #expect(!file.check(threads: 1).isEmpty, "byte \(offset)")
      }
    }
  }

  @Test func replacedFileIsNotCheckedInItsPlace() throws {
    let path = try folder.write(bytes, to: "first.ingot")
    let file = try IngotFile.open(path)
    try FileManager.default.removeItem(atPath: path)
    #expect(file.check(threads: 1).map(\.code) == ["file.open"])
    try folder.write(bytes, to: "first.ingot")
    #expect(file.check(threads: 1).map(\.code) == ["ingot.changed"])
  }

  @Test("ING-062, ING-066") func contents() throws {
    let start = Self.number(bytes, secondTensor + 56)
    let layout = try Sample.layout(.int4, group: 32, rows: 1, columns: 32)
    for (offset, code) in [
      (0, "ingot.tileHeader"), (19, "ingot.tileHeader"), (63, "ingot.tileHeader"),
      (layout.payloadBytes, "ingot.exactRows"),
    ] {
      var changed = bytes
      changed[start + offset] ^= 1
      let length = Self.number(bytes, secondTensor + 64)
      let checksum = Array(changed[start..<start + length]).withUnsafeBytes {
        Blake3.of($0)
      }
      changed.replaceSubrange(secondTensor + 80..<secondTensor + 112, with: checksum.bytes)
      let path = try folder.write(Sample.resealed(changed), to: "contents.ingot")
      #expect(try IngotFile.open(path).check(threads: 1).map(\.code) == [code])
    }
  }
}
