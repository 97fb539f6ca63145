import CIngotKernels
import Tensors

/// How a matrix meets some number of tokens.
enum ProductForm: Hashable {
  /// Dense rows × f32 rows, unzipped for bf16.
  case dots(ElementType)
  /// Dense rows × packed f32.
  case packed(ElementType)
  /// bf16 rows × three parts of bf16, exact, in a matrix unit.
  case split
  /// Tiles × int8 activations.
  case tiled
  /// Tiles as f32 × packed f32.
  case dequantized

  var isPacked: Bool {
    switch self {
    case .packed, .dequantized: true
    case .dots, .split, .tiled: false
    }
  }

  /// Elementary operations for each column of a row and token, in 1/64.
  fileprivate var cost: Int {
    switch self {
    case .dots, .packed, .dequantized: 8
    case .split: 4
    case .tiled: 1
    }
  }
}

/// One of the products that share an input: output = input · matrixᵀ, `[tokens × rows]`.
package struct LinearProduct {
  let matrix: WeightMatrix
  let form: ProductForm
  // Safe: threads write rows of their own.
  package let output: UnsafeMutablePointer<Float>
}

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
    guard tokens > 0, !weights.isEmpty else { return }
    let input = self.input(
      of: weights, tokens: tokens, arithmetic: arithmetic,
      numbers: UnsafeMutablePointer(mutating: input), in: ownInput)
    prepare(input)
    let products = zip(weights, outputs).map {
      product($0, into: $1, tokens: tokens, arithmetic: arithmetic)
    }
    multiply(products, input)
  }

  package func product(
    _ matrix: WeightMatrix, into output: UnsafeMutablePointer<Float>, tokens: Int,
    arithmetic: Arithmetic
  ) -> LinearProduct {
    LinearProduct(
      matrix: matrix, form: form(of: matrix, tokens: tokens, arithmetic: arithmetic),
      output: output)
  }

  /// All products with one prepared input as one job: a small matrix alone is soon done, and threads
  /// would spend their time meeting.
  ///
  /// - Parameters:
  ///   - unit: rows that stay together, a multiple of 32.
  ///   - finish: called with the number of a product and rows of it, whole units or up to the last,
  ///     by the thread that has just multiplied them for all tokens.
  package func multiply(
    _ products: [LinearProduct], _ input: LinearInput, unit: Int = 32,
    finish: (_ product: Int, _ rows: Range<Int>) -> Void = { _, _ in }
  ) {
    let (base, stride) = scratch(bytesPerThread: INGOT_MULTIPLY_SCRATCH)
    // The units of each matrix, numbered through.
    let units = products.map { ($0.matrix.rows + unit - 1) / unit }
    split(units.reduce(0, +), cost: unit * rowCost(products[0], input)) { worker, range in
      var start = 0
      for (index, product) in products.enumerated() {
        let first = max(range.lowerBound - start, 0) * unit
        let end = min((range.upperBound - start) * unit, product.matrix.rows)
        start += units[index]
        guard first < end else { continue }
        multiply(product, input, rows: first..<end, scratch: base + worker * stride)
        finish(index, first..<end)
      }
    }
  }

  /// Elementary operations of one row.
  func rowCost(_ product: LinearProduct, _ input: LinearInput) -> Int {
    let tokens =
      switch product.form {
      // A matrix unit for bf16 takes sixteen tokens or none.
      case .split: input.paddedTokens
      // Reading and unpacking a weight takes as long as a dozen products with it.
      case .tiled: input.tokens + 12
      case .dots, .packed, .dequantized: input.tokens
      }
    return max(1, product.form.cost * input.columns * tokens / 64)
  }

  /// Rows of one product, from a multiple of 32 to another or the last one, for all tokens.
  func multiply(
    _ product: LinearProduct, _ input: LinearInput, rows: Range<Int>,
    scratch: UnsafeMutableRawPointer
  ) {
    let matrix = product.matrix
    let (count, columns, tokens) = (
      Int64(matrix.rows), Int64(matrix.columns), Int64(input.tokens)
    )
    let (first, end) = (Int64(rows.lowerBound), Int64(rows.upperBound))
    let tileRows = Int64(TileLayout.tileRows)
    let (firstTile, endTile) = (first / tileRows, (end + tileRows - 1) / tileRows)
    switch product.form {
    case .dots(let type):
      let numbers = type == .bfloat16 ? input.unzipped : input.numbers
      functions.multiply_dense(
        matrix.base, Int32(type.rawValue), count, columns, first, end, numbers, tokens,
        product.output)
    case .packed(let type):
      functions.multiply_dense_packed(
        matrix.base, Int32(type.rawValue), count, columns, first, end, input.packed, tokens,
        product.output, scratch)
    case .split:
      functions.multiply_bf16(
        matrix.base, count, columns, first, end, input.parts, tokens, product.output, scratch)
    case .tiled:
      guard var activations = input.quantized else { preconditionFailure("not prepared") }
      matrix.withTiled {
        functions.multiply_tiled($0, &activations, firstTile, endTile, product.output, scratch)
      }
    case .dequantized:
      matrix.withTiled {
        functions.multiply_dequantized(
          $0, firstTile, endTile, input.packed, tokens, product.output, scratch)
      }
    }
  }
}

// MARK: Forms

extension ComputeEngine {
  func form(of matrix: WeightMatrix, tokens: Int, arithmetic: Arithmetic) -> ProductForm {
    switch matrix.storage {
    case .dense where usesBF16Unit(matrix, tokens: tokens): .split
    case .dense(let type): tokens < packedTokens(type) ? .dots(type) : .packed(type)
    case .tiled: arithmetic == .quantized ? .tiled : .dequantized
    }
  }

  /// From here on turning weights into panels of f32 costs less than it saves.
  private func packedTokens(_ type: ElementType) -> Int {
    Int(type == .float32 ? functions.packed_tokens_f32 : functions.packed_tokens)
  }

  /// From here on a matrix unit for bf16 is faster.
  private static let splitTokens = 2

  /// Whether these weights are multiplied in a matrix unit for bf16.
  package func usesBF16Unit(_ matrix: WeightMatrix, tokens: Int) -> Bool {
    guard case .dense(.bfloat16) = matrix.storage else { return false }
    return tokens >= Self.splitTokens && functions.multiply_bf16 != nil
  }

  /// Whether tiled weights that share an input of this many tokens are multiplied in a matrix
  /// unit, whose limit is another than the vector unit's.
  package func usesMatrixUnit(_ weights: [WeightMatrix], tokens: Int) -> Bool {
    guard kernels.name == "amx", groupSizes(of: weights) != 0 else { return false }
    return functions.activation_order(Int64(tokens)) == Int32(INGOT_BY_TILE)
  }
}
