internal import Bytes
internal import Dispatch
internal import Synchronization

/// The 1 MiB chunks of all tensors of a file, hashed by several threads.
final class ChunkTable: Sendable {
  private let tensors: [IngotTensor]
  /// First chunk of each tensor, and the total at the end.
  private let starts: [Int]
  private let state: Mutex<State>

  private struct State {
    var next = 0
    var digests: [Checksum]
    var failures: [Int: IngotError] = [:]
  }

  init(_ tensors: [IngotTensor]) {
    self.tensors = tensors
    var starts = [0]
    starts.reserveCapacity(tensors.count + 1)
    var total = 0
    for tensor in tensors {
      total += ChunkedChecksum.chunkCount(byteCount: tensor.byteRange.count)
      starts.append(total)
    }
    self.starts = starts
    state = Mutex(State(digests: Array(repeating: .zero, count: total)))
  }

  /// Reads and hashes every chunk. Read errors come back by tensor.
  func hash(
    _ file: FileReader, threads: Int, progress: @Sendable (Int) -> Void
  ) -> [Int: IngotError] {
    DispatchQueue.concurrentPerform(iterations: threads) { _ in work(file, progress) }
    return state.withLock { $0.failures }
  }

  func checksum(ofTensor index: Int) -> Checksum {
    let digests = state.withLock { $0.digests[starts[index]..<starts[index + 1]] }
    var hasher = Checksum.Hasher()
    for digest in digests { digest.bytes.withUnsafeBytes { hasher.update($0) } }
    return hasher.finish()
  }

  private func work(_ file: FileReader, _ progress: @Sendable (Int) -> Void) {
    let buffer = UnsafeMutableRawBufferPointer.allocate(
      byteCount: ChunkedChecksum.chunkBytes, alignment: 64)
    defer { buffer.deallocate() }
    var tensor = 0
    while true {
      let chunk = state.withLock { state in
        state.next += 1
        return state.next - 1
      }
      guard chunk < starts[tensors.count] else { return }
      while starts[tensor + 1] <= chunk { tensor += 1 }
      let range = tensors[tensor].byteRange
      let start = range.lowerBound + (chunk - starts[tensor]) * ChunkedChecksum.chunkBytes
      let piece = UnsafeMutableRawBufferPointer(
        rebasing: buffer[..<min(buffer.count, range.upperBound - start)])
      do throws(IngotError) {
        try file.read(into: piece, at: start)
        let digest = Checksum(of: UnsafeRawBufferPointer(piece))
        state.withLock { $0.digests[chunk] = digest }
      } catch {
        var failure = error
        failure.tensor = tensors[tensor].name
        state.withLock { $0.failures[tensor] = $0.failures[tensor] ?? failure }
      }
      progress(piece.count)
    }
  }
}
