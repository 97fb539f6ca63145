import Bytes
import Checkpoints
import Tensors
import TestSupport
import Testing

/// A safetensors file from header text and a number of data bytes, 0, 1, 2, ….
func safetensors(_ header: String, data: Int = 0) -> [UInt8] {
  let bytes = Array(header.utf8)
  return withUnsafeBytes(of: UInt64(bytes.count).littleEndian) { Array($0) } + bytes
    + (0..<data).map { UInt8(truncatingIfNeeded: $0) }
}

/// `"name":{…}` of a header.
func entry(_ name: String, _ type: String, _ shape: [Int], _ start: Int, _ end: Int) -> String {
  "\"\(name)\":{\"dtype\":\"\(type)\",\"shape\":\(shape),\"data_offsets\":[\(start),\(end)]}"
}

/// The code of the error that `body` throws; nil when it throws none.
func code(_ body: () throws -> Void) -> String? {
  do {
    try body()
    return nil
  } catch let error as IngotError {
    return error.code
  } catch {
    return "another error: \(error)"
  }
}

@Suite struct SafetensorsTests {
  private func code(_ bytes: [UInt8]) throws -> String? {
    let folder = try TemporaryFolder()
    let path = try folder.write(bytes, to: "model.safetensors")
    do throws(IngotError) {
      _ = try SafetensorsFile(path: path)
      return nil
    } catch {
      #expect(error.path == path)
      return error.code
    }
  }

  @Test func readsEntriesInOrderOfTheirData() throws {
    let folder = try TemporaryFolder()
    let header =
      "{" + entry("late", "BF16", [2, 3], 4, 16) + ",\"__metadata__\":{\"format\":\"pt\"},"
      + entry("early", "F32", [1], 0, 4) + "}   "
    let path = try folder.write(safetensors(header, data: 16), to: "a.safetensors")
    let file = try SafetensorsFile(path: path)
    #expect(file.entries.map(\.name) == ["early", "late"])
    #expect(file.header.metadata.map(\.value) == ["pt"])
    let late = try #require(file.entry(named: "late"))
    #expect(late.type == .bfloat16)
    #expect(late.shape == [2, 3])
    #expect(late.elementCount == 6)
    #expect(try file.bytes(of: late) == Array(4..<16))
    let mapping = try file.map()
    #expect(Array(mapping.bytes[late.range]) == Array(4..<16))
    var part = [UInt8](repeating: 0, count: 3)
    try part.withUnsafeMutableBytes { try file.read(late, at: 5, into: $0) }
    #expect(part == [9, 10, 11])
    #expect(file.entry(named: "other") == nil)
  }

  @Test(arguments: [
    // A scalar, a dimension of zero, nothing at all, an unaligned tensor, padding, fields in any
    // order with unknown ones among them.
    ("{" + entry("a", "F64", [], 0, 8) + "}", 8),
    ("{" + entry("a", "F32", [3, 0, 2], 0, 0) + "," + entry("b", "U8", [1], 0, 1) + "}", 1),
    ("{" + entry("b", "U8", [1], 0, 1) + "," + entry("a", "F32", [0], 1, 1) + "}", 1),
    ("{}", 0),
    ("{}          ", 0),
    ("{" + entry("a", "U8", [1], 0, 1) + "," + entry("b", "F32", [1], 1, 5) + "}", 5),
    ("{\"a\":{\"data_offsets\":[0,2],\"note\":[{}],\"shape\":[1,1],\"dtype\":\"F16\"}}\n\t ", 2),
    ("{\"__metadata__\":{}}", 0),
    ("{\"\":{\"dtype\":\"BOOL\",\"shape\":[2],\"data_offsets\":[0,2]}}", 2),
    ("{" + entry("e\u{301}", "I8", [1], 0, 1) + "," + entry("\u{E9}", "I8", [1], 1, 2) + "}", 2),
  ])
  func accepts(header: String, data: Int) throws {
    #expect(try code(safetensors(header, data: data)) == nil, "\(header)")
  }

  @Test func acceptsNaNAndEveryType() throws {
    var entries: [String] = []
    var end = 0
    for type in ElementType.allCases {
      entries.append(entry(type.name, type.name, [2], end, end + 2 * type.byteCount))
      end += 2 * type.byteCount
    }
    let header = safetensors("{" + entries.joined(separator: ",") + "}")
    #expect(try code(header + [UInt8](repeating: 0xFF, count: end)) == nil)
  }

  @Test(arguments: [
    ("[]", 0, "safetensors.headerStart"),
    (" {}", 0, "safetensors.headerStart"),
    ("", 0, "safetensors.headerStart"),
    ("{", 0, "json.syntax"),
    ("{}{}", 0, "json.trailing"),
    ("{\"a\":1}", 0, "safetensors.entry"),
    ("{\"__metadata__\":1}", 0, "safetensors.metadata"),
    ("{\"__metadata__\":null}", 0, "safetensors.metadata"),
    ("{\"__metadata__\":{\"a\":1}}", 0, "safetensors.metadata"),
    ("{\"__metadata__\":{},\"__metadata__\":{}}", 0, "json.duplicateKey"),
    ("{\"__metadata__\":{\"a\":\"\",\"a\":\"\"}}", 0, "json.duplicateKey"),
    ("{\"a\":{\"shape\":[],\"data_offsets\":[0,1]}}", 1, "safetensors.entry"),
    ("{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,1]}}", 1, "safetensors.entry"),
    ("{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}", 1, "safetensors.entry"),
    ("{\"a\":{\"dtype\":8,\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "safetensors.entry"),
    ("{\"a\":{\"dtype\":\"U8\",\"shape\":1,\"data_offsets\":[0,1]}}", 1, "safetensors.entry"),
    ("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":{}}}", 1, "safetensors.entry"),
    ("{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\"}}", 1, "json.duplicateKey"),
    ("{" + entry("a", "C128", [1], 0, 1) + "}", 1, "safetensors.type"),
    ("{" + entry("a", "u8", [1], 0, 1) + "}", 1, "safetensors.type"),
    ("{" + entry("a", "U8", [-1], 0, 1) + "}", 1, "safetensors.shape"),
    ("{\"a\":{\"dtype\":\"U8\",\"shape\":[1.0],\"data_offsets\":[0,1]}}", 1, "safetensors.shape"),
    ("{\"a\":{\"dtype\":\"U8\",\"shape\":[\"1\"],\"data_offsets\":[0,1]}}", 1, "safetensors.shape"),
    (
      "{\"a\":{\"dtype\":\"U8\",\"shape\":[9223372036854775808],\"data_offsets\":[0,1]}}", 1,
      "safetensors.shape"
    ),
    ("{" + entry("a", "U8", [1 << 32, 1 << 32], 0, 1) + "}", 1, "safetensors.overflow"),
    ("{" + entry("a", "F64", [1 << 60], 0, 0) + "}", 0, "safetensors.overflow"),
    ("{" + entry("a", "U8", [1 << 62, 4, 0], 0, 0) + "}", 0, "safetensors.overflow"),
    ("{" + entry("a", "U8", [1], -1, 0) + "}", 1, "safetensors.offsets"),
    ("{" + entry("a", "U8", [1], 1, 0) + "}", 1, "safetensors.offsets"),
    (
      "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1,2]}}", 1, "safetensors.offsets"
    ),
    ("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0]}}", 1, "safetensors.offsets"),
    ("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1.5]}}", 1, "safetensors.offsets"),
    ("{" + entry("a", "F32", [2], 0, 4) + "}", 4, "safetensors.size"),
    ("{" + entry("a", "F32", [1], 0, 4) + "}", 3, "safetensors.truncated"),
    ("{" + entry("a", "U8", [1 << 62], 0, 1 << 62) + "}", 3, "safetensors.truncated"),
    ("{" + entry("a", "F32", [1], 0, 4) + "}", 5, "safetensors.trailingData"),
    ("{}", 1, "safetensors.trailingData"),
    ("{" + entry("a", "U8", [1], 1, 2) + "}", 2, "safetensors.hole"),
    (
      "{" + entry("a", "U8", [1], 0, 1) + "," + entry("b", "U8", [1], 2, 3) + "}", 3,
      "safetensors.hole"
    ),
    (
      "{" + entry("a", "U8", [2], 0, 2) + "," + entry("b", "U8", [2], 1, 3) + "}", 3,
      "safetensors.overlap"
    ),
    (
      "{" + entry("a", "U8", [2], 0, 2) + "," + entry("alias", "U8", [2], 0, 2) + "}", 2,
      "safetensors.overlap"
    ),
    (
      "{" + entry("a", "U8", [3], 0, 3) + "," + entry("b", "U8", [0], 1, 1) + "}", 3,
      "safetensors.overlap"
    ),
    (
      "{" + entry("a", "U8", [1], 0, 1) + "," + entry("a", "U8", [1], 1, 2) + "}", 2,
      "json.duplicateKey"
    ),
  ])
  func refuses(header: String, data: Int, expected: String) throws {
    #expect(try code(safetensors(header, data: data)) == expected, "\(header)")
  }

  @Test func refusesBadFrames() throws {
    let valid = safetensors("{" + entry("a", "F32", [1], 0, 4) + "}", data: 4)
    for count in 0..<8 {
      #expect(try code(Array(valid[..<count])) == "safetensors.tooShort")
    }
    for count in 8..<valid.count - 4 {
      #expect(try code(Array(valid[..<count])) == "safetensors.headerLength")
    }
    for count in valid.count - 4..<valid.count {
      #expect(try code(Array(valid[..<count])) == "safetensors.truncated")
    }
    var tooLarge = valid
    tooLarge.replaceSubrange(
      0..<8, with: withUnsafeBytes(of: UInt64(100_000_001).littleEndian) { Array($0) })
    #expect(try code(tooLarge) == "safetensors.headerTooLarge")
    tooLarge.replaceSubrange(0..<8, with: [UInt8](repeating: 0xFF, count: 8))
    #expect(try code(tooLarge) == "safetensors.headerTooLarge")
    #expect(try code(safetensors("{\"\u{1}\":1}")) == "json.syntax")
    var invalid = valid
    invalid[10] = 0xC0
    #expect(try code(invalid) == "json.utf8")
    let deep = "{\"__metadata__\":" + String(repeating: "[", count: 100_000)
    #expect(try code(safetensors(deep)) == "safetensors.metadata")
    let deeper = "{\"a\":{\"x\":" + String(repeating: "[", count: 100_000)
    #expect(try code(safetensors(deeper)) == "json.depth")
  }

  @Test(arguments: [
    ("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "signature.gitLFS"),
    ("<!DOCTYPE html><html><body>Not found</body></html>", "signature.html"),
    ("\n  <HTML>\n<head></head></HTML>", "signature.html"),
    ("GGUF\u{3}\0\0\0........", "signature.gguf"),
    ("{\"error\":\"Repository not found\"}", "signature.json"),
    ("PK\u{3}\u{4}..........................archive/data.pkl", "signature.torchZip"),
    ("PK\u{3}\u{4}..........................readme.txt", "signature.zip"),
    ("PK\u{5}\u{6}0000000000000000", "signature.zip"),
  ])
  func namesWhatItIsInstead(text: String, expected: String) throws {
    #expect(try code(Array(text.utf8)) == expected)
  }

  @Test func namesBinaryFormats() throws {
    let tail = [UInt8](repeating: 0x2E, count: 40)
    #expect(try code([0x80, 0x02, 0x8A, 0x0A, 0x6C] + tail) == "signature.pickle")
    #expect(try code([0x80, 0x04, 0x95, 0x10, 0, 0, 0, 0, 0, 0, 0] + tail) == "signature.pickle")
    #expect(try code([0x89, 0x48, 0x44, 0x46] + tail) == "signature.hdf5")
    #expect(try code([0x93] + Array("NUMPY".utf8) + tail) == "signature.numpy")
    #expect(try code([0x1F, 0x8B] + tail) == "signature.gzip")
    #expect(try code([0x28, 0xB5, 0x2F, 0xFD] + tail) == "signature.zstd")
  }

  @Test func aHeaderLengthThatLooksLikeAPickleIsStillRead() throws {
    // 640 = 0x0280, little endian: the first two bytes of a pickle.
    let header = "{}" + String(repeating: " ", count: 638)
    #expect(safetensors(header).prefix(2) == [0x80, 0x02])
    #expect(try code(safetensors(header)) == nil)
  }

  @Test func readsTwoHundredThousandTensors() throws {
    let entries = (0..<200_000).map { index in
      entry("model.layers.\(index / 11).tensor.\(index).weight", "BF16", [0, 2048], 0, 0)
    }
    let bytes = safetensors("{" + entries.joined(separator: ",") + "}")
    let folder = try TemporaryFolder()
    let file = try SafetensorsFile(path: try folder.write(bytes, to: "a.safetensors"))
    #expect(file.entries.count == 200_000)
    #expect(file.entry(named: "model.layers.18181.tensor.199999.weight")?.shape == [0, 2048])
  }

  @Test func aFileThatShrinksIsAnError() throws {
    let folder = try TemporaryFolder()
    let bytes = safetensors("{" + entry("a", "U8", [64], 0, 64) + "}", data: 64)
    let path = try folder.write(bytes, to: "a.safetensors")
    let file = try SafetensorsFile(path: path)
    let tensor = try #require(file.entry(named: "a"))
    try TruncatedFile.truncate(path, to: bytes.count - 1)
    var buffer = [UInt8](repeating: 0, count: 64)
    let found = CheckpointsTests.code {
      try buffer.withUnsafeMutableBytes { try file.read(tensor, into: $0) }
    }
    #expect(found == "file.shrank")
    #expect(CheckpointsTests.code { _ = try file.map() } == "file.replaced")
  }

  // MARK: Writing

  @Test func writesWhatItReads() throws {
    let folder = try TemporaryFolder()
    let tensors: [(tensor: SafetensorsWriter.Tensor, bytes: [UInt8])] = [
      (.init(name: "bytes", type: .uint8, shape: [3]), [1, 2, 3]),
      (.init(name: "wide", type: .float64, shape: [1]), Array(10..<18)),
      (.init(name: "none", type: .float32, shape: [0, 5]), []),
      (.init(name: "scalar", type: .bfloat16, shape: []), [7, 8]),
      (.init(name: "quote\"\\\n", type: .int16, shape: [1]), [9, 9]),
    ]
    let path = folder.path("out.safetensors")
    try SafetensorsWriter.write(tensors, metadata: [("format", "pt")], to: path)
    let file = try SafetensorsFile(path: path)
    #expect(file.header.dataStart % 8 == 0)
    #expect(file.header.metadata.map(\.name) == ["format"])
    for (tensor, bytes) in tensors {
      let entry = try #require(file.entry(named: tensor.name))
      #expect(entry.type == tensor.type)
      #expect(entry.shape == tensor.shape)
      #expect(try file.bytes(of: entry) == bytes)
      #expect(entry.range.lowerBound % entry.type.byteCount == 0)
    }
    #expect(folder.names == ["out.safetensors"])
  }

  @Test func writerRefusesWhatCannotBe() throws {
    let folder = try TemporaryFolder()
    let path = folder.path("out.safetensors")
    func code(_ tensors: [SafetensorsWriter.Tensor]) -> String? {
      CheckpointsTests.code { _ = try SafetensorsWriter(path: path, tensors: tensors) }
    }
    let one = SafetensorsWriter.Tensor(name: "a", type: .uint8, shape: [1])
    #expect(code([one, one]) == "safetensors.name")
    #expect(
      code([.init(name: "__metadata__", type: .uint8, shape: [1])]) == "safetensors.name")
    #expect(
      code([.init(name: "a", type: .float64, shape: [1 << 61])]) == "safetensors.overflow")
    #expect(folder.names.isEmpty)
  }
}
