internal import Bytes
internal import Foundation
package import Kernels

/// The machine as it was during the run.
package struct BenchmarkMachine: Sendable {
  package var processor: String
  /// The kernels in use.
  package var isa: String
  package var threads: Int
  /// The best that was seen before the lines were measured.
  package var limits: MachineLimits
  let readBytes: Int

  /// Measures the limits, which takes about a second.
  package init(pool: ThreadPool, kernels: KernelTable = .selected, readBytes: Int = 512 << 20) {
    self.readBytes = readBytes
    processor = Self.processorName
    isa = kernels.name
    threads = pool.threads
    limits = .measure(pool, kernels: kernels, readBytes: readBytes)
  }

  /// Whether int8 products of many tokens go through a matrix unit with a limit of its own.
  package var hasMatrixUnit: Bool { isa == "amx" }

  func write(to writer: inout JSONWriter) {
    writer.object { writer in
      writer.member("cpu", processor)
      writer.member("isa", isa)
      writer.member("threads", threads)
      writer.member("int8_dot_gmacs", limits.vectorDotGigaMACs)
      if hasMatrixUnit { writer.member("int8_matrix_gmacs", limits.int8DotGigaMACs) }
      writer.member("f32_fma_gmacs", limits.floatFMAGigaMACs)
      writer.member("read_gigabytes_per_second", limits.readGigabytesPerSecond)
    }
  }

  private static var processorName: String {
    #if os(Linux)
      guard let text = try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8) else {
        return "unknown"
      }
      for line in text.split(separator: "\n") {
        let parts = line.split(separator: ":", maxSplits: 1)
        if parts.count == 2, parts[0].hasPrefix("model name") {
          return String(parts[1].drop { $0 == " " })
        }
      }
      return "unknown"
    #else
      var name = [UInt8](repeating: 0, count: 256)
      var size = name.count
      guard sysctlbyname("machdep.cpu.brand_string", &name, &size, nil, 0) == 0 else {
        return "unknown"
      }
      return String(decoding: name.prefix { $0 != 0 }, as: UTF8.self)
    #endif
  }
}
