import Bytes
import Kernels
import Quantization
import Tensors
import Testing

/// A reproducible source of random numbers (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64
  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
    return z ^ z >> 31
  }

  /// Sum of twelve uniforms would cut the tails; this is the polar method.
  mutating func gaussian() -> Float {
    while true {
      let x = Double.random(in: -1...1, using: &self)
      let y = Double.random(in: -1...1, using: &self)
      let r = x * x + y * y
      if r > 0, r < 1 { return Float(x * (-2 * logarithm(r) / r).squareRoot()) }
    }
  }

  /// Natural logarithm by halving and the series of 2·artanh, good to 1e-12: enough for noise.
  private func logarithm(_ value: Double) -> Double {
    let mantissa = value.significand
    let t = (mantissa - 1) / (mantissa + 1)
    var term = t
    var sum = 0.0
    for k in stride(from: 1, through: 35, by: 2) {
      sum += term / Double(k)
      term *= t * t
    }
    return 2 * sum + Double(value.exponent) * 0.693147180559945309
  }
}

/// Weights of one tensor in some element type, with what they are worth as f32.
struct Weights {
  let rows: Int
  let columns: Int
  let type: ElementType
  let values: [Float]
  let bytes: [UInt8]

  init(rows: Int, columns: Int, type: ElementType, _ weight: (Int, Int) -> Float) {
    self.rows = rows
    self.columns = columns
    self.type = type
    var values: [Float] = []
    var bytes: [UInt8] = []
    for row in 0..<rows {
      for column in 0..<columns {
        let value = weight(row, column)
        switch type {
        case .bfloat16:
          let bits = HalfPrecision.brain(from: value)
          values.append(HalfPrecision.float(fromBrain: bits))
          withUnsafeBytes(of: bits.littleEndian) { bytes += $0 }
        case .float16:
          let bits = HalfPrecision.half(from: value)
          values.append(HalfPrecision.float(fromHalf: bits))
          withUnsafeBytes(of: bits.littleEndian) { bytes += $0 }
        default:
          values.append(value)
          withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes += $0 }
        }
      }
    }
    self.values = values
    self.bytes = bytes
  }

  /// Weights as a file stores them; `values` stays empty.
  init(rows: Int, columns: Int, type: ElementType, bytes: [UInt8]) {
    self.rows = rows
    self.columns = columns
    self.type = type
    self.bytes = bytes
    values = []
  }

  static func gaussian(
    rows: Int, columns: Int, type: ElementType = .bfloat16, deviation: Float = 0.03,
    seed: UInt64 = 1
  ) -> Weights {
    var generator = SeededGenerator(seed: seed)
    return Weights(rows: rows, columns: columns, type: type) { _, _ in
      generator.gaussian() * deviation
    }
  }
}

/// A tensor quantized in one go.
struct Quantized {
  let layout: TileLayout
  /// Header and tiles.
  let payload: [UInt8]
  let error: TensorError
  let parameters: TensorParameters

  init(
    _ weights: Weights, _ scheme: String, _ method: RoundingMethod = .search,
    importance: [Float]? = nil, kernel: QuantizationKernel = .selected, blockRows: Int? = nil,
    misalignedBy shift: Int = 0
  ) throws {
    let scheme = try #require(QuantizationScheme(name: scheme))
    layout = try #require(
      TileLayout(scheme: scheme, rows: weights.rows, columns: weights.columns))
    var quantizer = try TensorQuantizer(
      layout: layout, method: method, sourceType: weights.type, name: "t",
      importance: importance, kernel: kernel)
    let rowBytes = weights.columns * weights.type.byteCount
    let step = blockRows ?? weights.rows
    let shifted = [UInt8](repeating: 0, count: shift) + weights.bytes
    let blocks = stride(from: 0, to: weights.rows, by: step).map {
      $0..<min($0 + step, weights.rows)
    }
    func source<R>(_ rows: Range<Int>, _ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
      try shifted.withUnsafeBytes {
        try body(
          .init(
            rebasing: $0[shift + rows.lowerBound * rowBytes..<shift + rows.upperBound * rowBytes]))
      }
    }
    if quantizer.needsSurvey {
      var survey = TensorSurvey()
      // Any order of blocks will do.
      for rows in blocks.reversed() {
        survey.merge(try source(rows) { try quantizer.survey(rows: rows, source: $0) })
      }
      try quantizer.prepare(survey)
    }
    var tiles = [UInt8](repeating: 0xA5, count: layout.payloadBytes - TileLayout.headerBytes)
    var statistics = TensorStatistics()
    for rows in blocks.reversed() {
      let first = rows.lowerBound / TileLayout.tileRows * layout.tileBytes
      let count = (rows.count + 15) / TileLayout.tileRows * layout.tileBytes
      var part = TensorStatistics()
      try source(rows) { source in
        try tiles.withUnsafeMutableBytes {
          try quantizer.quantize(
            rows: rows, source: source, into: .init(rebasing: $0[first..<first + count]),
            statistics: &part)
        }
      }
      statistics.merge(part)
    }
    payload = quantizer.header() + tiles
    error = statistics.summary()
    parameters = quantizer.parameters
  }

  /// The dequantized weight by the words of the specification, bit by bit: shares nothing with
  /// the code under test.
  func weight(row: Int, column: Int) -> Float {
    let kind = layout.scheme.kind
    let size = layout.scheme.groupSize
    let groups = layout.columns / size
    func padded(_ n: Int) -> Int { (n + 63) / 64 * 64 }
    let scaleBytes = padded(groups * 16 * (kind == .cb4 ? 1 : 2))
    let zeroBytes = kind == .int4z ? padded(groups * 16) : 0
    let codeBytes = layout.columns * 16 * (kind == .int8 ? 8 : kind == .int6 ? 6 : 4) / 8
    let tile = 64 + row / 16 * (scaleBytes + zeroBytes + codeBytes)
    let (r, group) = (row % 16, column / size)
    let codes = tile + scaleBytes + zeroBytes
    let atom = column % size / 4
    let byte: UInt8
    if kind == .int8 {
      byte = payload[codes + (column / 4 * 16 + r) * 4 + column % 4]
    } else {
      let half = size / 8
      let start = codes + group * size * (kind == .int6 ? 12 : 8) + r * 4 + column % 4
      let pair = payload[start + atom % half * 64]
      let low = atom < half ? pair & 15 : pair >> 4
      let four = payload[start + (kind == .int6 ? half + atom % (half / 2) : 0) * 64]
      byte = kind == .int6 ? low | (four >> (2 * (atom / (half / 2))) & 3) << 4 : low
    }
    switch kind {
    case .int8: return half(tile + (group * 16 + r) * 2) * Float(Int8(bitPattern: byte))
    case .int6: return half(tile + (group * 16 + r) * 2) * Float(Int(byte) - 32)
    case .int4: return half(tile + (group * 16 + r) * 2) * Float(Int(byte) - 8)
    case .int4z:
      let zero = payload[tile + scaleBytes + group * 16 + r]
      return half(tile + (group * 16 + r) * 2) * Float(Int(byte) - Int(zero))
    case .cb4:
      let code = payload[tile + group * 16 + r]
      let fraction = Double(code & 31)
      let exponent = Int(code >> 5 & 3)
      let magnitude =
        exponent == 0
        ? fraction / 32 * 0x1p-14
        : (1 + fraction / 32) * [0x1p-14, 0x1p-13, 0x1p-12][exponent - 1]
      let scale = Float(code & 0x80 != 0 ? -magnitude : magnitude)
      let bits = payload[16..<20].reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
      let level = Int8(bitPattern: payload[Int(byte)])
      return scale * Float(level) * Float(bitPattern: bits)
    }
  }

  private func half(_ at: Int) -> Float {
    let bits = UInt16(payload[at]) | UInt16(payload[at + 1]) << 8
    let sign: Double = bits & 0x8000 != 0 ? -1 : 1
    let exponent = Int(bits >> 10 & 31)
    let fraction = Double(bits & 1023) / 1024
    if exponent == 0 { return Float(sign * fraction * 0x1p-14) }
    let power = Double(sign: .plus, exponent: exponent - 15, significand: 1)
    return Float(sign * (1 + fraction) * power)
  }

  /// Relative error, recomputed from the payload.
  func relativeError(_ weights: Weights) -> Double {
    var error = 0.0
    var source = 0.0
    for row in 0..<weights.rows {
      for column in 0..<weights.columns {
        let w = Double(weights.values[row * weights.columns + column])
        let difference = w - Double(weight(row: row, column: column))
        error += difference * difference
        source += w * w
      }
    }
    return source > 0 ? (error / source).squareRoot() : 0
  }
}

let everyScheme = [
  "int8-g32", "int8-g64", "int8-g128", "int6-g32", "int6-g64", "int6-g128", "int4-g32",
  "int4-g64", "int4-g128", "int4z-g32", "int4z-g64", "int4z-g128", "cb4-g16", "cb4-g32", "cb4-g64",
  "cb4-g128",
]
