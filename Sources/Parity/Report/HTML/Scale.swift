internal import Foundation

/// Maps data to pixels along one axis.
struct Scale {
  enum Kind {
    case linear
    /// Base 10; values at or below 0 sit at the lower end.
    case logarithmic
  }

  let kind: Kind
  let domain: ClosedRange<Double>
  /// Pixels of the domain's ends; may run downwards.
  let start: Double
  let end: Double

  init(_ kind: Kind, _ domain: ClosedRange<Double>, from start: Double, to end: Double) {
    self.kind = kind
    self.domain = domain
    self.start = start
    self.end = end
  }

  func callAsFunction(_ value: Double) -> Double {
    let low = transformed(domain.lowerBound)
    let high = transformed(domain.upperBound)
    let place = (transformed(value) - low) / (high - low)
    return start + min(max(place.isFinite ? place : 0, 0), 1) * (end - start)
  }

  private func transformed(_ value: Double) -> Double {
    switch kind {
    case .linear: value
    case .logarithmic: log10(max(value, 1e-300))
    }
  }

  /// Round values to label: powers of ten, or steps of 1, 2 or 5.
  var ticks: [Double] {
    switch kind {
    case .logarithmic:
      let low = Int(log10(domain.lowerBound).rounded(.up))
      let high = Int(log10(domain.upperBound).rounded(.down))
      guard low <= high else { return [domain.lowerBound, domain.upperBound] }
      if high - low <= 1 { return Self.subdivided(domain) }
      let step = max(1, (high - low + 1) / 5)
      return stride(from: low, through: high, by: step).map { pow(10, Double($0)) }
    case .linear:
      let step = Self.roundStep((domain.upperBound - domain.lowerBound) / 4)
      let first = (domain.lowerBound / step).rounded(.up) * step
      return (0..<12).map { first + Double($0) * step }
        .filter { $0 <= domain.upperBound + step * 1e-9 }
    }
  }

  /// A domain around values: whole decades, or 5 % of room; never empty.
  static func domain(_ kind: Kind, of values: [Double]) -> ClosedRange<Double> {
    let usable = values.filter { $0.isFinite && (kind == .linear || $0 > 0) }
    guard let low = usable.min(), let high = usable.max() else {
      return kind == .linear ? 0...1 : 1e-6...1
    }
    switch kind {
    case .logarithmic:
      let bottom = pow(10, max(-300, log10(low).rounded(.down)))
      let top = pow(10, min(300, log10(high).rounded(.up)))
      return bottom...max(top, bottom * 10)
    case .linear:
      let room = max((high - low) * 0.05, abs(high) * 1e-6, 1e-9)
      return (low - room)...(high + room)
    }
  }

  /// 1, 2 and 5 times each power of ten, for an axis of a decade or two.
  private static func subdivided(_ domain: ClosedRange<Double>) -> [Double] {
    let low = Int(log10(domain.lowerBound).rounded(.down))
    let high = Int(log10(domain.upperBound).rounded(.up))
    return (low...high).flatMap { exponent in [1, 2, 5].map { $0 * pow(10, Double(exponent)) } }
      .filter { $0 >= domain.lowerBound * 0.999 && $0 <= domain.upperBound * 1.001 }
  }

  private static func roundStep(_ raw: Double) -> Double {
    guard raw.isFinite, raw > 0 else { return 1 }
    let magnitude = pow(10, log10(raw).rounded(.down))
    let steps = [1, 2, 5, 10].map { $0 * magnitude }
    return steps.first { $0 >= raw } ?? steps[3]
  }
}

extension Figure {
  /// An axis label: `10⁻³` on logarithmic axes, else few digits.
  static func tick(_ value: Double, _ kind: Scale.Kind) -> String {
    guard kind == .logarithmic, value > 0 else {
      return value == 0 ? "0" : number(value).trimmedZeros
    }
    let exponent = Int(log10(value).rounded())
    let isPower = abs(value / pow(10, Double(exponent)) - 1) < 1e-9
    if !isPower { return number(value).trimmedZeros }
    if (-2...3).contains(exponent) { return value.description.trimmedZeros }
    let raised = String(exponent).map { Self.superscripts[$0] ?? "" }
    return "10" + raised.joined()
  }

  private static let superscripts: [Character: String] = [
    "-": "⁻", "0": "⁰", "1": "¹", "2": "²", "3": "³", "4": "⁴", "5": "⁵", "6": "⁶", "7": "⁷",
    "8": "⁸", "9": "⁹",
  ]
}

extension String {
  /// Without zeros at the end of a decimal fraction.
  fileprivate var trimmedZeros: String {
    guard contains("."), !contains("e") else { return self }
    var text = self
    while text.hasSuffix("0") { text.removeLast() }
    if text.hasSuffix(".") { text.removeLast() }
    return text
  }
}
