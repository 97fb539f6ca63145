import Bytes
import Foundation
import IngotFormat
import Tensors
import TestSupport
import Testing

/// `formats/ingot.py`, written from the specification, agrees with the Swift reader.
@Suite struct PythonReaderTests {
  private static let script = Shared.packageRoot.appendingPathComponent("formats/ingot.py").path

  private static let skipped: Comment = "needs python3 with NumPy, which is absent"

  /// Every scheme and group size, with rows beyond a tile, exact rows and extreme scales.
  private static func everything() throws -> (plan: IngotPlan, data: [[UInt8]]) {
    var tensors: [IngotPlan.Tensor] = []
    for kind in QuantizationScheme.Kind.allCases {
      for group in kind.groupSizes {
        let layout = try Sample.layout(kind, group: group, rows: 37, columns: 256)
        tensors.append(
          .init(
            name: "\(kind.name).\(group)", shape: [37, 256], storage: .tiled(layout),
            exactRows: group == 64 ? .init(count: 2, type: .float16) : nil))
      }
    }
    for type in [ElementType.float32, .float16, .bfloat16] {
      tensors.append(.init(name: "dense.\(type.name)", shape: [5, 3], storage: .dense(type)))
    }
    tensors.append(.init(name: "scalar", shape: [], storage: .dense(.float32)))
    tensors.append(.init(name: "empty", shape: [0, 3], storage: .dense(.float32)))
    let plan = try IngotPlan(
      metadata: Sample.configuration.ingotMetadata + [
        .init("x.text", .string(String(repeating: "größer ", count: 99)), isCompressed: true),
        .init("x.numbers", .floatArray([0.5, -.infinity])),
        .init("x.signed", .signedArray([-1, .min])), .init("x.none", .stringArray([])),
        .init("x.names", .stringArray(["a", "", "ü"])), .init("x.small", .signed(-5)),
      ], tensors: tensors)
    return (plan, plan.tensors.enumerated().map { contents(of: $1, seed: UInt64($0)) })
  }

  /// Random codes and scales, finite ones: NaN has more than one bit pattern.
  private static func contents(of tensor: IngotTensor, seed: UInt64) -> [UInt8] {
    var bytes = Sample.noise(tensor.byteRange.count, seed: seed)
    func clearExponentTop(_ range: Range<Int>, by size: Int) {
      for index in stride(from: range.lowerBound, to: range.upperBound, by: size) {
        bytes[index + size - 1] &= 0xBF
      }
    }
    guard case .tiled(let layout) = tensor.storage else {
      if case .dense(let type) = tensor.storage {
        clearExponentTop(0..<bytes.count, by: type.byteCount)
      }
      return bytes
    }
    let isCodebook = layout.scheme.kind == .cb4
    let levels: [UInt8] = (0..<16).map { UInt8(bitPattern: Int8(-120 + 16 * $0 - $0 % 3)) }
    bytes.replaceSubrange(0..<64, with: repeatElement(0, count: 64))
    if isCodebook { bytes.replaceSubrange(0..<16, with: levels) }
    bytes.replaceSubrange(
      16..<20, with: isCodebook ? [0x9A, 0x99, 0x99, 0x3C] : [0, 0, 0x80, 0x3F])
    for tile in 0..<layout.tileCount where !isCodebook {
      let start = layout.tileOffset(tile)
      clearExponentTop(start..<start + layout.groupsPerRow * 32, by: 2)
    }
    if let exact = tensor.exactRows {
      let start = layout.payloadBytes
      let indices: [UInt8] = [3, 0, 0, 0, 36, 0, 0, 0] + [UInt8](repeating: 0, count: 56)
      bytes.replaceSubrange(start..<start + 64, with: indices)
      clearExponentTop(start + exact.indexBytes..<bytes.count, by: 2)
    }
    return bytes
  }

  @Test("ING-060, ING-061, ING-065, ING-068 to ING-071", .enabled(if: Python.hasNumPy, skipped))
  func dequantizesEveryTensorToTheSameBits() throws {
    let folder = try TemporaryFolder()
    let path = folder.path("all.ingot")
    let (plan, data) = try Self.everything()
    try Sample.write(plan, to: path, data: data)
    let dump = try Python.run([Self.script, "dump", path, folder.url.path])
    #expect(dump.status == 0, "\(dump.output)")
    let file = try IngotFile.open(path)
    for (index, tensor) in file.tensors.enumerated() {
      var expected: [Float] = []
      let columns = max(tensor.shape.last ?? 1, 1)
      for row in 0..<tensor.elementCount / columns {
        expected += try file.values(of: tensor, row: row)
      }
      let found = try Data(contentsOf: URL(fileURLWithPath: folder.path("\(index).f32")))
      let bits = expected.flatMap { value in
        withUnsafeBytes(of: value.bitPattern.littleEndian) { Array($0) }
      }
      #expect(Array(found) == bits, "\(tensor.name)")
    }
  }

  @Test("ING-083", .enabled(if: Python.hasNumPy, skipped))
  func checksListsAndExports() throws {
    let folder = try TemporaryFolder()
    let path = folder.path("all.ingot")
    let (plan, data) = try Self.everything()
    try Sample.write(plan, to: path, data: data)
    let check = try Python.run([Self.script, "check", path])
    #expect(check.status == 0, "\(check.output)")
    let list = try Python.run([Self.script, "list", path])
    #expect(list.status == 0, "\(list.output)")
    #expect(list.output.contains(try IngotFile.open(path).checksum.hexadecimal))
    #expect(list.output.contains("größer"))
    let out = folder.path("all.safetensors")
    #expect(try Python.run([Self.script, "export", path, out]).status == 0)
    let exported = Array(try Data(contentsOf: URL(fileURLWithPath: out)))
    let header = exported[8...].prefix(Int(exported[0]) | Int(exported[1]) << 8)
    let names = try #require(
      JSONSerialization.jsonObject(with: Data(header)) as? [String: Any])
    #expect(Set(names.keys) == Set(plan.tensors.map(\.name)))
  }

  /// Both readers refuse the same files: damage anywhere in header, directory and names.
  @Test(.enabled(if: Python.hasNumPy, skipped)) func refusesWhatSwiftRefuses() throws {
    let folder = try TemporaryFolder()
    let example = try Sample.exampleBytes()
    var random = SplitMix(seed: 7)
    var verdicts: [Bool] = []
    for index in 0..<150 {
      var bytes = example
      for _ in 0..<Int.random(in: 1...2, using: &random) {
        let offset = Int.random(in: 0..<2560, using: &random)
        bytes[offset] = [0, 1, 2, 0xFF, bytes[offset] ^ 0x10].randomElement(using: &random) ?? 0
      }
      let path = try folder.write(Sample.resealed(bytes), to: "\(index).ingot")
      let file = try? IngotFile.open(path)
      verdicts.append(file?.check(threads: 1).isEmpty ?? false)
    }
    let program = """
      import sys; sys.path.insert(0, sys.argv[1]); import ingot
      for i in range(150):
          try: print(int(not ingot.IngotFile(f"{sys.argv[2]}/{i}.ingot").check()))
          except ingot.Malformed: print(0)
      """
    let formats = Shared.packageRoot.appendingPathComponent("formats").path
    let result = try Python.run(["-B", "-c", program, formats, folder.url.path])
    #expect(result.status == 0, "\(result.output)")
    #expect(result.output.split(separator: "\n").map { $0 == "1" } == verdicts)
    #expect(Set(verdicts) == [true, false])
  }
}
