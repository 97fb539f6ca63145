import Bytes
import Foundation

/// Small result files: written beside their place, then renamed.
enum OutputFile {
  static func write(_ bytes: [UInt8], to path: String) throws {
    do {
      try Data(bytes).write(to: URL(fileURLWithPath: path), options: .atomic)
    } catch {
      throw IngotError(
        "output.write", "cannot be written: \(error.localizedDescription)", path: path,
        advice: "Check that the folder exists and has room.")
    }
  }

  /// Refuses to write over the input, which is mapped or being read.
  static func refuse(_ output: String, sameAs input: String) throws {
    let paths = [output, input].map {
      URL(fileURLWithPath: $0).resolvingSymlinksInPath().standardizedFileURL.path
    }
    guard paths[0] != paths[1] else {
      throw IngotError(
        "output.sameAsInput", "is the input as well", path: output,
        advice: "Give another output path.")
    }
  }
}

/// Small files named on the command line: policies, reports, shards.
enum InputFile {
  /// - Throws: `file.…`; `input.tooLarge` beyond `limit` bytes.
  static func read(_ path: String, limit: Int) throws(IngotError) -> [UInt8] {
    let reader = try FileReader(path: path)
    guard reader.count <= limit else {
      throw IngotError(
        "input.tooLarge", "has \(reader.count) bytes; at most \(limit) are read", path: path)
    }
    return try reader.bytes(at: 0, count: reader.count)
  }
}
