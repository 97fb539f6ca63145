import CIngotKernels
import Synchronization

/// What this machine can do at most, all threads together, measured and not looked up.
package struct MachineLimits: Sendable, Hashable {
  /// 10⁹ int8 multiply-adds a second of the instructions that the quantized products use.
  package var int8DotGigaMACs: Double
  /// The same of the vector unit alone, where `int8DotGigaMACs` is that of a matrix unit; else equal.
  package var vectorDotGigaMACs: Double
  /// 10⁹ f32 fused multiply-adds a second.
  package var floatFMAGigaMACs: Double
  /// 10⁹ bytes a second read from memory, beyond every cache.
  package var readGigabytesPerSecond: Double

  /// Measures for about a second: the best of several rounds, since anything else that runs only
  /// makes rounds slower.
  ///
  /// - Parameter readBytes: memory to read; it must be much larger than the last-level cache.
  package static func measure(
    _ pool: ThreadPool, kernels: KernelTable = .selected, readBytes: Int = 512 << 20
  ) -> MachineLimits {
    let functions = kernels.functions
    let vector = kernels.name == "amx" ? KernelTable.named("avx512vnni") : nil
    let dot = rate(pool, functions.int8_dot_rate)
    return MachineLimits(
      int8DotGigaMACs: dot,
      vectorDotGigaMACs: vector.map { rate(pool, $0.functions.int8_dot_rate) } ?? dot,
      floatFMAGigaMACs: rate(pool, functions.f32_fma_rate),
      readGigabytesPerSecond: readRate(pool, bytes: readBytes))
  }

  private typealias Chain = @convention(c) (Int64) -> Int64

  /// Billions of operations a second of `chain` on every thread at once.
  private static func rate(_ pool: ThreadPool, _ chain: Chain?) -> Double {
    guard let chain else { return 0 }
    return best(rounds: 5) {
      let operations = Counter()
      everyThread(pool) { _ in operations.add(UInt64(chain(1 << 20))) }
      return Double(operations.total)
    }
  }

  private static func readRate(_ pool: ThreadPool, bytes: Int) -> Double {
    let part = max(4096, bytes / pool.threads / 4096 * 4096)
    let memory = ZeroedPages(count: part * pool.threads)
    // Safe: written by one thread a part, then only read.
    nonisolated(unsafe) let base = memory.base
    everyThread(pool) {
      (base + $0 * part).initializeMemory(as: UInt8.self, repeating: 1, count: part)
    }
    let sum = Counter()
    return best(rounds: 3) {
      everyThread(pool) {
        sum.add(ingot_read_memory(base + $0 * part, Int64(part)))
      }
      return Double(part * pool.threads)
    }
  }

  /// The largest amount per nanosecond over `rounds` calls.
  private static func best(rounds: Int, _ work: () -> Double) -> Double {
    let clock = ContinuousClock()
    return (0..<rounds).reduce(0) { best, _ in
      var amount = 0.0
      let elapsed = clock.measure { amount = work() }
      let seconds =
        Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) * 1e-18
      return max(best, amount / seconds / 1e9)
    }
  }

  /// One item for each thread. They wait for one another, so that nobody takes two, but not
  /// forever: a pool that is busy elsewhere runs them one after the other.
  private static func everyThread(_ pool: ThreadPool, _ body: (Int) -> Void) {
    let arrived = Counter()
    pool.run(count: pool.threads) { item in
      arrived.add(1)
      var patience = 1 << 20
      while arrived.total < UInt64(pool.threads), patience > 0 {
        ingot_spin_hint()
        patience -= 1
      }
      body(item)
    }
  }
}

/// A number that threads add to.
private final class Counter: Sendable {
  private let sum = Atomic<UInt64>(0)
  var total: UInt64 { sum.load(ordering: .relaxed) }
  func add(_ amount: UInt64) { sum.wrappingAdd(amount, ordering: .relaxed) }
}
