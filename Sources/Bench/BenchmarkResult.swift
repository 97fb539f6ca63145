package import Bytes
package import Kernels

/// One line of a benchmark.
package struct BenchmarkResult: Sendable, Hashable {
  package var name: String
  /// Tokens that one round carries.
  package var tokens: Int
  package var rounds: Int
  package var medianSeconds: Double
  /// The fastest round: what the kernels do while nothing else runs on the machine.
  package var bestSeconds: Double
  package var work: BenchmarkWork
  /// The limit that binds, and how much of it the median round reaches. The limits are the medians
  /// of what was measured between the rounds.
  package var limit: BenchmarkWork.Limit
  package var fractionOfLimit: Double
  package var limitsBeside: MachineLimits
  /// Multiply-adds a second over those of the vector unit's int8 dot product, whatever is used;
  /// nil where nothing is multiplied in int8.
  package var fractionOfVectorLimit: Double?
  /// Further members of the JSON object, in order.
  package var details: [Detail] = []

  package struct Detail: Sendable, Hashable {
    package var name: String
    package var value: Double
  }

  /// - Parameters:
  ///   - seconds: one entry a round; not empty.
  ///   - limits: the machine's while the rounds ran.
  package init(
    name: String, tokens: Int, seconds: [Double], work: BenchmarkWork, limits: MachineLimits
  ) {
    limitsBeside = limits
    self.name = name
    self.tokens = tokens
    self.work = work
    rounds = seconds.count
    medianSeconds = Self.median(seconds)
    bestSeconds = seconds.min() ?? medianSeconds
    let least = work.seconds(at: limits)
    limit = least.multiply >= least.read ? .multiply : .read
    fractionOfLimit = max(least.multiply, least.read) / medianSeconds
    if work.vectorMACs + work.matrixMACs > 0 {
      fractionOfVectorLimit = work.macs / medianSeconds / (limits.vectorDotGigaMACs * 1e9)
    }
  }

  package var tokensPerSecond: Double { Double(tokens) / medianSeconds }
  package var gigaMACs: Double { work.macs / medianSeconds / 1e9 }
  package var gigabytesPerSecond: Double { work.bytes / medianSeconds / 1e9 }

  /// The middle value, or the mean of the middle two; `values` is not empty.
  static func median(_ values: [Double]) -> Double {
    precondition(!values.isEmpty, "no rounds")
    let sorted = values.sorted()
    let middle = sorted.count / 2
    return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
  }
}

/// A line that is not there because a kernel gave other bits than the definition.
package struct BenchmarkRefusal: Sendable, Hashable {
  package var name: String
  package var reason: String
}

/// Everything one run of a benchmark found.
package struct BenchmarkReport: Sendable {
  package var machine: BenchmarkMachine
  package var model: BenchmarkModelSummary
  package var results: [BenchmarkResult] = []
  package var refusals: [BenchmarkRefusal] = []

  package init(machine: BenchmarkMachine, model: BenchmarkModelSummary) {
    self.machine = machine
    self.model = model
  }

  package func write(to writer: inout JSONWriter) {
    writer.object { writer in
      writer.key("machine")
      machine.write(to: &writer)
      writer.key("model")
      model.write(to: &writer)
      writer.key("results")
      writer.array { writer in for result in results { result.write(to: &writer) } }
      writer.key("refused")
      writer.array { writer in
        for refusal in refusals {
          writer.object { writer in
            writer.member("name", refusal.name)
            writer.member("reason", refusal.reason)
          }
        }
      }
    }
  }
}

extension BenchmarkResult {
  func write(to writer: inout JSONWriter) {
    writer.object { writer in
      writer.member("name", name)
      writer.member("tokens", tokens)
      writer.member("median_seconds", medianSeconds)
      writer.member("tokens_per_second", tokensPerSecond)
      writer.member("gmacs", gigaMACs)
      writer.member("gigabytes_per_second", gigabytesPerSecond)
      writer.member("fraction_of_limit", fractionOfLimit)
      writer.member("limit", limit.rawValue)
      if let fractionOfVectorLimit {
        writer.member("fraction_of_int8_dot", fractionOfVectorLimit)
      }
      writer.member("best_seconds", bestSeconds)
      writer.member("int8_dot_gmacs_beside", limitsBeside.vectorDotGigaMACs)
      writer.member("f32_fma_gmacs_beside", limitsBeside.floatFMAGigaMACs)
      writer.member("read_gigabytes_per_second_beside", limitsBeside.readGigabytesPerSecond)
      writer.member("rounds", rounds)
      for detail in details {
        if let whole = Int(exactly: detail.value) {
          writer.member(detail.name, whole)
        } else {
          writer.member(detail.name, detail.value)
        }
      }
    }
  }
}
