import Bytes
import Foundation
import IngotFormat
import Kernels

/// Hashes over whole model files, and over their tensors.
enum ModelDigest {
  /// SHA-256 of each file, hashed side by side.
  static func hexadecimal(_ files: [IngotFile], quiet: Bool) -> [String] {
    let total = files.reduce(0) { $0 + $1.mapping.count }
    let progress = Progress("hashing", total: total, unit: .bytes, quiet: quiet)
    defer { progress.finish() }
    let digests = Digests(count: files.count)
    DispatchQueue.concurrentPerform(iterations: files.count) { index in
      digests.set(index, digest(files[index].mapping, progress))
    }
    return digests.all
  }

  private static let pieceBytes = 16 << 20

  private static func digest(_ mapping: MappedFile, _ progress: Progress) -> String {
    var hasher = Checksum.Hasher()
    for start in stride(from: 0, to: mapping.count, by: pieceBytes) {
      let range = start..<min(start + pieceBytes, mapping.count)
      hasher.update(UnsafeRawBufferPointer(rebasing: mapping.bytes[range]))
      // Read once: the pages of a large file need not stay.
      mapping.advise(.dontNeed, range)
      progress.advance(range.count)
    }
    return hasher.finish().hexadecimal
  }

  /// Names of the candidate's tensors whose bytes do not have the checksum in its directory.
  ///
  /// - Throws: what is wrong with the reference, which nothing can be compared with then; and what
  ///   is wrong with the candidate beside its tensors.
  static func damagedTensors(
    reference: IngotFile, candidate: IngotFile, pool: ThreadPool, quiet: Bool
  ) throws -> [String] {
    let total = (reference.tensors + candidate.tensors).reduce(0) { $0 + $1.byteRange.count }
    let progress = Progress("checking", total: total, unit: .bytes, quiet: quiet)
    defer { progress.finish() }
    if let problem = reference.check(threads: pool.threads, progress: { progress.advance($0) })
      .first
    {
      throw problem
    }
    let problems = candidate.check(threads: pool.threads) { progress.advance($0) }
    if let problem = problems.first(where: { $0.tensor == nil }) { throw problem }
    var names: [String] = []
    for name in problems.compactMap(\.tensor) where !names.contains(name) { names.append(name) }
    return names
  }
}

/// Results of tasks that run side by side.
private final class Digests: @unchecked Sendable {
  // Safe: `values` is touched under `lock` only.
  private let lock = NSLock()
  private var values: [String]

  init(count: Int) { values = Array(repeating: "", count: count) }

  func set(_ index: Int, _ value: String) { lock.withLock { values[index] = value } }
  var all: [String] { lock.withLock { values } }
}
