/// eˣ of a log-probability, the same bits on every machine: thresholds are compared with it, so the
/// C library's, which differs between systems, would let decisions differ too.
///
/// Evaluated in f64 (argument reduction by ln 2, Taylor series to the 13th power, relative error
/// below 2⁻⁴⁸) and rounded once to f32.
func exponential(_ x: Float) -> Float {
  let value = Double(x)
  guard value > -104 else { return value.isNaN ? .nan : 0 }
  guard value < 89 else { return .infinity }
  let power = (value * 1.4426950408889634).rounded()
  // ln 2 in two parts: the first has trailing zeros, so that power × it is exact.
  let r = (value - power * 0x1.62e42fefa0000p-1) - power * 0x1.cf79abc9e3b3ap-40
  var sum = 1.0
  for n in stride(from: 13.0, through: 1.0, by: -1.0) { sum = 1 + r / n * sum }
  return Float(sum * Double(sign: .plus, exponent: Int(power), significand: 1))
}
