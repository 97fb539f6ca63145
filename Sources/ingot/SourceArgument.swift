import Bytes
import Casting
import Checkpoints
import Foundation
import IngotFormat

/// What convert and quantize read: a checkpoint folder, or a full-precision `.ingot`.
enum SourceArgument {
  static func open(
    _ path: String, for purpose: CheckpointCastSource.Purpose, quiet: Bool
  ) throws -> any CastSource {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), !isFolder.boolValue
    else { return try checkpoint(path, purpose, quiet: quiet) }
    return try IngotCastSource(IngotFile.open(path))
  }

  private static func checkpoint(
    _ path: String, _ purpose: CheckpointCastSource.Purpose, quiet: Bool
  ) throws -> CheckpointCastSource {
    let source = try CheckpointCastSource(Checkpoint(path: path), for: purpose)
    if source.attachments.tokenizer == nil, !quiet {
      Terminal.warn(
        "\(path) holds no tokenizer files; the result cannot read or write text")
    }
    return source
  }
}
