import Foundation

/// Numbers as people read them.
enum Format {
  /// `3.44 GB` (decimal units).
  static func bytes(_ count: Int) -> String {
    var value = Double(count)
    for unit in ["B", "kB", "MB", "GB"] {
      if abs(value) < 999.5 {
        return String(format: unit == "B" ? "%.0f %@" : "%.3g %@", value, unit)
      }
      value /= 1000
    }
    return String(format: "%.3g TB", value)
  }

  /// `4.07 M`, for parameters.
  static func count(_ count: Int) -> String {
    var value = Double(count)
    for unit in ["", " k", " M"] {
      if value < 999.5 { return String(format: unit.isEmpty ? "%.0f%@" : "%.3g%@", value, unit) }
      value /= 1000
    }
    return String(format: "%.4g B", value)
  }

  /// `1m 05s`.
  static func duration(_ seconds: Double) -> String {
    let whole = Int(seconds.rounded())
    if whole < 60 { return "\(whole)s" }
    if whole < 3600 { return String(format: "%dm %02ds", whole / 60, whole % 60) }
    return String(format: "%dh %02dm", whole / 3600, whole / 60 % 60)
  }

  /// A column of text padded to a width counted in characters.
  static func padded(_ text: String, _ width: Int, right: Bool = false) -> String {
    let fill = String(repeating: " ", count: max(0, width - text.count))
    return right ? fill + text : text + fill
  }
}
