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
    LimitProbe(pool, kernels: kernels, readBytes: readBytes).best()
  }

  /// The middle of each limit over some samples; `samples` is not empty.
  package static func median(_ samples: [MachineLimits]) -> MachineLimits {
    precondition(!samples.isEmpty, "no samples")
    func middle(_ limit: KeyPath<MachineLimits, Double>) -> Double {
      samples.map { $0[keyPath: limit] }.sorted()[samples.count / 2]
    }
    return MachineLimits(
      int8DotGigaMACs: middle(\.int8DotGigaMACs), vectorDotGigaMACs: middle(\.vectorDotGigaMACs),
      floatFMAGigaMACs: middle(\.floatFMAGigaMACs),
      readGigabytesPerSecond: middle(\.readGigabytesPerSecond))
  }
}

/// Measures a machine's limits again and again: in a few milliseconds beside other measurements,
/// since what a shared machine can do changes from second to second.
package final class LimitProbe {
  private let pool: ThreadPool
  private let functions: ingot_kernels
  private let vector: ingot_kernels?
  private let memory: ZeroedPages
  private let part: Int
  private var nextSlice = 0

  /// Bytes that each thread reads for one sample.
  private static let slice = 16 << 20

  package init(
    _ pool: ThreadPool, kernels: KernelTable = .selected, readBytes: Int = 512 << 20
  ) {
    self.pool = pool
    functions = kernels.functions
    vector = kernels.name == "amx" ? KernelTable.named("avx512vnni")?.functions : nil
    part = max(4096, readBytes / pool.threads / 4096 * 4096)
    memory = ZeroedPages(count: part * pool.threads)
    // Safe: written by one thread a part, then only read.
    nonisolated(unsafe) let base = memory.base
    let part = part
    everyThread {
      (base + $0 * part).initializeMemory(as: UInt8.self, repeating: 1, count: part)
    }
  }

  func best() -> MachineLimits {
    let dot = rate(functions.int8_dot_rate, rounds: 5, iterations: 1 << 20)
    return MachineLimits(
      int8DotGigaMACs: dot,
      vectorDotGigaMACs: vector.map { rate($0.int8_dot_rate, rounds: 5, iterations: 1 << 20) }
        ?? dot,
      floatFMAGigaMACs: rate(functions.f32_fma_rate, rounds: 5, iterations: 1 << 20),
      readGigabytesPerSecond: read(offset: 0, bytes: part, rounds: 3))
  }

  /// One quick measurement of every limit.
  package func sample() -> MachineLimits {
    // The best of three, a third of a millisecond each: the first includes waking the threads.
    let dot = rate(functions.int8_dot_rate, rounds: 3, iterations: 1 << 17)
    // Another slice each time: what was read last may still be in a cache.
    let bytes = min(Self.slice, part)
    nextSlice = (nextSlice + 1) % max(1, part / bytes)
    return MachineLimits(
      int8DotGigaMACs: dot,
      vectorDotGigaMACs: vector.map { rate($0.int8_dot_rate, rounds: 3, iterations: 1 << 17) }
        ?? dot,
      floatFMAGigaMACs: rate(functions.f32_fma_rate, rounds: 3, iterations: 1 << 17),
      readGigabytesPerSecond: read(offset: nextSlice * bytes, bytes: bytes, rounds: 1))
  }

  private typealias Chain = @convention(c) (Int64) -> Int64

  /// Billions of operations a second of `chain` on every thread at once.
  private func rate(_ chain: Chain?, rounds: Int, iterations: Int64) -> Double {
    guard let chain else { return 0 }
    return best(rounds) {
      let operations = Counter()
      everyThread { _ in operations.add(UInt64(chain(iterations))) }
      return Double(operations.total)
    }
  }

  private func read(offset: Int, bytes: Int, rounds: Int) -> Double {
    // Safe: only read from here on.
    nonisolated(unsafe) let base = memory.base
    let part = part
    let sum = Counter()
    return best(rounds) {
      everyThread { sum.add(ingot_read_memory(base + $0 * part + offset, Int64(bytes))) }
      return Double(bytes * pool.threads)
    }
  }

  /// The largest amount per nanosecond over `rounds` calls.
  private func best(_ rounds: Int, _ work: () -> Double) -> Double {
    let clock = ContinuousClock()
    return (0..<rounds).reduce(0) { best, _ in
      var amount = 0.0
      let elapsed = clock.measure { amount = work() }
      return max(best, amount / (elapsed / .seconds(1)) / 1e9)
    }
  }

  /// One item for each thread. They wait for one another, so that nobody takes two, but not
  /// forever: a pool that is busy elsewhere runs them one after the other.
  private func everyThread(_ body: (Int) -> Void) {
    let arrived = Counter()
    let threads = pool.threads
    pool.run(count: threads) { item in
      arrived.add(1)
      var patience = 1 << 20
      while arrived.total < UInt64(threads), patience > 0 {
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
