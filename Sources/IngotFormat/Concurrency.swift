internal import Bytes
internal import Dispatch
internal import Synchronization

/// Runs `body` for 0 ..< `count` on several threads, in any order.
///
/// - Throws: the error of the lowest index that failed among those that ran; after a failure no new
///   index is started.
func concurrently(
  count: Int, threads: Int, _ body: @Sendable (Int) throws(IngotError) -> Void
) throws(IngotError) {
  struct State {
    var next = 0
    var failure: (index: Int, error: IngotError)?
  }
  let state = Mutex(State())
  DispatchQueue.concurrentPerform(iterations: max(1, min(threads, count))) { _ in
    while true {
      let taken = state.withLock { state -> Int? in
        guard state.failure == nil, state.next < count else { return nil }
        state.next += 1
        return state.next - 1
      }
      guard let index = taken else { return }
      do throws(IngotError) {
        try body(index)
      } catch {
        state.withLock { state in
          if state.failure.map({ index < $0.index }) ?? true { state.failure = (index, error) }
        }
      }
    }
  }
  if let failure = state.withLock({ $0.failure }) { throw failure.error }
}
