import Foundation

enum TruncatedFile {
  /// Cuts a file in place, as a process that shares it might.
  static func truncate(_ path: String, to length: Int) throws {
    let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
    try handle.truncate(atOffset: UInt64(length))
    try handle.close()
  }
}
