import Kernels
import Synchronization
import Testing

/// A number that threads add to.
private final class Counter: Sendable {
  private let sum = Atomic<Int>(0)
  var total: Int { sum.load(ordering: .relaxed) }
  func add(_ amount: Int) { sum.wrappingAdd(amount, ordering: .relaxed) }
}

@Suite struct ThreadPoolTests {
  @Test(arguments: [1, 2, 3, 5])
  func everyItemRunsExactlyOnce(_ threads: Int) {
    let pool = ThreadPool(threads: threads)
    #expect(pool.threads == threads)
    for count in [0, 1, 2, 7, 100] {
      for _ in 0..<50 {
        let hits = Mutex([Int](repeating: 0, count: count))
        pool.run(count: count) { item in hits.withLock { $0[item] += 1 } }
        #expect(hits.withLock { $0 } == [Int](repeating: 1, count: count))
      }
    }
  }

  @Test(arguments: [1, 2, 3, 5])
  func partsCoverEveryItemOnce(_ threads: Int) {
    let pool = ThreadPool(threads: threads)
    for count in [0, 1, 2, 7, 100, 1000] {
      for _ in 0..<50 {
        let hits = Mutex([Int](repeating: 0, count: count))
        let parts = Mutex([Range<Int>]())
        pool.run(partsOf: count) { _, items in
          hits.withLock { for item in items { $0[item] += 1 } }
          parts.withLock { $0.append(items) }
        }
        #expect(hits.withLock { $0 } == [Int](repeating: 1, count: count))
        #expect(parts.withLock { $0 }.allSatisfy { !$0.isEmpty })
        // Whoever is done first finds something to take over until the very end.
        guard threads > 1, count > 7 else { continue }
        let most = count / threads + 1
        #expect(parts.withLock { $0 }.allSatisfy { $0.count <= max(1, most / 4) })
      }
    }
  }

  @Test func workersDoNotOverlapOnOneIndex() {
    let pool = ThreadPool(threads: 4)
    let busy = Mutex([Bool](repeating: false, count: 4))
    let overlaps = Counter()
    for _ in 0..<200 {
      pool.run(count: 16) { worker, _ in
        let taken = busy.withLock { flags in
          defer { flags[worker] = true }
          return flags[worker]
        }
        if taken { overlaps.add(1) }
        busy.withLock { $0[worker] = false }
      }
    }
    #expect(overlaps.total == 0)
  }

  @Test func nestedJobsRunSerially() {
    let pool = ThreadPool(threads: 3)
    let sum = Counter()
    pool.run(count: 8) { outer in
      pool.run(count: 8) { inner in sum.add(outer * 8 + inner) }
    }
    #expect(sum.total == 63 * 64 / 2)
  }

  @Test func twoCallersShareOnePool() async {
    let pool = ThreadPool(threads: 2)
    let sum = Counter()
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<4 {
        group.addTask {
          for _ in 0..<200 {
            pool.run(count: 5) { sum.add($0) }
          }
        }
      }
    }
    #expect(sum.total == 4 * 200 * 10)
  }
}
