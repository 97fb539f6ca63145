import ArgumentParser
import Bytes
import Casting
import Checkpoints
import IngotFormat
import Kernels
import Tensors

struct Convert: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Convert a checkpoint into one .ingot file, losslessly.",
    discussion: """
      Keeps every number bit for bit (or casts with --type), and embeds configuration, tokenizer
      and chat template, so that the file needs nothing beside it.

      Examples:
        ingot convert ReFusion/ refusion.ingot
        ingot convert ReFusion/ refusion-f16.ingot --type f16
      """)

  enum TypeName: String, ExpressibleByArgument, CaseIterable {
    case bf16, f16, f32

    var elementType: ElementType {
      switch self {
      case .bf16: .bfloat16
      case .f16: .float16
      case .f32: .float32
      }
    }
  }

  @Argument(help: "A checkpoint folder in Hugging Face layout.", completion: .file())
  var checkpoint: String
  @Argument(help: "The .ingot file to write.", completion: .file())
  var output: String
  @Option(name: .long, help: "Cast every tensor to bf16, f16 or f32.") var type: TypeName?
  @Flag(name: .long, help: "Print what would be written, and write nothing.") var dryRun = false
  @Flag(name: .long, help: "Continue an interrupted run, and be able to continue this one.")
  var resume = false
  @OptionGroup var common: CommonOptions

  func run() throws {
    let source = try SourceArgument.open(
      checkpoint, willCast: !dryRun, quiet: common.quiet)
    let plan = try CastPlan(
      converting: source, to: type?.elementType, toolVersion: BuildInformation.version)
    if dryRun { return print(PlanTable(plan).text(json: common.json)) }
    try OutputFile.refuse(output, sameAs: checkpoint)
    try CastRun(plan, output: output, resume: resume, common: common, label: "converting").run()
  }
}
