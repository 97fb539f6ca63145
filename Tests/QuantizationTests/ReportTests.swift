import Bytes
import Quantization
import Tensors
import Testing

@Suite struct ReportTests {
  static func report() throws -> QuantizationReport {
    let recipe = try #require(Recipe.builtIn("int4", for: RecipeTests.model))
    let entries = try recipe.plan(for: RecipeTests.model, tensors: RecipeTests.tensors).map {
      plan -> QuantizationReport.Entry in
      guard case .quantize(let layout, let method) = plan.action else {
        return .init(plan: plan, error: .none)
      }
      let weights = Weights.gaussian(rows: layout.rows, columns: layout.columns)
      return .init(
        plan: plan, error: try Quantized(weights, layout.scheme.name, method).error)
    }
    return QuantizationReport(recipe: recipe, entries: entries)
  }

  @Test func theJSONHasTheKeysOtherProgramsRead() throws {
    let report = try Self.report()
    var writer = JSONWriter()
    report.write(to: &writer)
    let root = try #require(try JSONValue(parsing: writer.bytes).object)
    #expect(root["bits_per_weight"]?.number == report.bitsPerWeight)
    let tensors = try #require(root["tensors"]?.array)
    #expect(tensors.count == RecipeTests.tensors.count)
    let limits = ["int8-g64": 0.0065, "int6-g64": 0.025, "cb4-g16": 0.07, "cb4-g32": 0.075]
    for (tensor, description) in zip(tensors, RecipeTests.tensors) {
      let object = try #require(tensor.object)
      #expect(object["name"]?.string == description.name)
      let isMatrix = description.shape.count == 2
      let error = try #require(object["relative_error"]?.number)
      let scheme = try #require(object["scheme"]?.string)
      #expect(scheme.contains("-g") == isMatrix)
      #expect(isMatrix ? error > 0 && error < limits[scheme] ?? 0 : error == 0, "\(scheme)")
      #expect((object["cosine"]?.number ?? 0) > 0.99)
      #expect((object["max_abs_error"]?.number ?? -1) >= 0)
      #expect((object["bits_per_weight"]?.number ?? 0) >= 4)
    }
  }

  @Test func theTableStartsWithTheWorstTensor() throws {
    let report = try Self.report()
    let lines = report.table(limit: 3).split(separator: "\n")
    let worst = try #require(report.worstFirst.first)
    #expect(worst.plan.schemeName == "cb4-g32")
    #expect(lines.count == 6)
    #expect(lines[0].hasPrefix("tensor "))
    #expect(lines[1].hasPrefix(worst.plan.name + " "))
    #expect(lines[4] == "… and 13 more with less error")
    #expect(lines[5].hasPrefix("16 tensors quantized, 9 kept, "))
    #expect(lines.allSatisfy { !$0.hasSuffix(" ") })
  }
}
