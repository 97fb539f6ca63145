import Architecture
import ArgumentParser
import Bytes
import Casting
import Foundation
import Quantization

struct Quantize: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Quantize a checkpoint or a full-precision .ingot by a recipe.",
    discussion: """
      Recipes: int8, int4 (mixed defaults: head and embedding at int8, keys, values and the outer
      layers' attention at int6, the rest at 4 bits, norms kept, the MASK row of the embedding
      exact), int4-pure, <scheme>-g<group> for one scheme on every linear tensor (int8-g128,
      int6-g64, int4-g64, cb4-g32, …), or a YAML file.

      Examples:
        ingot quantize model.ingot model-int4.ingot --recipe int4
        ingot quantize ReFusion/ refusion-int8.ingot --recipe int8-g128 --report errors.json
        ingot quantize ReFusion/ out.ingot --recipe mine.yaml --dry-run
        ingot quantize ReFusion/ out.ingot --target-bits 4.5
      """)

  @Argument(help: "A checkpoint folder or a full-precision .ingot file.", completion: .file())
  var source: String
  @Argument(help: "The .ingot file to write.", completion: .file())
  var output: String
  @Option(
    name: .long, help: "A built-in recipe's name, or a YAML file.",
    completion: .list(["int8", "int4", "int4-pure"]))
  var recipe: String?
  @Option(
    name: .long,
    help: "Choose a scheme for each tensor: the least total error within so many bits per weight.")
  var targetBits: Double?
  @Flag(name: .long, help: "Print what would be written, and write nothing.") var dryRun = false
  @Option(
    name: .long,
    help: ArgumentHelp("Write each tensor's error to this JSON file.", valueName: "file"),
    completion: .file())
  var report: String?
  @Flag(name: .long, help: "Continue an interrupted run, and be able to continue this one.")
  var resume = false
  @OptionGroup var common: CommonOptions

  func validate() throws {
    guard (recipe == nil) != (targetBits == nil) else {
      throw ValidationError("Give either --recipe or --target-bits.")
    }
    if let targetBits, !(4...32).contains(targetBits) {
      throw ValidationError("--target-bits must be between 4 and 32.")
    }
  }

  func run() throws {
    let source = try SourceArgument.open(
      self.source, willCast: !dryRun, quiet: common.quiet)
    let recipe =
      try targetBits.map { try chosenRecipe(for: source, targetBits: $0) }
      ?? Self.recipe(recipe ?? "", for: source.configuration)
    let plan = try CastPlan(
      quantizing: source, by: recipe, toolVersion: BuildInformation.version)
    if dryRun { return print(PlanTable(plan).text(json: common.json)) }
    try OutputFile.refuse(output, sameAs: self.source)
    let run = CastRun(plan, output: output, resume: resume, common: common, label: "quantizing")
    try run.run()
    let figures = run.caster.report(recipe: recipe)
    if let report {
      var writer = JSONWriter(style: .pretty)
      figures.write(to: &writer)
      try OutputFile.write(writer.bytes, to: report)
    }
    if !common.json, !common.quiet { print("\n" + Terminal.printable(figures.table(limit: 10))) }
  }

  private func chosenRecipe(
    for source: any CastSource, targetBits: Double
  ) throws -> Recipe {
    let progress = Progress(
      "choosing", total: source.tensors.count { $0.shape.count == 2 }, unit: .items("tensors"),
      quiet: common.quiet)
    defer { progress.finish() }
    return try source.recipe(targetBits: targetBits) { progress.advance(1) }
  }

  static func recipe(_ name: String, for model: ModelConfiguration) throws -> Recipe {
    if let builtIn = Recipe.builtIn(name, for: model) { return builtIn }
    guard let data = FileManager.default.contents(atPath: name) else {
      throw IngotError(
        "recipe.unknown", "'\(name)' is neither a built-in recipe nor a file",
        advice: "Built in: \(Recipe.builtInNames).")
    }
    guard let text = String(validating: data, as: UTF8.self) else {
      throw IngotError("recipe.utf8", "is not UTF-8 text", path: name)
    }
    return try Recipe(yaml: text, path: name)
  }
}
