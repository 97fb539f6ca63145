import Bytes
import Foundation
import IngotFormat
import TestSupport
import Testing

/// Seeded mutants of a small file: each opens or throws, quickly; nothing traps.
///
/// `INGOT_FUZZ=100000 swift test --filter IngotFormatTests.FuzzTests` runs more of them.
@Suite struct FuzzTests {
  private static let count =
    ProcessInfo.processInfo.environment["INGOT_FUZZ"].flatMap { Int($0) } ?? 3000

  @Test("ING-084, ING-086, ING-087") func mutantsAreRefusedOrRead() throws {
    let folder = try TemporaryFolder()
    let example = try Sample.exampleBytes()
    var random = SplitMix(seed: 2026)
    var opened = 0
    var codes: [String: Int] = [:]
    var slowest = 0.0
    for _ in 0..<Self.count {
      var bytes = example
      for _ in 0..<Int.random(in: 1...4, using: &random) { Self.mutate(&bytes, &random) }
      // Three in four get past the checksum.
      if Int.random(in: 0..<4, using: &random) > 0 { bytes = Sample.resealed(bytes) }
      let path = try folder.write(bytes, to: "mutant.ingot")
      let start = ContinuousClock.now
      do {
        let file = try IngotFile.open(path)
        opened += 1
        _ = file.check(threads: 1)
        for tensor in file.tensors {
          _ = file.tensor(named: tensor.name)
          if tensor.elementCount > 0, tensor.elementCount < 1 << 16 {
            _ = try? file.values(of: tensor, row: 0)
          }
        }
        for key in file.metadataKeys { _ = try? file.metadata(key) }
        _ = try? file.sources()
      } catch {
        codes[error.code, default: 0] += 1
      }
      let elapsed = (ContinuousClock.now - start).components
      slowest = max(slowest, Double(elapsed.seconds) + Double(elapsed.attoseconds) * 1e-18)
    }
    print(
      "fuzz: \(Self.count) mutants, \(opened) opened, slowest \(slowest) s, \(codes.count) codes")
    #expect(opened > 0)
    #expect(codes.count > 15)
    // The largest value any mutant could declare is 256 MiB: decoding stays bounded.
    #expect(Self.peakResidentBytes() < 2 << 30)
  }

  private static func peakResidentBytes() -> Int {
    var usage = rusage()
    #if canImport(Glibc)
      getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
      return usage.ru_maxrss * 1024
    #else
      getrusage(RUSAGE_SELF, &usage)
      return usage.ru_maxrss
    #endif
  }

  private static func mutate(_ bytes: inout [UInt8], _ random: inout SplitMix) {
    guard !bytes.isEmpty else { return }
    // Most mutations hit the front matter, where the structure is.
    let end = Bool.random(using: &random) ? min(bytes.count, 2600) : bytes.count
    let offset = Int.random(in: 0..<end, using: &random)
    switch Int.random(in: 0..<8, using: &random) {
    case 0: bytes[offset] ^= 1 << UInt8.random(in: 0..<8, using: &random)
    case 1: bytes[offset] = UInt8.random(in: 0...255, using: &random)
    case 2: bytes.removeLast(Int.random(in: 0...bytes.count, using: &random))
    case 3: bytes += [UInt8](repeating: 0, count: Int.random(in: 1...9000, using: &random))
    case 4:
      let length = min(Int.random(in: 1...128, using: &random), bytes.count - offset)
      let source = Int.random(in: 0...bytes.count - length, using: &random)
      bytes.replaceSubrange(offset..<offset + length, with: Array(bytes[source..<source + length]))
    case 5: bytes.remove(at: offset)
    default:
      let number = interesting.randomElement(using: &random) ?? 0
      let place = offset / 8 * 8
      for index in 0..<8 where place + index < bytes.count {
        bytes[place + index] = UInt8(truncatingIfNeeded: number >> (8 * UInt64(index)))
      }
    }
  }

  private static let interesting: [UInt64] = [
    0, 1, 2, 63, 64, 65, 4095, 4096, 4097, 8192, 12288, 1 << 16, 1 << 24, (1 << 24) + 1, 1 << 28,
    1 << 31, 1 << 32, 1 << 40, (1 << 40) + 1, 1 << 60, 1 << 61, 1 << 62, .max >> 1, 1 << 63,
    .max - 63,
    .max,
  ]
}
