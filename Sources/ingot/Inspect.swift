import Architecture
import ArgumentParser
import Bytes
import Checkpoints
import Foundation
import IngotFormat

struct Inspect: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show what a checkpoint folder, a .safetensors or an .ingot file holds.",
    discussion: """
      Examples:
        ingot inspect ReFusion/
        ingot inspect model.ingot --tensors
      """)

  @Argument(help: "A checkpoint folder, a .safetensors or an .ingot file.", completion: .file())
  var path: String
  @Flag(name: .long, help: "List every tensor, not only the kinds.") var tensors = false
  @OptionGroup var common: CommonOptions

  func run() throws {
    let inspection = try Inspection(path: path)
    print(common.json ? inspection.json : inspection.text(listsTensors: tensors))
  }
}
