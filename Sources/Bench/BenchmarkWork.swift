package import Kernels

/// What a measured piece of work has to do at least, and so how fast a machine could do it.
package struct BenchmarkWork: Sendable, Hashable {
  /// What a machine can do: it multiplies or it reads.
  package enum Limit: String, Sendable, Hashable {
    case multiply
    case read
  }

  /// int8 multiply-adds of the vector unit.
  package var vectorMACs = 0.0
  /// int8 multiply-adds of the matrix unit, where there is one and the kernels use it.
  package var matrixMACs = 0.0
  /// f32 multiply-adds.
  package var floatMACs = 0.0
  /// f32 multiply-adds that the matrix unit does as three of bf16 each.
  package var splitMACs = 0.0
  /// Bytes of weights, and of keys and values, each counted once a forward.
  package var bytes = 0.0

  package init() {}

  package var macs: Double { vectorMACs + matrixMACs + floatMACs + splitMACs }

  /// Seconds that the multiplications, and the reads, take at the machine's limits.
  package func seconds(at limits: MachineLimits) -> (multiply: Double, read: Double) {
    func time(_ amount: Double, _ rate: Double) -> Double {
      amount > 0 ? amount / (rate * 1e9) : 0
    }
    return (
      time(vectorMACs, limits.vectorDotGigaMACs) + time(matrixMACs, limits.int8DotGigaMACs)
        + time(floatMACs, limits.floatFMAGigaMACs)
        // The unit does half as many products of bf16 as of int8.
        + time(6 * splitMACs, limits.int8DotGigaMACs),
      time(bytes, limits.readGigabytesPerSecond)
    )
  }

  package static func += (left: inout BenchmarkWork, right: BenchmarkWork) {
    left.vectorMACs += right.vectorMACs
    left.matrixMACs += right.matrixMACs
    left.floatMACs += right.floatMACs
    left.splitMACs += right.splitMACs
    left.bytes += right.bytes
  }

  package static func / (work: BenchmarkWork, count: Double) -> BenchmarkWork {
    var part = work
    part.vectorMACs /= count
    part.matrixMACs /= count
    part.floatMACs /= count
    part.splitMACs /= count
    part.bytes /= count
    return part
  }
}

extension BenchmarkWork {
  /// The linear layers that share one input.
  package static func linear(
    _ weights: [WeightMatrix], tokens: Int, engine: ComputeEngine, arithmetic: Arithmetic
  ) -> BenchmarkWork {
    var work = BenchmarkWork()
    let usesMatrixUnit = engine.usesMatrixUnit(weights, tokens: tokens)
    for matrix in weights {
      let macs = Double(matrix.rows) * Double(matrix.columns) * Double(tokens)
      work.bytes += Double(matrix.byteCount)
      if case .tiled = matrix.storage, arithmetic == .quantized {
        if usesMatrixUnit { work.matrixMACs += macs } else { work.vectorMACs += macs }
      } else if engine.usesBF16Unit(matrix, tokens: tokens) {
        work.splitMACs += macs
      } else {
        work.floatMACs += macs
      }
    }
    return work
  }

  /// Attention of one layer: `pairs` of a token and an entry it sees, over `entries` entries.
  package static func attention(
    pairs: Int, entries: Int, queryHeads: Int, cache: KeyValueCache
  ) -> BenchmarkWork {
    var work = BenchmarkWork()
    work.floatMACs = Double(2 * pairs * queryHeads * cache.headDimension)
    work.bytes = Double(
      2 * entries * cache.keyValueHeads * cache.headDimension * cache.format.elementBytes)
    return work
  }
}
