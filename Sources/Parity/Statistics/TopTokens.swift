/// The five largest logits of a row, largest first; ties go to the lower token id.
struct TopTokens {
  /// How many are kept: `top5_agreement` needs five.
  static let count = 5

  /// Values in lanes 0…4, −∞ while a place is free.
  private(set) var values = SIMD8<Float>(repeating: -.infinity)
  /// Token ids in lanes 0…4, −1 while a place is free.
  private(set) var tokens = SIMD8<Int32>(repeating: -1)

  /// Scans `row`, which is not empty. NaN never enters.
  init(_ row: UnsafeBufferPointer<Float>) {
    let width = 16
    let whole = row.count / width * width
    let base = UnsafeRawPointer(row.baseAddress!)
    var index = 0
    while index < whole {
      // Safe: index + 16 ≤ row.count, and loadUnaligned asks for no alignment.
      let block = base.loadUnaligned(
        fromByteOffset: index * 4, as: SIMD16<Float>.self)
      if any(block .> values[Self.count - 1]) {
        for lane in 0..<width { insert(block[lane], Int32(truncatingIfNeeded: index + lane)) }
      }
      index += width
    }
    while index < row.count {
      insert(row[index], Int32(truncatingIfNeeded: index))
      index += 1
    }
  }

  private mutating func insert(_ value: Float, _ token: Int32) {
    guard value > values[Self.count - 1] else { return }
    var place = Self.count - 1
    while place > 0, value > values[place - 1] {
      values[place] = values[place - 1]
      tokens[place] = tokens[place - 1]
      place -= 1
    }
    values[place] = value
    tokens[place] = token
  }

  /// How many of these tokens `other` also holds, 0…5.
  func shared(with other: TopTokens) -> Int {
    var common = 0
    for place in 0..<Self.count where tokens[place] >= 0 {
      for match in 0..<Self.count where other.tokens[match] == tokens[place] { common += 1 }
    }
    return common
  }
}
