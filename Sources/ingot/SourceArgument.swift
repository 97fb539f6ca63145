import Bytes
import Casting
import Checkpoints
import Foundation
import IngotFormat

/// What convert and quantize read: a checkpoint folder, or a full-precision `.ingot`.
enum SourceArgument {
  /// - Parameter willCast: false when the source is only planned with.
  static func open(_ path: String, willCast: Bool, quiet: Bool) throws -> any CastSource {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), !isFolder.boolValue
    else { return try checkpoint(path, willCast, quiet: quiet) }
    return try IngotCastSource(IngotFile.open(path))
  }

  private static func checkpoint(
    _ path: String, _ willCast: Bool, quiet: Bool
  ) throws -> CheckpointCastSource {
    let source = try CheckpointCastSource(Checkpoint(path: path), hashesAhead: willCast)
    if source.attachments.tokenizer == nil, !quiet {
      Terminal.warn(
        "\(path) holds no tokenizer files; the result cannot read or write text")
    }
    return source
  }
}
