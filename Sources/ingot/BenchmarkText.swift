import Bench
import Foundation

/// A benchmark's report for people.
enum BenchmarkText {
  static func table(_ report: BenchmarkReport) -> String {
    var lines = heading(report) + [""]
    lines.append(
      Format.padded("", 15) + columns("tokens", "median", "tokens/s", "GMAC/s", "GB/s", "of limit")
        + (report.machine.hasMatrixUnit ? Format.padded("of VNNI", 10, right: true) : ""))
    for result in report.results { lines.append(row(result, report.machine.hasMatrixUnit)) }
    lines += [
      "", "Medians. Limits above: the best before the lines; 'of limit': of the median measured",
      "between a line's rounds, multiply or read, whichever binds.",
    ]
    if report.machine.hasMatrixUnit {
      lines.append("Multiply: the limit of the unit in use; 'of VNNI': of the vector unit's.")
    }
    return lines.joined(separator: "\n")
  }

  private static func heading(_ report: BenchmarkReport) -> [String] {
    let machine = report.machine
    let limits = machine.limits
    var rates = String(format: "int8 dot %.0f GMAC/s (vector unit)", limits.vectorDotGigaMACs)
    if machine.hasMatrixUnit {
      rates += String(format: ", %.0f GMAC/s (AMX)", limits.int8DotGigaMACs)
    }
    rates += String(
      format: ", f32 FMA %.0f GMAC/s, read %.1f GB/s", limits.floatFMAGigaMACs,
      limits.readGigabytesPerSecond)
    let name = [report.model.name, report.model.recipe].compactMap { $0 }.joined(separator: " ")
    return [
      "machine  \(machine.processor), \(machine.isa), \(machine.threads) threads",
      "limits   \(rates)",
      "model    \(Terminal.printable(name)): \(Format.count(report.model.parameters)) parameters, "
        + Format.bytes(report.model.bytes)
        + String(format: ", %.2f bits per weight", report.model.bitsPerWeight),
    ]
  }

  private static func row(_ result: BenchmarkResult, _ showsVector: Bool) -> String {
    var line =
      Format.padded(result.name, 15)
      + columns(
        "\(result.tokens)", seconds(result.medianSeconds), number(result.tokensPerSecond),
        number(result.gigaMACs), number(result.gigabytesPerSecond),
        String(format: "%.0f %% ", 100 * result.fractionOfLimit)
          + (result.limit == .multiply ? "mul" : "read"))
    if showsVector {
      let share = result.fractionOfVectorLimit.map { String(format: "%.0f %%", 100 * $0) } ?? ""
      line += Format.padded(share, 10, right: true)
    }
    let notes = result.details.filter { ["slot_size", "blocks", "forwards"].contains($0.name) }
    return notes.isEmpty
      ? line
      : line + "  (" + notes.map { "\($0.name) \(number($0.value))" }.joined(separator: ", ") + ")"
  }

  private static func columns(_ values: String...) -> String {
    values.map { Format.padded($0, 11, right: true) }.joined()
  }

  private static func number(_ value: Double) -> String {
    value.rounded() == value && abs(value) < 1e6
      ? String(format: "%.0f", value) : String(format: abs(value) < 10 ? "%.2f" : "%.1f", value)
  }

  private static func seconds(_ value: Double) -> String {
    value < 0.001
      ? String(format: "%.0f µs", value * 1e6)
      : value < 1 ? String(format: "%.2f ms", value * 1e3) : String(format: "%.3f s", value)
  }
}
