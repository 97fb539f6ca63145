package import Bytes
package import Checkpoints
internal import Dispatch
internal import Synchronization

/// The SHA-256 of one source file. It runs through the file from front to back, one thread at a
/// time, whenever a thread has time for it.
package final class PartHash: Sendable {
  private let file: SafetensorsFile
  /// Bytes read at a time: they stay in the core's second cache.
  private static let step = 256 << 10
  private let state = Mutex(State())

  private struct State {
    var hasher = Checksum.Hasher()
    var done = 0
  }

  package init(_ file: SafetensorsFile) { self.file = file }

  /// Hashes on until `end` bytes of the file are done; nothing when they are already.
  package func advance(to end: Int) throws(IngotError) {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.step, alignment: 64)
    defer { buffer.deallocate() }
    try state.withLock { (state) throws(IngotError) in
      while state.done < end {
        let piece = UnsafeMutableRawBufferPointer(
          rebasing: buffer[..<min(buffer.count, end - state.done)])
        try file.read(at: state.done, into: piece)
        state.hasher.update(UnsafeRawBufferPointer(piece))
        state.done += piece.count
      }
    }
  }

  /// The digest of the whole file.
  package func finish() throws(IngotError) -> Checksum {
    try advance(to: file.byteCount)
    return state.withLock { $0.hasher.finish() }
  }

  /// Hashes files one after the other on a thread of its own while `body` does something else.
  /// What is not done when `body` returns is left for later, and so are errors: they come again.
  static func runAhead<Result>(
    _ parts: [PartHash], while body: () throws(IngotError) -> Result
  ) throws(IngotError) -> Result {
    let isOver = Flag()
    let group = DispatchGroup()
    DispatchQueue.global().async(group: group) {
      for part in parts {
        while !isOver.isSet, (try? part.step()) ?? false {}
      }
    }
    defer {
      isOver.set()
      group.wait()
    }
    return try body()
  }

  /// - Returns: whether there is more to do.
  private func step() throws(IngotError) -> Bool {
    let end = min(file.byteCount, state.withLock { $0.done } + CastPlan.pieceBytes)
    try advance(to: end)
    return end < file.byteCount
  }
}

private final class Flag: Sendable {
  private let value = Atomic(false)

  var isSet: Bool { value.load(ordering: .relaxed) }
  func set() { value.store(true, ordering: .relaxed) }
}
