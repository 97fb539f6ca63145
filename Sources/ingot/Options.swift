import ArgumentParser
import Bytes
import Kernels

/// Options every command takes.
struct CommonOptions: ParsableArguments {
  @Flag(name: .long, help: "Print results as JSON on stdout.")
  var json = false

  @Flag(name: .long, help: "No progress bar and no notes on stderr.")
  var quiet = false

  @Option(name: .long, help: ArgumentHelp("Threads to use; default: all cores.", valueName: "n"))
  var threads: Int?

  func validate() throws {
    if let threads, !(1...1024).contains(threads) {
      throw ValidationError("--threads must be between 1 and 1024.")
    }
  }

  func makePool() -> ThreadPool {
    ThreadPool(threads: threads ?? ThreadPool.availableCores)
  }
}

/// How a model is run.
struct RuntimeOptions: ParsableArguments {
  enum ArithmeticName: String, ExpressibleByArgument, CaseIterable {
    case quantized
    case dequantized

    var mode: Arithmetic { self == .quantized ? .quantized : .dequantized }
  }

  enum CacheName: String, ExpressibleByArgument, CaseIterable {
    case f32
    case f16
    case int8

    var format: KeyValueCache.Format {
      switch self {
      case .f32: .float32
      case .f16: .float16
      case .int8: .int8
      }
    }
  }

  @Option(
    name: .long,
    help: ArgumentHelp(
      "How quantized weights multiply: 'quantized' with int8 activations (fast, the same bits on "
        + "every machine) or 'dequantized' with f32 ones (isolates weight error).",
      valueName: "name"))
  var arithmetic: ArithmeticName = .quantized

  @Option(name: .long, help: ArgumentHelp("Type of cached keys and values.", valueName: "type"))
  var cacheType: CacheName = .f32

  @Flag(name: .long, help: "Read the whole file into memory before starting.")
  var prefault = false

  var arithmeticMode: Arithmetic { arithmetic.mode }
  var cacheFormat: KeyValueCache.Format { cacheType.format }
}
