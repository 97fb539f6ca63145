import Architecture
import Bytes
import Foundation
import IngotFormat
import Tensors
import TestSupport
import Testing

/// Small files for tests.
enum Sample {
  static let configuration = ModelConfiguration(
    vocabularySize: 40, hiddenSize: 64, intermediateSize: 128, layerCount: 1, attentionHeads: 2,
    keyValueHeads: 1, headDimension: 32, maskToken: 39)

  /// Bytes that look random and depend on the seed only.
  static func noise(_ count: Int, seed: UInt64) -> [UInt8] {
    var random = SplitMix(seed: seed)
    return (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next() >> 24) }
  }

  static func layout(
    _ kind: QuantizationScheme.Kind, group: Int, rows: Int, columns: Int
  ) throws -> TileLayout {
    let scheme = try #require(QuantizationScheme(kind, groupSize: group))
    return try #require(TileLayout(scheme: scheme, rows: rows, columns: columns))
  }

  @discardableResult
  static func write(_ plan: IngotPlan, to path: String, data: [[UInt8]]) throws -> Checksum {
    let writer = try IngotWriter(path: path, plan: plan)
    for (index, bytes) in data.enumerated() {
      try writer.write(tensor: index, at: 0, bytes: bytes)
    }
    return try writer.finish()
  }

  /// The two-tensor file of `formats/ingot.md`, section 13.
  static func example() throws -> (plan: IngotPlan, data: [[UInt8]]) {
    let layout = try layout(.int4, group: 32, rows: 1, columns: 32)
    let plan = try IngotPlan(
      metadata: ModelConfiguration(
        vocabularySize: 2, hiddenSize: 32, intermediateSize: 32, layerCount: 1, attentionHeads: 1,
        keyValueHeads: 1, headDimension: 32, maskToken: 1
      ).ingotMetadata + [.init(IngotKey.chatTemplate, .string("{{ text }}"))],
      tensors: [
        .init(name: "norm", shape: [2], storage: .dense(.bfloat16)),
        .init(
          name: "weight", shape: [1, 32], storage: .tiled(layout),
          exactRows: .init(count: 1, type: .bfloat16)),
      ])
    var payload = [UInt8](repeating: 0, count: layout.payloadBytes)
    // Tensor scale 1.0, and the first row's scale 1.0 as f16.
    payload.replaceSubrange(16..<20, with: [0, 0, 0x80, 0x3F])
    payload.replaceSubrange(64..<66, with: [0, 0x3C])
    for column in 0..<32 {
      let position = layout.codePosition(row: 0, column: column)
      payload[64 + position.byte] |= UInt8(column % 16) << (position.isHigh ? 4 : 0)
    }
    let exact =
      [UInt8](repeating: 0, count: 64) + (0..<32).flatMap { _ in [0x80, 0x3F] as [UInt8] }
    return (plan, [[0x80, 0x3F, 0, 0xC0], payload + exact])
  }

  static func exampleBytes() throws -> [UInt8] {
    let folder = try TemporaryFolder()
    let (plan, data) = try example()
    try write(plan, to: folder.path("example.ingot"), data: data)
    return Array(try Data(contentsOf: URL(fileURLWithPath: folder.path("example.ingot"))))
  }

  /// Makes the directory checksum of changed bytes right again, so that the rule behind it is the
  /// one that refuses them.
  static func resealed(_ bytes: [UInt8]) -> [UInt8] {
    var bytes = bytes
    guard bytes.count >= 256 else { return bytes }
    let stored = bytes.withUnsafeBytes {
      UInt64(littleEndian: $0.loadUnaligned(fromByteOffset: 128, as: UInt64.self))
    }
    guard let end = Int(exactly: stored), (256...bytes.count).contains(end) else { return bytes }
    let checksum = Checksum(of: Array(bytes[..<224]) + Array(bytes[256..<end]))
    bytes.replaceSubrange(224..<256, with: checksum.bytes)
    return bytes
  }
}

/// SplitMix64 (Steele, Lea and Flood 2014): small, seeded, good enough to choose test cases.
struct SplitMix: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
    return mixed ^ mixed >> 31
  }
}
