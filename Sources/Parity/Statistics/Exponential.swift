/// Eight virtual lanes: every sum over a vocabulary row is taken lane by lane and then reduced in
/// one fixed order, so a figure is the same on every machine and for any number of threads.
typealias Lanes = SIMD8<Double>

/// eˣ per lane for x ≤ 0, with a relative error below 1e-11.
///
/// Cody–Waite reduction x = n·ln 2 + r, |r| ≤ ln 2 / 2, then the Taylor polynomial of degree 9,
/// whose remainder 0.3466¹⁰ / 10! ≈ 7e-12 is five orders below what a float logit resolves.
/// Below −708 the result stays at about 1e-308 (no subnormals, no zero); NaN stays NaN. Nothing
/// but IEEE multiplications and additions, hence the same bits everywhere.
@inline(__always)
func exponential(_ argument: Lanes) -> Lanes {
  let x = argument.replacing(with: -708, where: argument .< -708)
  // Adding 1.5·2⁵² rounds to an integer and leaves it in the low bits of the significand.
  let shifter = Lanes(repeating: 6_755_399_441_055_744)
  let shifted = x * 1.442_695_040_888_963_4 + shifter
  let n = shifted - shifter
  // The high part of ln 2 has 21 trailing zero bits, so n times it is exact for |n| ≤ 1022.
  let r = (x - n * 0.693_147_180_369_123_8) - n * 1.908_214_929_270_587_7e-10
  var p = Lanes(repeating: 1.0 / 362_880)
  p = p * r + 1.0 / 40_320
  p = p * r + 1.0 / 5_040
  p = p * r + 1.0 / 720
  p = p * r + 1.0 / 120
  p = p * r + 1.0 / 24
  p = p * r + 1.0 / 6
  p = p * r + 0.5
  p = p * r + 1
  p = p * r + 1
  // 2ⁿ: the integer moved to the exponent field on top of the bias.
  let bits = SIMD8<Int64>(
    truncatingIfNeeded: unsafeBitCast(shifted, to: SIMD8<Int64>.self) &<< 52)
  let power = unsafeBitCast(
    bits &+ SIMD8<Int64>(repeating: 1023 &<< 52), to: Lanes.self)
  return p * power
}

/// The sum of eight lanes, always in the same order: halves, quarters, pairs.
@inline(__always)
func reduced(_ lanes: Lanes) -> Double {
  let four = lanes.lowHalf + lanes.highHalf
  let two = four.lowHalf + four.highHalf
  return two[0] + two[1]
}
