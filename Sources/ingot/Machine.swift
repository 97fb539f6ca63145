import Foundation

/// What the machine calls itself.
enum Machine {
  /// The processor's name, as the system tells it.
  static var processorName: String {
    if let text = try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8) {
      for line in text.split(separator: "\n") where line.hasPrefix("model name") {
        return line.drop { $0 != ":" }.dropFirst().trimmingCharacters(in: .whitespaces)
      }
    }
    return architecture
  }

  private static var architecture: String {
    #if arch(x86_64)
      "x86-64"
    #elseif arch(arm64)
      "arm64"
    #else
      "unknown"
    #endif
  }
}
