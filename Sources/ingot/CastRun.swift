import Bytes
import Casting
import Foundation
import Kernels

/// Runs a cast with a progress bar and says what came out.
struct CastRun {
  let caster: Caster
  let output: String
  let resume: Bool
  let common: CommonOptions
  let label: String

  init(_ plan: CastPlan, output: String, resume: Bool, common: CommonOptions, label: String) {
    caster = Caster(plan)
    self.output = output
    self.resume = resume
    self.common = common
    self.label = label
  }

  func run() throws {
    let progress = Progress(
      label, total: caster.workBytes, unit: .bytes, quiet: common.quiet)
    let start = ContinuousClock.now
    do {
      try caster.run(to: output, pool: common.makePool(), resume: resume) { progress.advance($0) }
    } catch {
      progress.finish()
      throw error
    }
    progress.finish()
    let seconds = (ContinuousClock.now - start) / .seconds(1)
    let plan = caster.plan
    let sourceBytes = plan.source.tensors.reduce(0) { $0 + $1.byteCount }
    if common.json {
      var writer = JSONWriter()
      writer.object { object in
        object.key("output")
        object.value(output)
        object.key("bytes")
        object.value(plan.file.fileBytes)
        object.key("source_bytes")
        object.value(sourceBytes)
        object.key("tensors")
        object.value(plan.file.tensors.count)
        object.key("seconds")
        object.value(seconds)
        object.key("phases")
        object.object { phases in
          for (name, seconds) in caster.phases.all {
            phases.key(name)
            phases.value(seconds)
          }
        }
      }
      print(writer.text)
    } else {
      let rate = Format.bytes(Int(Double(sourceBytes) / max(seconds, 1e-9)))
      print(
        "\(output): \(plan.file.tensors.count) tensors, \(Format.bytes(plan.file.fileBytes)) "
          + "from \(Format.bytes(sourceBytes)) of weights in "
          + String(format: "%.2f s", seconds) + " (\(rate)/s)")
      if !common.quiet { print(phaseLine) }
    }
  }

  /// Where the time went; phases that did not happen are left out.
  private var phaseLine: String {
    let phases = caster.phases.all.filter { $0.seconds > 0 }.map { phase in
      "\(phase.name) " + String(format: "%.2f s", phase.seconds)
    }
    return "Time of all threads: " + phases.joined(separator: ", ")
  }
}
