import Architecture
import Bytes
import Foundation

extension Inspection {
  /// What a person wants to see first, then the tensors by kind or one by one.
  func text(listsTensors: Bool) -> String {
    var lines = [Terminal.styled(Terminal.printable(path), .bold)]
    let labelWidth = max(16, (metadata.map(\.key.count).max() ?? 0) + 2)
    func row(_ label: String, _ value: String) {
      lines.append(
        "  " + Format.padded(Terminal.printable(label), labelWidth) + Terminal.printable(value))
    }
    row("kind", kind)
    if let shape = configuration {
      row("architecture", shape.architecture + (shape.maskToken == nil ? "" : " (ReFusion)"))
      row(
        "shape",
        "\(shape.layerCount) layers, hidden \(shape.hiddenSize), feed-forward "
          + "\(shape.intermediateSize), \(shape.attentionHeads) query and \(shape.keyValueHeads) "
          + "key/value heads of \(shape.headDimension)")
      row("vocabulary", "\(shape.vocabularySize)")
    }
    row("parameters", Format.count(parameters))
    row("file size", Format.bytes(bytes))
    let bits = 8 * Double(tensors.reduce(0) { $0 + $1.bytes }) / Double(max(parameters, 1))
    row("bits per weight", String(format: "%.3f", bits))
    if let memoryNeeded { row("memory to run", Format.bytes(memoryNeeded) + " with 4096 tokens") }
    for (key, value) in metadata where key != "recipe" { row(key, Self.shown(value)) }
    lines.append("")
    lines += listsTensors ? tensorLines : kindLines
    return lines.joined(separator: "\n")
  }

  private static func shown(_ value: JSONValue) -> String {
    switch value {
    case .integer(let count): Format.bytes(count)
    case .bool(let flag): flag ? "yes" : "no"
    case .string(let text): text
    default: ""
    }
  }

  private var tensorLines: [String] {
    tensors.map { tensor in
      let shape = tensor.shape.map(String.init).joined(separator: " × ")
      return Format.padded(Terminal.printable(tensor.name), 48) + Format.padded(shape, 16)
        + Format.padded(tensor.type, 10)
        + Format.padded(Format.bytes(tensor.bytes), 9, right: true)
    }
  }

  /// Tensors that differ only in their layer number, together.
  private var kindLines: [String] {
    var order: [String] = []
    var groups: [String: (count: Int, bytes: Int, shape: [Int], type: String)] = [:]
    for tensor in tensors {
      let parts = tensor.name.split(separator: ".", omittingEmptySubsequences: false)
      let name = parts.map { Int($0) == nil ? String($0) : "*" }.joined(separator: ".")
      let key = "\(name) \(tensor.shape) \(tensor.type)"
      if groups[key] == nil { order.append(key) }
      let old = groups[key] ?? (0, 0, tensor.shape, tensor.type)
      groups[key] = (old.count + 1, old.bytes + tensor.bytes, tensor.shape, tensor.type)
    }
    let width = 2 + (order.map { $0.prefix { $0 != " " }.count }.max() ?? 0)
    return order.compactMap { key in
      groups[key].map { group in
        let name = key.prefix { $0 != " " }
        let shape = group.shape.map(String.init).joined(separator: " × ")
        return Format.padded("\(group.count) ×", 6, right: true) + "  "
          + Format.padded(Terminal.printable(String(name)), width) + Format.padded(shape, 16)
          + Format.padded(group.type, 10) + Format.padded(Format.bytes(group.bytes), 9, right: true)
      }
    }
  }
}
