import ArgumentParser
import Bytes
import Casting
import Foundation
import IngotFormat
import Kernels

struct Check: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Check every structural rule and every hash of an .ingot file, or a parity report.",
    discussion: """
      Examples:
        ingot check model.ingot
        ingot check model.ingot --source ReFusion/
        ingot check --report report.json --rerun 4
      """)

  @Argument(help: "An .ingot file.", completion: .file())
  var file: String?
  @Option(
    name: .long,
    help: ArgumentHelp(
      "Recompute each tensor from this checkpoint or .ingot and demand equal bytes.",
      valueName: "path"), completion: .file())
  var source: String?
  @OptionGroup(title: "Parity reports") var report: CheckReportOptions
  @OptionGroup var common: CommonOptions

  func validate() throws {
    if report.report != nil {
      guard file == nil, source == nil else {
        throw ValidationError("Give an .ingot file or --report, not both.")
      }
    } else {
      guard file != nil else { throw ValidationError("Give an .ingot file, or --report.") }
      guard report.isEmpty else {
        throw ValidationError("--rerun, --reference, --candidate and --pairs need --report.")
      }
    }
  }

  func run() throws {
    if let path = report.report {
      try CheckReport(path: path, options: report, common: common).run()
    } else {
      try check(file ?? "")
    }
  }

  private func check(_ file: String) throws {
    let opened = try IngotFile.open(file)
    let pool = common.makePool()
    let bytes = opened.tensors.reduce(0) { $0 + $1.byteRange.count }
    let progress = Progress("checking", total: bytes, unit: .bytes, quiet: common.quiet)
    let problems = opened.check(threads: pool.threads) { progress.advance($0) }
    progress.finish()
    for problem in problems { Terminal.complain(problem) }
    guard problems.isEmpty else { throw ExitCode(2) }
    if let source {
      try SourceComparison(opened, source: source, common: common).run(pool: pool)
    }
    try summarize(opened)
  }

  private func summarize(_ opened: IngotFile) throws {
    let compared = source.map { " and equal to what \($0) gives" } ?? ""
    if common.json {
      var writer = JSONWriter()
      writer.object { object in
        object.key("path")
        object.value(opened.path)
        object.key("tensors")
        object.value(opened.tensors.count)
        object.key("directory_sha256")
        object.value(opened.checksum.description)
        object.key("intact")
        object.value(true)
      }
      print(writer.text)
    } else {
      print("\(opened.path): \(opened.tensors.count) tensors, every hash right\(compared)")
    }
  }
}

/// `check --source`: casts the source again by the recipe in the file and compares.
private struct SourceComparison {
  let file: IngotFile
  let path: String
  let common: CommonOptions

  init(_ file: IngotFile, source: String, common: CommonOptions) {
    self.file = file
    path = source
    self.common = common
  }

  func run(pool: ThreadPool) throws {
    let source = try SourceArgument.open(path, willCast: true, quiet: common.quiet)
    let plan = try CastPlan(reproducing: file, from: source)
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
      "ingot-check-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let again = folder.appendingPathComponent("again.ingot").path
    let caster = Caster(plan)
    let progress = Progress(
      "recomputing", total: caster.workBytes, unit: .bytes, quiet: common.quiet)
    try caster.run(to: again, pool: pool) { progress.advance($0) }
    progress.finish()
    let recomputed = try IngotFile.open(again)
    for tensor in file.tensors {
      guard let other = recomputed.tensor(named: tensor.name), other.shape == tensor.shape,
        other.typeName == tensor.typeName, other.checksum == tensor.checksum
      else {
        throw IngotError(
          "check.differs", "differs from what \(path) gives", path: file.path, tensor: tensor.name,
          advice: "The file was made from other weights, by another recipe or by another version.")
      }
    }
  }
}
