package import Bytes
package import Checkpoints
internal import Dispatch
internal import Synchronization

/// The SHA-256 of one source file. It runs through the file from front to back, one thread at a
/// time, whenever a thread has time for it.
package final class PartHash: Sendable {
  private let file: SafetensorsFile
  /// Passes over the file in all, this one included.
  private let passes: Int
  private let state = Mutex(State())

  private struct State {
    var hasher = Checksum.Hasher()
    var done = 0
  }

  package init(_ file: SafetensorsFile, passes: Int) {
    self.file = file
    self.passes = passes
  }

  /// Bytes that are hashed, from the first on.
  package var done: Int { state.withLock { $0.done } }

  /// Hashes on until `end` bytes of the file are done; nothing when they are already.
  package func advance(to end: Int) throws(IngotError) {
    try state.withLock { (state) throws(IngotError) in
      while state.done < end {
        let window = state.done..<min(state.done + FileWindows.windowBytes, end)
        var hasher = state.hasher
        try file.withMapping(of: window, passes: passes) { hasher.update($0) }
        state.hasher = hasher
        state.done = window.upperBound
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
    let end = min(file.byteCount, done + CastPlan.pieceBytes)
    try advance(to: end)
    return end < file.byteCount
  }
}

private final class Flag: Sendable {
  private let value = Atomic(false)

  var isSet: Bool { value.load(ordering: .relaxed) }
  func set() { value.store(true, ordering: .relaxed) }
}
