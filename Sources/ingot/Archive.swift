import ArgumentParser
import Bytes
import Foundation
import IngotFormat

struct Pack: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Compress an .ingot file for transport, losslessly.",
    discussion: """
      Example:
        ingot pack model.ingot model.ingotz
      """)

  @Argument(help: "The .ingot file.", completion: .file())
  var file: String
  @Argument(help: "The archive to write.", completion: .file())
  var archive: String
  @OptionGroup var common: CommonOptions

  func run() throws {
    try OutputFile.refuse(archive, sameAs: file)
    // Opening checks the structure, so that nothing broken is shipped.
    let size = try IngotFile.open(file).mapping.count
    let progress = Progress("packing", total: size, unit: .bytes, quiet: common.quiet)
    let pool = common.makePool()
    try IngotArchive.pack(file, to: archive, threads: pool.threads) { progress.advance($0) }
    progress.finish()
    let packed = try IngotArchive(path: archive).packedBytes
    try ArchiveResult(path: archive, from: size, to: packed).report(json: common.json)
  }
}

struct Unpack: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Restore an .ingot file from its archive; every byte is verified.",
    discussion: """
      Example:
        ingot unpack model.ingotz model.ingot
      """)

  @Argument(help: "The archive.", completion: .file())
  var archive: String
  @Argument(help: "The .ingot file to write.", completion: .file())
  var file: String
  @OptionGroup var common: CommonOptions

  func run() throws {
    try OutputFile.refuse(file, sameAs: archive)
    let opened = try IngotArchive(path: archive)
    let progress = Progress(
      "unpacking", total: opened.unpackedBytes, unit: .bytes, quiet: common.quiet)
    let pool = common.makePool()
    try opened.unpack(to: file, threads: pool.threads) { progress.advance($0) }
    progress.finish()
    try ArchiveResult(path: file, from: opened.packedBytes, to: opened.unpackedBytes)
      .report(json: common.json)
  }
}

/// Sizes before and after.
private struct ArchiveResult {
  let path: String
  let from: Int
  let to: Int

  func report(json: Bool) throws {
    guard json else {
      let share = String(format: "%.1f%%", 100 * Double(to) / Double(max(from, 1)))
      print("\(path): \(Format.bytes(to)) from \(Format.bytes(from)) (\(share))")
      return
    }
    var writer = JSONWriter()
    writer.object { object in
      object.key("output")
      object.value(path)
      object.key("bytes")
      object.value(to)
      object.key("source_bytes")
      object.value(from)
    }
    print(writer.text)
  }
}
