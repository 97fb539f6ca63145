import Foundation
import TestSupport

/// Runs the built program as a user would.
enum Program {
  struct Outcome {
    let status: Int32
    let output: String
    let complaint: String
  }

  /// The test target depends on the programs, so they lie beside the tests.
  static func path(of name: String) -> String {
    let folder = Bundle.allBundles.map(\.bundleURL).first { $0.pathExtension == "xctest" }?
      .deletingLastPathComponent()
    let beside = folder?.appendingPathComponent(name).path
    if let beside, FileManager.default.isExecutableFile(atPath: beside) { return beside }
    return Shared.packageRoot.appendingPathComponent(".build/release/\(name)").path
  }

  static func run(_ arguments: String..., input: String = "") throws -> Outcome {
    try run(arguments, input: input)
  }

  static func run(
    _ arguments: [String], input: String = "", program: String = "ingot"
  ) throws -> Outcome {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: path(of: program))
    process.arguments = arguments
    let streams = (Pipe(), Pipe(), Pipe())
    process.standardInput = streams.0
    process.standardOutput = streams.1
    process.standardError = streams.2
    try process.run()
    try streams.0.fileHandleForWriting.write(contentsOf: Data(input.utf8))
    try streams.0.fileHandleForWriting.close()
    // Read both ends at once: a full pipe would stop the program.
    nonisolated(unsafe) var complaint = Data()  // Safe: read again only after `group.wait()`.
    let group = DispatchGroup()
    DispatchQueue.global().async(group: group) {
      complaint = streams.2.fileHandleForReading.readDataToEndOfFile()
    }
    let output = streams.1.fileHandleForReading.readDataToEndOfFile()
    group.wait()
    process.waitUntilExit()
    return Outcome(
      status: process.terminationStatus, output: String(decoding: output, as: UTF8.self),
      complaint: String(decoding: complaint, as: UTF8.self))
  }
}
