import Foundation

/// Runs scripts of the repository with the machine's Python.
public enum Python {
  /// Whether tests can use it.
  public static let hasNumPy = (try? run(["-c", "import numpy"]).status) == 0

  /// - Returns: the exit status, and what came out of both outputs.
  public static func run(_ arguments: [String]) throws -> (status: Int32, output: String) {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["python3"] + arguments
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardError = pipe
    try process.run()
    let data = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return (process.terminationStatus, String(decoding: data, as: UTF8.self))
  }
}
