internal import Bytes
internal import Dispatch
internal import Synchronization

/// The 1 MiB subtrees of all tensors of a file, hashed by several threads.
final class SubtreeTable: Sendable {
  private let tensors: [IngotTensor]
  /// First subtree of each tensor, and the total at the end.
  private let starts: [Int]
  private let state: Mutex<State>

  private struct State {
    var next = 0
    var values: [Checksum]
    var failures: [Int: IngotError] = [:]
  }

  init(_ tensors: [IngotTensor]) {
    self.tensors = tensors
    var starts = [0]
    starts.reserveCapacity(tensors.count + 1)
    var total = 0
    for tensor in tensors {
      total += Blake3.subtreeCount(byteCount: tensor.byteRange.count)
      starts.append(total)
    }
    self.starts = starts
    state = Mutex(State(values: Array(repeating: .zero, count: total)))
  }

  /// Reads and hashes every subtree. Read errors come back by tensor.
  func hash(
    _ file: FileReader, threads: Int, progress: @Sendable (Int) -> Void
  ) -> [Int: IngotError] {
    DispatchQueue.concurrentPerform(iterations: threads) { _ in work(file, progress) }
    return state.withLock { $0.failures }
  }

  func checksum(ofTensor index: Int) -> Checksum {
    Blake3.root(of: state.withLock { $0.values[starts[index]..<starts[index + 1]] })
  }

  private func work(_ file: FileReader, _ progress: @Sendable (Int) -> Void) {
    let buffer = UnsafeMutableRawBufferPointer.allocate(
      byteCount: Blake3.subtreeBytes, alignment: 64)
    defer { buffer.deallocate() }
    var tensor = 0
    while true {
      let subtree = state.withLock { state in
        state.next += 1
        return state.next - 1
      }
      guard subtree < starts[tensors.count] else { return }
      while starts[tensor + 1] <= subtree { tensor += 1 }
      let range = tensors[tensor].byteRange
      let index = subtree - starts[tensor]
      let start = range.lowerBound + index * Blake3.subtreeBytes
      let piece = UnsafeMutableRawBufferPointer(
        rebasing: buffer[..<min(buffer.count, range.upperBound - start)])
      do throws(IngotError) {
        try file.read(into: piece, at: start)
        let value = Blake3.subtree(
          UnsafeRawBufferPointer(piece), index: index, isOnly: range.count == piece.count)
        state.withLock { $0.values[subtree] = value }
      } catch {
        var failure = error
        failure.tensor = tensors[tensor].name
        state.withLock { $0.failures[tensor] = $0.failures[tensor] ?? failure }
      }
      progress(piece.count)
    }
  }
}
