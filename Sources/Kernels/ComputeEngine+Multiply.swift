import CIngotKernels
import Tensors

extension ComputeEngine {
  /// outputs[i] = input · weights[i]ᵀ: the linear layers that share one input.
  ///
  /// Dense weights always meet f32 activations, which a matrix unit for bf16 takes in three exact
  /// parts. Tiled weights meet int8 activations, quantized once for all of them, or are dequantized, as
  /// `arithmetic` says; `full` means `dequantized` for them.
  ///
  /// - Parameters:
  ///   - input: [tokens × columns].
  ///   - outputs: [tokens × weights[i].rows] each.
  package func multiply(
    _ weights: [WeightMatrix], input: UnsafePointer<Float>, tokens: Int,
    outputs: [UnsafeMutablePointer<Float>], arithmetic: Arithmetic
  ) {
    precondition(weights.count == outputs.count && tokens >= 0)
    guard tokens > 0, let columns = weights.first?.columns else { return }
    precondition(weights.allSatisfy { $0.columns == columns }, "weights differ in columns")
    var packed: UnsafePointer<Float>?
    func packedOnce() -> UnsafePointer<Float> {
      let result = packed ?? pack(input, tokens: tokens, columns: columns)
      packed = result
      return result
    }
    var parts: UnsafePointer<UInt16>?
    var quantized: [TiledProduct] = []
    for (matrix, output) in zip(weights, outputs) {
      switch matrix.storage {
      case .dense where usesBF16Unit(matrix, tokens: tokens):
        let split = parts ?? splitBF16(input, tokens: tokens, columns: columns)
        parts = split
        multiplyBF16(matrix, input: split, tokens: tokens, output: output)
      case .dense(let type) where tokens < Self.packedTokens(type):
        multiplyDense(
          matrix, type, functions.multiply_dense, input: input, tokens: tokens, output: output)
      case .dense(let type):
        multiplyDense(
          matrix, type, functions.multiply_dense_packed, input: packedOnce(), tokens: tokens,
          output: output)
      case .tiled where arithmetic == .quantized:
        quantized.append(TiledProduct(matrix: matrix, output: output))
      case .tiled:
        multiplyDequantized(matrix, input: packedOnce(), tokens: tokens, output: output)
      }
    }
    if !quantized.isEmpty {
      multiplyTiled(quantized, quantize(input, tokens: tokens, for: weights))
    }
  }

  /// From here on turning weights into panels of f32 costs less than it saves.
  private static func packedTokens(_ type: ElementType) -> Int { type == .float32 ? 64 : 32 }

  /// From here on a matrix unit for bf16, three products for one, is faster.
  private static let splitTokens = 5

  /// Whether these weights are multiplied in a matrix unit for bf16.
  package func usesBF16Unit(_ matrix: WeightMatrix, tokens: Int) -> Bool {
    guard case .dense(.bfloat16) = matrix.storage else { return false }
    return tokens >= Self.splitTokens && functions.multiply_bf16 != nil
  }

  private func multiplyBF16(
    _ matrix: WeightMatrix, input: UnsafePointer<UInt16>, tokens: Int,
    output: UnsafeMutablePointer<Float>
  ) {
    let (base, stride) = scratch(bytesPerThread: INGOT_MULTIPLY_SCRATCH)
    let operation = functions.multiply_bf16!
    split(matrix.rows, unit: 32, cost: matrix.columns * tokens / 16) { worker, rows in
      operation(
        matrix.base, Int64(matrix.rows), Int64(matrix.columns), Int64(rows.lowerBound),
        Int64(rows.upperBound), input, Int64(tokens), output, base + worker * stride)
    }
  }

  /// `tokens` in whole sixteens, as products of many tokens want them.
  private func padded(_ tokens: Int) -> Int { (tokens + 15) / 16 * 16 }

  /// The input in the order `[token / 4][column][token % 4]`.
  private func pack(
    _ input: UnsafePointer<Float>, tokens: Int, columns: Int
  ) -> UnsafePointer<Float> {
    let packed = packedInput.reserve(padded(tokens) * columns * MemoryLayout<Float>.size)
      .assumingMemoryBound(to: Float.self)
    reorder(functions.pack, input, tokens: tokens, columns: columns, to: packed)
    return UnsafePointer(packed)
  }

  /// Each number as three of bf16, in memory that `pack` does not use.
  private func splitBF16(
    _ input: UnsafePointer<Float>, tokens: Int, columns: Int
  ) -> UnsafePointer<UInt16> {
    let wholeColumns = (columns + 31) / 32 * 32
    let parts = splitInput.reserve(padded(tokens) * wholeColumns * 3 * MemoryLayout<UInt16>.size)
      .assumingMemoryBound(to: UInt16.self)
    reorder(functions.split_bf16, input, tokens: tokens, columns: columns, to: parts)
    return UnsafePointer(parts)
  }

  private typealias Reordering<Number> = (
    UnsafePointer<Float>?, Int64, Int64, Int64, Int64, UnsafeMutablePointer<Number>?
  ) -> Void

  /// All threads' shares of a reordering, tokens padded to whole sixteens.
  private func reorder<Number>(
    _ operation: Reordering<Number>?, _ input: UnsafePointer<Float>, tokens: Int, columns: Int,
    to output: UnsafeMutablePointer<Number>
  ) {
    guard let operation else { return }
    split(padded(tokens), unit: 4, cost: columns) { _, range in
      operation(
        input, Int64(range.lowerBound), Int64(range.upperBound), Int64(tokens), Int64(columns),
        output)
    }
  }

  private typealias DenseProduct =
    @convention(c) (
      UnsafeRawPointer?, Int32, Int64, Int64, Int64, Int64, UnsafePointer<Float>?, Int64,
      UnsafeMutablePointer<Float>?, UnsafeMutableRawPointer?
    ) -> Void

  private func multiplyDense(
    _ matrix: WeightMatrix, _ type: ElementType, _ operation: DenseProduct?,
    input: UnsafePointer<Float>, tokens: Int, output: UnsafeMutablePointer<Float>
  ) {
    guard let operation else { return }
    let (base, stride) = scratch(bytesPerThread: INGOT_MULTIPLY_SCRATCH)
    split(matrix.rows, unit: 32, cost: matrix.columns * tokens / 8) { worker, rows in
      operation(
        matrix.base, Int32(type.rawValue), Int64(matrix.rows), Int64(matrix.columns),
        Int64(rows.lowerBound), Int64(rows.upperBound), input, Int64(tokens), output,
        base + worker * stride)
    }
  }

  private func multiplyDequantized(
    _ matrix: WeightMatrix, input: UnsafePointer<Float>, tokens: Int,
    output: UnsafeMutablePointer<Float>
  ) {
    let (base, stride) = scratch(bytesPerThread: INGOT_MULTIPLY_SCRATCH)
    let operation = functions.multiply_dequantized!
    matrix.withTiled { view in
      split(tileCount(matrix), unit: 2, cost: 16 * matrix.columns * tokens / 8) {
        worker, tiles in
        operation(
          view, Int64(tiles.lowerBound), Int64(tiles.upperBound), input, Int64(tokens), output,
          base + worker * stride)
      }
    }
  }

  private struct TiledProduct {
    let matrix: WeightMatrix
    let output: UnsafeMutablePointer<Float>
  }

  /// All products with one input as one job: a small matrix alone is soon done, and threads would
  /// spend their time meeting.
  private func multiplyTiled(_ products: [TiledProduct], _ activations: ingot_activations) {
    let (base, stride) = scratch(bytesPerThread: INGOT_MULTIPLY_SCRATCH)
    let operation = functions.multiply_tiled!
    let cost = 16 * products[0].matrix.columns * Int(activations.tokens) / 64
    // Whole pairs of tiles of each matrix, numbered through.
    let pairs = products.map { (tileCount($0.matrix) + 1) / 2 }
    withUnsafePointer(to: activations) { activations in
      split(2 * pairs.reduce(0, +), unit: 2, cost: cost) { worker, tiles in
        var start = 0
        for (product, pairs) in zip(products, pairs) {
          let first = max(tiles.lowerBound - start, 0)
          let end = min(tiles.upperBound - start, tileCount(product.matrix))
          start += 2 * pairs
          guard first < end else { continue }
          product.matrix.withTiled { view in
            operation(
              view, activations, Int64(first), Int64(end), product.output,
              base + worker * stride)
          }
        }
      }
    }
  }

  private func tileCount(_ matrix: WeightMatrix) -> Int {
    (matrix.rows + TileLayout.tileRows - 1) / TileLayout.tileRows
  }
}

extension ComputeEngine {
  /// Whether tiled weights that share an input of this many tokens are multiplied in a matrix
  /// unit, whose limit is another than the vector unit's.
  package func usesMatrixUnit(_ weights: [WeightMatrix], tokens: Int) -> Bool {
    let sizes = groupSizes(of: weights)
    guard kernels.name == "amx", sizes != 0 else { return false }
    return functions.activation_order(Int64(tokens)) == Int32(INGOT_BY_TILE)
  }

  /// Quantizes the input for all of `weights`, in this engine's scratch memory.
  private func quantize(
    _ input: UnsafePointer<Float>, tokens: Int, for weights: [WeightMatrix]
  ) -> ingot_activations {
    let columns = weights[0].columns
    let sizes = groupSizes(of: weights)
    let order = functions.activation_order(Int64(tokens))
    let result = activationView(
      tokens: tokens, columns: columns, order: order,
      groupSizes: order == Int32(INGOT_BY_QUAD) ? sizes : 0)
    let quantizeFunction = functions.quantize!
    withUnsafePointer(to: result) { result in
      split(Int(result.pointee.padded_tokens), unit: 4, cost: columns) { _, range in
        quantizeFunction(input, Int64(range.lowerBound), Int64(range.upperBound), result)
      }
    }
    return result
  }

  /// One bit per group size 16 << i that a tiled matrix uses.
  private func groupSizes(of weights: [WeightMatrix]) -> Int {
    weights.reduce(0) { mask, matrix in
      guard case .tiled(let layout) = matrix.storage else { return mask }
      return mask | 1 << (layout.scheme.groupSize / 16).trailingZeroBitCount
    }
  }

  private func activationView(
    tokens: Int, columns: Int, order: Int32, groupSizes: Int
  ) -> ingot_activations {
    let padded = (tokens + 15) / 16 * 16
    // An odd number of cache lines: tokens then fall into different sets of a cache.
    let lines = (columns + 63) / 64
    let stride = (lines + 1 - lines % 2) * 64
    let blocks = (columns + 127) / 128
    func groups(_ level: Int) -> Int {
      groupSizes & 1 << level == 0 ? 0 : (columns + (16 << level) - 1) / (16 << level)
    }
    let planes = (0..<4).reduce(0) { $0 + groups($1) }
    var cursor = activations.reserve(padded * (stride + 4 * (blocks + planes)))
    func take(_ bytes: Int) -> UnsafeMutableRawPointer {
      defer { cursor += bytes }
      return cursor
    }
    func plane(_ level: Int) -> UnsafeMutablePointer<Int32>? {
      groups(level) == 0
        ? nil : take(groups(level) * padded * 4).assumingMemoryBound(to: Int32.self)
    }
    return ingot_activations(
      codes: take(padded * stride).assumingMemoryBound(to: Int8.self),
      scales: take(blocks * padded * 4).assumingMemoryBound(to: Float.self),
      offsets: (plane(0), plane(1), plane(2), plane(3)), tokens: Int64(tokens),
      columns: Int64(columns), token_stride: Int64(stride), padded_tokens: Int64(padded),
      order: order)
  }
}
