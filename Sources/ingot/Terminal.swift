import Bytes
import Foundation

/// Where results, messages and progress go: results to stdout, everything else to stderr.
enum Terminal {
  static let errorIsTerminal = isatty(STDERR_FILENO) == 1
  static let outputIsTerminal = isatty(STDOUT_FILENO) == 1

  /// Styles only where a person looks: a terminal, and NO_COLOR unset (no-color.org).
  private static let usesColor =
    ProcessInfo.processInfo.environment["NO_COLOR"] == nil
    && ProcessInfo.processInfo.environment["TERM"] != "dumb"

  enum Style: String {
    case bold = "1"
    case dim = "2"
    case red = "31"
    case green = "32"
    case yellow = "33"
  }

  static func styled(_ text: String, _ style: Style, forError: Bool = false) -> String {
    guard usesColor, forError ? errorIsTerminal : outputIsTerminal else { return text }
    return "\u{1B}[\(style.rawValue)m\(text)\u{1B}[0m"
  }

  static func complain(_ error: IngotError) {
    note(styled("error: ", .red, forError: true) + printable(error.description))
  }

  static func warn(_ message: String) {
    note(styled("warning: ", .yellow, forError: true) + printable(message))
  }

  /// One line on stderr.
  static func note(_ message: String) {
    FileHandle.standardError.write(Data((message + "\n").utf8))
  }

  /// Writes text to stdout at once, for streaming.
  static func stream(_ text: String) {
    FileHandle.standardOutput.write(Data(text.utf8))
  }

  /// Names and texts come from strangers' files: control characters, which could rewrite the
  /// screen, are shown as escapes. Line feeds and tabs stay.
  static func printable(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      let isControl = scalar.value < 32 || (127..<160).contains(scalar.value)
      if isControl && scalar != "\n" && scalar != "\t" {
        result += "\\u{\(String(scalar.value, radix: 16))}"
      } else {
        result.unicodeScalars.append(scalar)
      }
    }
    return result
  }
}
