internal import Bytes
internal import Synchronization

/// Remembers the first error of work that runs on several threads, and tells the rest to stop.
final class FirstFailure: Sendable {
  private let error = Mutex<IngotError?>(nil)

  var hasFailed: Bool { error.withLock { $0 != nil } }

  /// Runs `body` unless something failed before.
  func attempt(_ body: () throws(IngotError) -> Void) {
    guard !hasFailed else { return }
    do throws(IngotError) {
      try body()
    } catch let caught {
      error.withLock { first in if first == nil { first = caught } }
    }
  }

  func check() throws(IngotError) {
    if let first = error.withLock({ $0 }) { throw first }
  }
}
