import Architecture
import Bytes
import Foundation
import IngotFormat
import Tensors
import TestSupport
import Testing

@Suite struct RoundTripTests {
  @Test func tensorsAndMetadataComeBack() throws {
    let folder = try TemporaryFolder()
    let path = folder.path("a.ingot")
    let scheme = try #require(QuantizationScheme(.int4, groupSize: 32))
    let layout = try #require(TileLayout(scheme: scheme, rows: 40, columns: 64))
    let exact = IngotExactRowsLayout(count: 1, type: .bfloat16)
    let template = String(repeating: "{{ message }}", count: 100)
    let plan = try IngotPlan(
      metadata: Sample.configuration.ingotMetadata + [
        .init(IngotKey.chatTemplate, .string(template), isCompressed: true),
        .init(IngotKey.tokenizer, .bytes(Sample.noise(1000, seed: 9))),
      ]
        + IngotSource.metadata([
          IngotSource(name: "model.safetensors", byteCount: 5, checksum: .zero)
        ]),
      tensors: [
        .init(name: "norm", shape: [64], storage: .dense(.bfloat16)),
        .init(name: "empty", shape: [0, 4], storage: .dense(.float32)),
        .init(name: "embed", shape: [40, 64], storage: .tiled(layout), exactRows: exact),
        .init(name: "big", shape: [1_500_000], storage: .dense(.uint8)),
      ])
    var data = plan.tensors.enumerated().map {
      Sample.noise($1.byteRange.count, seed: UInt64($0))
    }
    let index = layout.payloadBytes
    data[2].replaceSubrange(index..<index + 4, with: [39, 0, 0, 0])

    let writer = try IngotWriter(path: path, plan: plan)
    try writer.write(tensor: 3, at: 700_000, bytes: Array(data[3][700_000...]))
    try writer.write(tensor: 0, at: 0, bytes: data[0])
    try writer.write(tensor: 3, at: 0, bytes: Array(data[3][..<700_000]))
    try writer.write(tensor: 2, at: 0, bytes: data[2])
    #expect(!FileManager.default.fileExists(atPath: path))
    let source = Checksum(of: [1, 2, 3])
    let checksum = try writer.finish(
      replacing: [IngotKey.sourceChecksums: .bytes(source.bytes)])

    let file = try IngotFile.open(path)
    #expect(folder.names == ["a.ingot"])
    #expect(file.checksum == checksum)
    #expect(file.configuration == Sample.configuration)
    #expect(file.mapping.count == plan.fileBytes)
    #expect(try file.chatTemplate() == template)
    #expect(try file.tokenizerBlob().map(Array.init) == Sample.noise(1000, seed: 9))
    #expect(
      try file.sources() == [
        IngotSource(name: "model.safetensors", byteCount: 5, checksum: source)
      ])
    for (tensor, bytes) in zip(file.tensors, data) {
      #expect(file.tensor(named: tensor.name) == tensor)
      #expect(Array(file.bytes(of: tensor)) == bytes)
      #expect(tensor.checksum == bytes.withUnsafeBytes { Blake3.of($0) })
      #expect(tensor.byteRange.lowerBound % 4096 == 0)
    }
    let rows = try file.exactRows(of: file.tensors[2])
    #expect(rows?.rows == [39])
    #expect(rows?.bytes(ofRow: 39).map(Array.init) == Array(data[2].suffix(128)))
    #expect(file.tensor(named: "absent") == nil)
    // Random bytes are no tile header; everything else must be in order.
    #expect(file.check(threads: 2).map(\.code) == ["ingot.tileHeader"])
  }
}
