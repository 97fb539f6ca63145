/// HTML or SVG source in which every interpolated text is escaped.
///
/// Literals are markup and go through as they are; an interpolated `String` is data and is escaped;
/// an interpolated `Markup` is markup again. So output of a model, a file name or a CPU's name
/// cannot become part of the page's structure, and forgetting to escape does not compile.
struct Markup: Sendable {
  private(set) var source: String

  static let empty: Markup = ""

  /// The markup, or nothing. A conditional between literals inside an interpolation would be taken
  /// for text and escaped; this cannot.
  static func when(_ condition: Bool, _ markup: @autoclosure () -> Markup) -> Markup {
    condition ? markup() : empty
  }

  static func += (left: inout Markup, right: Markup) { left.source += right.source }
  static func + (left: Markup, right: Markup) -> Markup {
    var sum = left
    sum += right
    return sum
  }

  /// Text with its special characters as entities; control characters become visible symbols.
  static func escaped(_ text: String) -> String {
    var result = ""
    result.reserveCapacity(text.utf8.count)
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      case "'": result += "&#39;"
      case "\n", "\t": result.unicodeScalars.append(scalar)
      default:
        // Bidirectional overrides could make a line read as something else.
        let isHidden =
          scalar.value < 32 || (127..<160).contains(scalar.value)
          || (0x202A...0x202E).contains(scalar.value) || (0x2066...0x2069).contains(scalar.value)
        if isHidden { result += "\u{FFFD}" } else { result.unicodeScalars.append(scalar) }
      }
    }
    return result
  }
}

extension Markup: ExpressibleByStringInterpolation {
  struct StringInterpolation: StringInterpolationProtocol {
    var source = ""
    init(literalCapacity: Int, interpolationCount: Int) { source.reserveCapacity(literalCapacity) }
    mutating func appendLiteral(_ literal: String) { source += literal }
    mutating func appendInterpolation(_ text: String) { source += Markup.escaped(text) }
    mutating func appendInterpolation(_ number: Int) { source += String(number) }
    mutating func appendInterpolation(_ markup: Markup) { source += markup.source }
    /// A coordinate: two decimals are a hundredth of a pixel.
    mutating func appendInterpolation(_ coordinate: Double) {
      source += Markup.coordinate(coordinate)
    }
  }

  init(stringLiteral value: String) { source = value }
  init(stringInterpolation: StringInterpolation) { source = stringInterpolation.source }

  static func coordinate(_ value: Double) -> String {
    guard value.isFinite else { return "0" }
    let rounded = (value * 100).rounded() / 100
    return rounded == rounded.rounded() && abs(rounded) < 1e15
      ? String(Int(rounded)) : rounded.description
  }
}

extension Sequence<Markup> {
  func joined(_ separator: Markup = .empty) -> Markup {
    var all = Markup.empty
    for (index, part) in enumerated() {
      if index > 0 { all += separator }
      all += part
    }
    return all
  }
}
