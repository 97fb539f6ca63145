import CIngotKernels
import Synchronization

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Persistent threads that share the items of one job at a time.
///
/// Each thread has a run of neighbouring items of its own, the same part of every job, so that what one
/// job leaves in a processor's cache is there for the next; a thread that is done takes from the ends
/// of the others' runs.
///
/// The caller works too, so a pool of n threads starts n − 1. A worker spins for a fraction of a
/// millisecond after a job, because layers follow one another closely, then sleeps: an idle pool
/// uses no processor time. A job waits only for workers that joined it, never for a sleeper.
///
/// Safe to share: one job runs at a time; a `run` that meets another (nested, or from another
/// thread) runs its items on the calling thread.
package final class ThreadPool: @unchecked Sendable {
  // Safe: `body` and the runs are written only while the job is closed and nobody has joined it,
  // and read only by threads that joined; the state word orders both. The rest is atomic or let.

  /// Threads that take part in a job, the caller included.
  package let threads: Int

  /// One pool with a thread per available core.
  package static let shared = ThreadPool(threads: availableCores)

  private let shared: Shared
  private var workers: [pthread_t] = []

  /// - Parameter threads: at least 1; fewer start when the system refuses more.
  package init(threads: Int) {
    precondition(threads > 0, "a pool needs a thread")
    let shared = Shared(threads: max(threads, 1))
    self.shared = shared
    for index in 1..<max(threads, 1) {
      guard let worker = Self.start(shared, index: index) else { break }
      workers.append(worker)
    }
    self.threads = workers.count + 1
  }

  deinit {
    shared.stop()
    for worker in workers { pthread_join(worker, nil) }
  }

  /// Calls `body(i)` once for each i in 0..<count, on any thread; returns when all are done.
  package func run(count: Int, _ body: (Int) -> Void) {
    run(count: count) { _, item in body(item) }
  }

  /// Calls `body(worker, item)` once for each item; calls with equal `worker` (in 0..<threads)
  /// never overlap within one job, so it can index scratch memory.
  package func run(count: Int, _ body: (_ worker: Int, _ item: Int) -> Void) {
    run(count: count, upTo: 1) { worker, items in
      for item in items { body(worker, item) }
    }
  }

  /// The same with neighbouring items in one call: many while many are left, fewer and fewer towards the
  /// end, so that threads are done together.
  package func run(
    partsOf count: Int, _ body: (_ worker: Int, _ items: Range<Int>) -> Void
  ) {
    run(count: count, upTo: .max, body)
  }

  /// - Parameter most: items that a thread takes at a time.
  private func run(
    count: Int, upTo most: Int, _ body: (_ worker: Int, _ items: Range<Int>) -> Void
  ) {
    guard count > 1, threads > 1, shared.claim() else {
      if count > 0 { body(0, 0..<count) }
      return
    }
    withoutActuallyEscaping(body) { body in
      shared.open(count: count, upTo: most, body: body)
      shared.work(as: 0)
      shared.close()
    }
    shared.release()
  }

  /// Cores this process may run on.
  package static var availableCores: Int { max(1, Int(ingot_available_cores())) }

  private static func start(_ shared: Shared, index: Int) -> pthread_t? {
    let context = Unmanaged.passRetained(WorkerStart(shared: shared, index: index))
    #if canImport(Glibc)
      var thread = pthread_t()
    #else
      var thread: pthread_t?
    #endif
    let status = pthread_create(
      &thread, nil,
      { context in
        #if canImport(Glibc)
          guard let context else { return nil }
        #endif
        let start = Unmanaged<WorkerStart>.fromOpaque(context).takeRetainedValue()
        start.shared.serve(as: start.index)
        return nil
      }, context.toOpaque())
    guard status == 0 else {
      context.release()
      return nil
    }
    return thread
  }
}

private final class WorkerStart {
  let shared: Shared
  let index: Int
  init(shared: Shared, index: Int) {
    self.shared = shared
    self.index = index
  }
}

/// The state that the caller and the workers share.
private final class Shared: @unchecked Sendable {
  // Safe: see ThreadPool; the mutex and condition are used through their functions only.

  private let claimed = Atomic<Bool>(false)
  private let stopping = Atomic<Bool>(false)
  /// Keeps what callers write away from what workers watch.
  private let padding = CacheLinePair()
  /// Low half: workers inside the job. Bit 32: the job is open. Above: the job's number.
  private let state = Atomic<UInt64>(0)
  private let sleepers = Atomic<Int>(0)
  private var body: ((Int, Range<Int>) -> Void)?
  private var most = 1
  private let runs: ItemRuns
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private let condition: UnsafeMutablePointer<pthread_cond_t>

  private static let openBit: UInt64 = 1 << 32
  private static let jobUnit: UInt64 = 1 << 33
  /// About 200 µs where a pause takes 140 cycles: layers of a few tokens keep the caller alone for as long.
  private static let spins = 4000

  init(threads: Int) {
    runs = ItemRuns(threads: threads)
    mutex = .allocate(capacity: 1)
    condition = .allocate(capacity: 1)
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(condition, nil)
  }

  deinit {
    pthread_cond_destroy(condition)
    pthread_mutex_destroy(mutex)
    condition.deallocate()
    mutex.deallocate()
  }

  /// True for the one caller that may open a job.
  func claim() -> Bool { !claimed.exchange(true, ordering: .acquiring) }

  func release() { claimed.store(false, ordering: .releasing) }

  func open(count: Int, upTo most: Int, body: @escaping (Int, Range<Int>) -> Void) {
    self.body = body
    self.most = most
    runs.deal(count)
    state.wrappingAdd(Self.jobUnit | Self.openBit, ordering: .sequentiallyConsistent)
    if sleepers.load(ordering: .sequentiallyConsistent) > 0 {
      // Whoever is about to sleep has looked at the state under the lock, or will.
      pthread_mutex_lock(mutex)
      pthread_mutex_unlock(mutex)
      pthread_cond_broadcast(condition)
    }
  }

  /// Takes items until none is left.
  func work(as worker: Int) {
    guard let body else { return }
    while let items = runs.take(as: worker, upTo: most) { body(worker, items) }
  }

  /// Lets no more workers in and waits for those inside.
  func close() {
    state.wrappingSubtract(Self.openBit, ordering: .acquiringAndReleasing)
    var spins = 0
    while state.load(ordering: .acquiring) & (Self.openBit - 1) != 0 {
      spins += 1
      if spins < Self.spins { ingot_spin_hint() } else { sched_yield() }
    }
    body = nil
  }

  func stop() {
    stopping.store(true, ordering: .sequentiallyConsistent)
    pthread_mutex_lock(mutex)
    pthread_cond_broadcast(condition)
    pthread_mutex_unlock(mutex)
  }

  /// The life of worker `index`.
  func serve(as index: Int) {
    var last: UInt64 = 0
    while let job = join(after: last) {
      last = job
      work(as: index)
      state.wrappingSubtract(1, ordering: .acquiringAndReleasing)
    }
  }

  /// Waits for an open job with another number than `last` and joins it; nil when stopping.
  private func join(after last: UInt64) -> UInt64? {
    var spins = 0
    while !stopping.load(ordering: .relaxed) {
      let seen = state.load(ordering: .acquiring)
      if isNew(seen, last) {
        if state.compareExchange(
          expected: seen, desired: seen + 1, ordering: .acquiringAndReleasing
        ).exchanged {
          return seen / Self.jobUnit
        }
      } else if spins < Self.spins {
        spins += 1
        ingot_spin_hint()
      } else {
        sleep(after: last)
        spins = 0
      }
    }
    return nil
  }

  private func isNew(_ state: UInt64, _ last: UInt64) -> Bool {
    state & Self.openBit != 0 && state / Self.jobUnit != last
  }

  private func sleep(after last: UInt64) {
    pthread_mutex_lock(mutex)
    sleepers.wrappingAdd(1, ordering: .sequentiallyConsistent)
    while !stopping.load(ordering: .sequentiallyConsistent),
      !isNew(state.load(ordering: .sequentiallyConsistent), last)
    {
      pthread_cond_wait(condition, mutex)
    }
    sleepers.wrappingSubtract(1, ordering: .sequentiallyConsistent)
    pthread_mutex_unlock(mutex)
  }
}

/// 128 bytes that nobody uses: two cache lines, which processors like to fetch together.
private struct CacheLinePair {
  private let bytes:
    (
      UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64,
      UInt64,
      UInt64, UInt64, UInt64, UInt64
    ) = (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
}

/// The items of a job that are left, as one run for each thread.
private struct ItemRuns: ~Copyable {
  // Safe: atomics, allocated and freed here.
  private let runs: UnsafeMutablePointer<Atomic<UInt64>>
  private let threads: Int

  /// From run to run: nobody else's run lies on the same cache lines.
  private static let spacing = 16
  /// One item in so many of those that are left is taken at a time.
  private static let partOfTheRest = 4

  init(threads: Int) {
    self.threads = threads
    runs = .allocate(capacity: threads * Self.spacing)
    for index in 0..<threads * Self.spacing { (runs + index).initialize(to: Atomic(0)) }
  }

  deinit {
    runs.deinitialize(count: threads * Self.spacing)
    runs.deallocate()
  }

  /// Gives each thread its part of `count` items, at most 2³² − 1; nobody may take any meanwhile.
  func deal(_ count: Int) {
    precondition(count <= UInt32.max, "too many items for a job")
    for thread in 0..<threads {
      let start = UInt64(count * thread / threads)
      let end = UInt64(count * (thread + 1) / threads)
      runs[thread * Self.spacing].store(start << 32 | end, ordering: .relaxed)
    }
  }

  /// The next items of a thread's own run, or else the last ones of another's; nil when none is left.
  func take(as thread: Int, upTo most: Int) -> Range<Int>? {
    if let items = take(from: thread, upTo: most, atEnd: false) { return items }
    for distance in 1..<max(threads, 1) {
      let other = (thread + distance) % threads
      if let items = take(from: other, upTo: most, atEnd: true) { return items }
    }
    return nil
  }

  /// A part of what is left of a run, so that the rest can still be shared.
  private func take(from thread: Int, upTo most: Int, atEnd: Bool) -> Range<Int>? {
    let index = thread * Self.spacing
    var seen = runs[index].load(ordering: .relaxed)
    while seen >> 32 < seen & 0xFFFF_FFFF {
      let (start, end) = (Int(seen >> 32), Int(seen & 0xFFFF_FFFF))
      let count = min(most, max(1, (end - start) / Self.partOfTheRest))
      let taken = atEnd ? end - count..<end : start..<start + count
      let rest = atEnd ? start..<taken.lowerBound : taken.upperBound..<end
      let (exchanged, found) = runs[index].weakCompareExchange(
        expected: seen, desired: UInt64(rest.lowerBound) << 32 | UInt64(rest.upperBound),
        ordering: .relaxed)
      if exchanged { return taken }
      seen = found
    }
    return nil
  }
}
