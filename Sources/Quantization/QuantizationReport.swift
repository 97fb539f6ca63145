package import Bytes

/// What quantization cost, tensor by tensor.
package struct QuantizationReport: Sendable {
  package struct Entry: Sendable {
    package let plan: TensorPlan
    package let error: TensorError

    package init(plan: TensorPlan, error: TensorError) {
      self.plan = plan
      self.error = error
    }
  }

  package let recipe: Recipe
  /// In the order of the file.
  package let entries: [Entry]

  package init(recipe: Recipe, entries: [Entry]) {
    self.recipe = recipe
    self.entries = entries
  }

  /// Bits of stored tensors per weight, kept tensors, headers and padding included.
  package var bitsPerWeight: Double { entries.map(\.plan).bitsPerWeight }

  /// Quantized tensors by relative error, the largest first.
  package var worstFirst: [Entry] {
    entries.filter { $0.plan.action != .keep }.sorted { first, second in
      (second.error.relativeError, first.plan.name) < (first.error.relativeError, second.plan.name)
    }
  }

  package func write(to writer: inout JSONWriter) {
    writer.object { writer in
      writer.member("bits_per_weight", bitsPerWeight)
      writer.member("recipe", recipe.name)
      writer.member("recipe_sha256", recipe.checksum.description)
      writer.key("tensors")
      writer.array { writer in for entry in entries { Self.write(entry, to: &writer) } }
    }
  }

  private static func write(_ entry: Entry, to writer: inout JSONWriter) {
    let (plan, error) = (entry.plan, entry.error)
    writer.object { writer in
      writer.member("name", plan.name)
      writer.key("shape")
      writer.array { writer in for size in plan.shape { writer.value(size) } }
      writer.member("scheme", plan.schemeName)
      if case .quantize(_, let method) = plan.action { writer.member("method", method.rawValue) }
      writer.member("bytes", plan.byteCount)
      writer.member("bits_per_weight", plan.bitsPerWeight)
      writer.member("relative_error", error.relativeError)
      writer.member("cosine", error.cosine)
      writer.member("max_abs_error", error.maximumError)
      writer.member("dead_rows", error.deadRows)
      writer.member("constant_rows", error.constantRows)
      writer.member("outlier_groups", error.outlierGroups)
      writer.member("vanished_groups", error.vanishedGroups)
    }
  }
}
