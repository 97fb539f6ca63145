internal import Synchronization

/// What the threads of a cast spent their time on: seconds, added up over all threads.
package struct CastPhases: Sendable {
  /// Source bytes into memory.
  package var read = 0.0
  /// SHA-256 of the source files, for the provenance.
  package var hash = 0.0
  /// Looking for codebooks and scales of least error.
  package var search = 0.0
  /// Codes from weights, and the figures of the report.
  package var encode = 0.0
  /// Bytes into the file, their checksums included.
  package var write = 0.0

  /// In the order of the work.
  package var all: [(name: String, seconds: Double)] {
    [("read", read), ("hash", hash), ("search", search), ("encode", encode), ("write", write)]
  }
}

/// Adds up phases from all threads.
final class PhaseClock: Sendable {
  private let total = Mutex(CastPhases())

  var phases: CastPhases { total.withLock { $0 } }

  func add(_ seconds: Double, to phase: any WritableKeyPath<CastPhases, Double> & Sendable) {
    total.withLock { $0[keyPath: phase] += seconds }
  }

  /// Adds the time that `body` takes.
  func time<Result, Failure: Error>(
    _ phase: any WritableKeyPath<CastPhases, Double> & Sendable,
    _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let start = ContinuousClock.now
    defer { add(Self.seconds(since: start), to: phase) }
    return try body()
  }

  static func seconds(since start: ContinuousClock.Instant) -> Double {
    (ContinuousClock.now - start) / .seconds(1)
  }
}
