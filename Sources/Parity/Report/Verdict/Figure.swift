internal import Foundation

/// Numbers in reports, as people read them.
package enum Figure {
  /// Three significant digits: `0.0123`, `12.3`, `4.5e-6`.
  package static func number(_ value: Double) -> String {
    guard value.isFinite else { return value.isNaN ? "NaN" : value > 0 ? "∞" : "−∞" }
    if value == 0 { return "0" }
    let magnitude = abs(value)
    if magnitude >= 1e-3 && magnitude < 1e5 {
      let decimals = max(0, 2 - Int(log10(magnitude).rounded(.down)))
      return minus(String(format: "%.\(decimals)f", value))
    }
    let exponent = Int(log10(magnitude).rounded(.down))
    return minus(String(format: "%.1f", value / pow(10, Double(exponent)))) + "e\(exponent)"
  }

  /// A limit as it was given: `0.05`, not `0.0500`.
  package static func limit(_ value: Double) -> String {
    value.isFinite && (value == 0 || (abs(value) >= 1e-3 && abs(value) < 1e5))
      ? trimmed(value.description) : number(value)
  }

  /// Four decimals, for figures whose difference is what matters: `2.1278`.
  package static func decimals(_ value: Double) -> String {
    value.isFinite && abs(value) < 1e5 ? minus(String(format: "%.4f", value)) : number(value)
  }

  /// A threshold to set: six decimals, since the acceptance rate may turn on the last of them.
  package static func precise(_ value: Double) -> String {
    guard value.isFinite else { return number(value) }
    var text = String(format: "%.6f", value)
    while text.hasSuffix("0") { text.removeLast() }
    if text.hasSuffix(".") { text.removeLast() }
    return minus(text)
  }

  /// A share as percent: `98.7 %`, `0.055 %`; two digits at least where there are decimals, and
  /// never rounded up to 100 % or down to 0 %.
  package static func percent(_ share: Double) -> String {
    guard share.isFinite else { return number(share) }
    let value = share * 100
    let magnitude = abs(value)
    let first =
      magnitude > 0 && magnitude < 1
      ? min(4, max(1, 1 - Int(log10(magnitude).rounded(.down)))) : 1
    for decimals in first...4 {
      let text = String(format: "%.\(decimals)f", value)
      let rounded = Double(text) ?? value
      let isTrue = (rounded == 100) == (value == 100) && (rounded == 0) == (value == 0)
      if isTrue { return minus(trimmed(text)) + "\u{00A0}%" }
    }
    return (value > 50 ? "> 99.9999" : "< 0.0001") + "\u{00A0}%"
  }

  /// A change with its sign: `+1.2 %`, `−0.3 %`.
  package static func change(_ share: Double) -> String {
    let text = percent(share)
    return share > 0 ? "+" + text : text
  }

  /// `1m 05s`, `41.2 s`.
  package static func duration(_ seconds: Double) -> String {
    if seconds < 60 { return number(seconds) + "\u{00A0}s" }
    let whole = Int(min(seconds.rounded(), 1e9))
    return whole < 3600
      ? "\(whole / 60)m \(whole % 60 < 10 ? "0" : "")\(whole % 60)s"
      : "\(whole / 3600)h \(whole / 60 % 60 < 10 ? "0" : "")\(whole / 60 % 60)m"
  }

  /// `1 pair`, `12 pairs`.
  package static func count(_ count: Int, _ noun: String) -> String {
    "\(grouped(count)) \(noun)\(count == 1 ? "" : "s")"
  }

  /// `1 234 567`, with narrow no-break spaces.
  package static func grouped(_ count: Int) -> String {
    let digits = String(count.magnitude)
    var text = ""
    for (index, digit) in digits.enumerated() {
      if index > 0, (digits.count - index).isMultiple(of: 3), digits.count > 4 {
        text += "\u{202F}"
      }
      text.append(digit)
    }
    return (count < 0 ? "−" : "") + text
  }

  /// `3.44 GB`, in decimal units.
  package static func bytes(_ count: Int) -> String {
    let units = [(1e9, "GB"), (1e6, "MB"), (1e3, "kB")]
    for (scale, unit) in units where Double(count) >= scale {
      return number(Double(count) / scale) + "\u{00A0}" + unit
    }
    return "\(count)\u{00A0}B"
  }

  private static func trimmed(_ text: String) -> String {
    text.hasSuffix(".0") ? String(text.dropLast(2)) : text
  }

  /// A real minus sign is as wide as a digit.
  private static func minus(_ text: String) -> String {
    text.replacingOccurrences(of: "-", with: "−")
  }
}
