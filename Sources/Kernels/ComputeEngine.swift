import CIngotKernels

/// The arithmetic of one running model: a thread pool, kernels and scratch memory.
///
/// Scratch grows to the largest request and stays, so a steady state allocates nothing. Not for
/// use by two threads at once; make one per model in flight, on a shared pool.
package final class ComputeEngine {
  package let pool: ThreadPool
  package let kernels: KernelTable
  var functions: ingot_kernels { kernels.functions }

  /// One region per thread.
  var threadScratch = AlignedMemory()
  /// The input of products that prepare it themselves.
  let ownInput = InputMemory()

  package init(pool: ThreadPool, kernels: KernelTable = .selected) {
    self.pool = pool
    self.kernels = kernels
  }

  /// `bytes` of scratch for each thread; the second value is the distance between two.
  func scratch(bytesPerThread bytes: Int) -> (base: UnsafeMutableRawPointer, stride: Int) {
    let stride = (bytes + 127) / 64 * 64
    return (threadScratch.reserve(stride * pool.threads), stride)
  }

  /// Splits `count` things of roughly `cost` elementary operations each in ranges of whole
  /// `unit`s over the threads; small work stays on the caller.
  func split(
    _ count: Int, unit: Int = 1, cost: Int, _ body: (_ worker: Int, _ range: Range<Int>) -> Void
  ) {
    guard count > 0 else { return }
    let units = (count + unit - 1) / unit
    let worthwhile = max(1, count * cost / Self.smallestShare)
    // Several parts for each thread, so that one that is held up elsewhere does not hold up all.
    let each = max(1, count * cost / (Self.fineShare * pool.threads))
    let parts = min(units, worthwhile, each * pool.threads)
    guard parts > 1 else { return body(0, 0..<count) }
    pool.run(partsOf: parts) { worker, items in
      let start = units * items.lowerBound / parts * unit
      let end = min(count, units * items.upperBound / parts * unit)
      if start < end { body(worker, start..<end) }
    }
  }

  /// Elementary operations below which another thread costs more than it brings: waking one
  /// takes about a microsecond.
  private static let smallestShare = 1 << 14

  /// Elementary operations from which a part may be taken over by another thread: it then moves to that
  /// one's caches.
  private static let fineShare = 1 << 17
}
