/// SplitMix64 (Steele, Lea, Flood 2014): the same numbers for the same seed on every platform.
public struct SeededGenerator: RandomNumberGenerator, Sendable {
  private var state: UInt64

  public init(seed: UInt64) { state = seed }

  public mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
    return mixed ^ mixed >> 31
  }

  /// A number of mean 0 and variance 1, nearly normal: the centred sum of four uniform ones.
  public mutating func gaussian() -> Float {
    let bits = next()
    var sum = 0
    for part in 0..<4 { sum += Int(truncatingIfNeeded: bits >> (16 * UInt64(part)) & 0xFFFF) }
    // Each part has mean 32767.5 and variance (2¹⁶)²/12.
    return (Float(sum) - 131_070) / 37_837.23
  }
}
