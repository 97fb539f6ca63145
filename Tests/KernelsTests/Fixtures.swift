import Kernels
import Tensors
import Testing

/// A small seeded generator (SplitMix64), so that every run tests the same numbers.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64
  init(_ seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
    return z ^ z >> 31
  }

  /// Roughly normal, standard deviation 1.
  mutating func normal() -> Float {
    (0..<12).reduce(into: Float(-6)) { sum, _ in sum += Float.random(in: 0..<1, using: &self) }
  }

  mutating func normals(_ count: Int) -> [Float] { (0..<count).map { _ in normal() } }
}

/// Bytes on a chosen offset from a page, with poison around them.
final class TestBytes: @unchecked Sendable {
  // Safe: written only while a test sets up.
  let bytes: UnsafeMutableRawBufferPointer
  private let memory: UnsafeMutableRawBufferPointer

  init(count: Int, misalignment: Int = 0) {
    memory = .allocate(byteCount: count + 256 + misalignment, alignment: 64)
    for index in memory.indices { memory[index] = 0xA5 }
    bytes = UnsafeMutableRawBufferPointer(
      rebasing: memory[128 + misalignment..<128 + misalignment + count])
  }

  deinit { memory.deallocate() }
}

enum Fixture {
  /// A tiled matrix of random codes and scales; rows beyond the last hold random codes as well,
  /// so that a kernel that lets them through is caught.
  static func tiled(
    _ scheme: QuantizationScheme, rows: Int, columns: Int, seed: UInt64 = 1
  ) throws -> WeightMatrix {
    let layout = try #require(TileLayout(scheme: scheme, rows: rows, columns: columns))
    var random = SeededGenerator(seed)
    let owner = TestBytes(count: layout.payloadBytes)
    let bytes = owner.bytes
    for index in bytes.indices { bytes[index] = UInt8.random(in: 0...255, using: &random) }
    for index in 0..<64 { bytes[index] = 0 }
    let levels: [Int8] = [
      -113, -88, -68, -52, -38, -25, -14, -3, 8, 19, 31, 44, 59, 77, 98, 127,
    ]
    if scheme.kind == .cb4 {
      for (index, level) in levels.enumerated() { bytes[index] = UInt8(bitPattern: level) }
    }
    let tensorScale: Float = scheme.kind == .cb4 ? 0.37 : 1
    bytes.storeBytes(
      of: tensorScale.bitPattern.littleEndian, toByteOffset: TileLayout.tensorScaleOffset,
      as: UInt32.self)
    for tile in 0..<layout.tileCount {
      let start = layout.tileOffset(tile)
      for index in 0..<layout.groupsPerRow * 16 {
        if scheme.kind != .cb4 {
          let half = HalfPrecision.half(from: Float.random(in: -0.01...0.02, using: &random))
          bytes.storeBytes(
            of: half.littleEndian, toByteOffset: start + 2 * index, as: UInt16.self)
        }
        if scheme.kind == .int4z { bytes[start + layout.zeroPointOffset + index] &= 15 }
      }
    }
    return WeightMatrix(tiled: layout, bytes: UnsafeRawBufferPointer(bytes), owner: owner)
  }

  /// A dense matrix of random numbers, at an odd address on request.
  static func dense(
    _ type: ElementType, rows: Int, columns: Int, misalignment: Int = 0, seed: UInt64 = 1
  ) -> WeightMatrix {
    var random = SeededGenerator(seed)
    let owner = TestBytes(
      count: rows * columns * type.byteCount, misalignment: misalignment)
    for index in 0..<rows * columns {
      let value = random.normal()
      switch type {
      case .float32:
        owner.bytes.storeBytes(of: value, toByteOffset: 4 * index, as: Float.self)
      case .float16:
        owner.bytes.storeBytes(
          of: HalfPrecision.half(from: value), toByteOffset: 2 * index, as: UInt16.self)
      default:
        owner.bytes.storeBytes(
          of: HalfPrecision.brain(from: value), toByteOffset: 2 * index, as: UInt16.self)
      }
    }
    return WeightMatrix(
      dense: type, rows: rows, columns: columns, bytes: UnsafeRawBufferPointer(owner.bytes),
      owner: owner)
  }

  static let schemes: [QuantizationScheme] = QuantizationScheme.Kind.allCases.flatMap { kind in
    kind.groupSizes.compactMap { QuantizationScheme(kind, groupSize: $0) }
  }

  /// Every table but the definition.
  static var tables: [KernelTable] { KernelTable.available.filter { $0.name != "scalar" } }
}

/// One multiplication, its output surrounded by a guard value that must survive.
func product(
  _ weights: [WeightMatrix], _ input: [Float], tokens: Int, arithmetic: Arithmetic,
  kernels: KernelTable, pool: ThreadPool
) -> [[UInt32]] {
  let engine = ComputeEngine(pool: pool, kernels: kernels)
  let poison: Float = 12345
  let counts = weights.map { $0.rows * tokens + 32 }
  let pointers = counts.map { UnsafeMutablePointer<Float>.allocate(capacity: $0) }
  defer { for pointer in pointers { pointer.deallocate() } }
  for (pointer, count) in zip(pointers, counts) {
    pointer.initialize(repeating: poison, count: count)
  }
  engine.multiply(
    weights, input: input, tokens: tokens, outputs: pointers.map { $0 + 16 },
    arithmetic: arithmetic)
  return zip(pointers, counts).map { pointer, count in
    let all = Array(UnsafeBufferPointer(start: pointer, count: count))
    let margins = all.prefix(16) + all.suffix(16)
    #expect(margins.allSatisfy { $0 == poison }, "wrote outside the output")
    return all.dropFirst(16).dropLast(16).map(\.bitPattern)
  }
}
