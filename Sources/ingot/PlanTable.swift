import Bytes
import Casting
import IngotFormat

/// What `--dry-run` prints: every tensor, its scheme and size, and the exact size of the file.
struct PlanTable {
  private let plan: CastPlan

  init(_ plan: CastPlan) { self.plan = plan }

  private var weights: Int { plan.file.tensors.reduce(0) { $0 + $1.elementCount } }
  private var tensorBytes: Int { plan.file.tensors.reduce(0) { $0 + $1.byteRange.count } }
  private var bitsPerWeight: Double { 8 * Double(tensorBytes) / Double(max(weights, 1)) }

  func text(json: Bool) -> String { json ? self.json : table }

  private var table: String {
    var lines = plan.file.tensors.map { tensor in
      let shape = tensor.shape.map(String.init).joined(separator: " × ")
      return Format.padded(Terminal.printable(tensor.name), 48) + Format.padded(shape, 16)
        + Format.padded(tensor.typeName, 12)
        + Format.padded(Format.bytes(tensor.byteRange.count), 9, right: true)
    }
    lines.append("")
    lines.append(
      "\(plan.file.tensors.count) tensors, \(Format.count(weights)) parameters, "
        + String(format: "%.3f bits per weight", bitsPerWeight))
    lines.append("file: \(plan.file.fileBytes) bytes (\(Format.bytes(plan.file.fileBytes)))")
    return lines.joined(separator: "\n")
  }

  private var json: String {
    var writer = JSONWriter()
    writer.object { object in
      object.key("bytes")
      object.value(plan.file.fileBytes)
      object.key("bits_per_weight")
      object.value(bitsPerWeight)
      object.key("tensors")
      object.array { array in
        for tensor in plan.file.tensors { TensorJSON.write(tensor, to: &array) }
      }
    }
    return writer.text
  }
}

/// One tensor of a file in JSON results: `{"name","shape","type","bytes"}`.
enum TensorJSON {
  static func write(_ tensor: IngotTensor, to writer: inout JSONWriter) {
    write(
      name: tensor.name, shape: tensor.shape, type: tensor.typeName,
      bytes: tensor.byteRange.count, to: &writer)
  }

  static func write(
    name: String, shape: [Int], type: String, bytes: Int, to writer: inout JSONWriter
  ) {
    writer.object { object in
      object.key("name")
      object.value(name)
      object.key("shape")
      object.array { array in for dimension in shape { array.value(dimension) } }
      object.key("type")
      object.value(type)
      object.key("bytes")
      object.value(bytes)
    }
  }
}
