import CIngotKernels

/// The input of linear layers, `[tokens × columns]`: f32 numbers, and what the products with their
/// weights want to have made of them.
///
/// Made by `ComputeEngine.input`, filled by `ComputeEngine.prepare`; valid as long as its memory is
/// not given to another.
package struct LinearInput {
  // Safe: threads write tokens and columns of their own, and read after all have written.
  package let numbers: UnsafeMutablePointer<Float>
  package let tokens: Int
  package let columns: Int
  /// `[token / 4][column][token % 4]`
  let packed: UnsafeMutablePointer<Float>?
  /// Of each 32 columns the even ones before the odd ones.
  let unzipped: UnsafeMutablePointer<Float>?
  /// Three bf16 numbers for each.
  let parts: UnsafeMutablePointer<UInt16>?
  let quantized: ingot_activations?

  /// `tokens` in whole sixteens: products may compute with zeros beyond the last.
  package var paddedTokens: Int { (tokens + 15) / 16 * 16 }
}

/// Memory of one input, kept between calls.
package final class InputMemory {
  fileprivate var numbers = AlignedMemory()
  fileprivate var packed = AlignedMemory()
  fileprivate var unzipped = AlignedMemory()
  fileprivate var parts = AlignedMemory()
  fileprivate var quantized = AlignedMemory()

  package init() {}
}

extension ComputeEngine {
  /// Tokens that are prepared by one thread: what is made of them lies side by side in cache lines.
  package static let inputTokens = 16

  /// Columns that are prepared together.
  package static let inputBlock = Int(INGOT_BLOCK)

  /// Memory for an input of `weights`, still to be filled.
  ///
  /// - Parameters:
  ///   - numbers: where the f32 numbers are; nil for room in `memory`.
  package func input(
    of weights: [WeightMatrix], tokens: Int, arithmetic: Arithmetic,
    numbers: UnsafeMutablePointer<Float>? = nil, in memory: InputMemory
  ) -> LinearInput {
    let columns = weights[0].columns
    precondition(weights.allSatisfy { $0.columns == columns }, "weights differ in columns")
    let forms = weights.map { form(of: $0, tokens: tokens, arithmetic: arithmetic) }
    let padded = (tokens + 15) / 16 * 16
    let floats = MemoryLayout<Float>.size
    // As `multiply_bf16` and unzipped columns want them.
    let wholeColumns = (columns + 31) / 32 * 32
    return LinearInput(
      numbers: numbers
        ?? memory.numbers.reserve(tokens * columns * floats).assumingMemoryBound(to: Float.self),
      tokens: tokens, columns: columns,
      packed: forms.contains { $0.isPacked }
        ? memory.packed.reserve(padded * columns * floats).assumingMemoryBound(to: Float.self)
        : nil,
      unzipped: forms.contains(.dots(.bfloat16))
        ? memory.unzipped.reserve(tokens * wholeColumns * floats)
          .assumingMemoryBound(to: Float.self) : nil,
      parts: forms.contains(.split)
        ? memory.parts.reserve(padded * wholeColumns * 3 * MemoryLayout<UInt16>.size)
          .assumingMemoryBound(to: UInt16.self) : nil,
      quantized: forms.contains(.tiled)
        ? activations(of: weights, tokens: tokens, in: memory) : nil)
  }

  /// Turns f32 numbers into what the products want.
  ///
  /// - Parameters:
  ///   - tokens: whole fours up to `paddedTokens`; those beyond the last become zeros.
  ///   - columns: whole blocks of 128 columns, the last one to the end; nil for all.
  func prepare(_ input: LinearInput, tokens: Range<Int>, columns: Range<Int>? = nil) {
    let columns = columns ?? 0..<input.columns
    let region = ingot_region(
      first_token: Int64(tokens.lowerBound), end_token: Int64(tokens.upperBound),
      first_column: Int64(columns.lowerBound), end_column: Int64(columns.upperBound))
    let (all, width) = (Int64(input.tokens), Int64(input.columns))
    if let packed = input.packed { functions.pack(input.numbers, region, all, width, packed) }
    if let unzipped = input.unzipped {
      functions.unzip(input.numbers, region, all, width, unzipped)
    }
    if let parts = input.parts { functions.split_bf16(input.numbers, region, all, width, parts) }
    if var quantized = input.quantized { functions.quantize(input.numbers, region, &quantized) }
  }

  /// Prepares all of an input, and where tokens are few each thread its own columns.
  package func prepare(_ input: LinearInput) {
    let all = input.paddedTokens
    if all > Self.inputTokens {
      split(all, unit: Self.inputTokens, cost: 4 * input.columns) { _, tokens in
        prepare(input, tokens: tokens)
      }
    } else {
      split(input.columns, unit: Self.inputBlock, cost: 4 * input.tokens) { _, columns in
        prepare(input, tokens: 0..<all, columns: columns)
      }
    }
  }

  /// One bit per group size 16 << i that a tiled matrix uses.
  func groupSizes(of weights: [WeightMatrix]) -> Int {
    weights.reduce(0) { mask, matrix in
      guard case .tiled(let layout) = matrix.storage else { return mask }
      return mask | 1 << (layout.scheme.groupSize / 16).trailingZeroBitCount
    }
  }

  private func activations(
    of weights: [WeightMatrix], tokens: Int, in memory: InputMemory
  ) -> ingot_activations {
    let columns = weights[0].columns
    let order = functions.activation_order(Int64(tokens))
    let groupSizes = order == Int32(INGOT_BY_QUAD) ? groupSizes(of: weights) : 0
    let padded = (tokens + 15) / 16 * 16
    // An odd number of cache lines: tokens then fall into different sets of a cache.
    let lines = (columns + 63) / 64
    let stride = (lines + 1 - lines % 2) * 64
    let blocks = (columns + 127) / 128
    func groups(_ level: Int) -> Int {
      groupSizes & 1 << level == 0 ? 0 : (columns + (16 << level) - 1) / (16 << level)
    }
    let planes = (0..<4).reduce(0) { $0 + groups($1) }
    var cursor = memory.quantized.reserve(padded * (stride + 4 * (blocks + planes)))
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
