package import Bytes
package import Tensors

/// How each tensor of a model is stored: a default for the matrices and rules for exceptions.
///
/// Of the rules that match a tensor's name, the first one holds. Norms and biases are kept unless
/// a rule says otherwise.
package struct Recipe: Sendable, Hashable {
  package enum Action: Sendable, Hashable {
    case keep
    case quantize(QuantizationScheme, RoundingMethod)
  }

  package struct Rule: Sendable, Hashable {
    /// The tensors it is for: names that any of these match.
    package let tensors: [NameGlob]
    package let action: Action

    package init(_ tensors: [String], _ action: Action) {
      self.tensors = tensors.map { NameGlob($0) }
      self.action = action
    }

    package func matches(_ name: String) -> Bool { tensors.contains { $0.matches(name) } }
  }

  /// For people; not part of what the recipe does.
  package var name: String
  package var standard: Action
  package var rules: [Rule]
  /// Whether the embedding row of the MASK token, which stands for every undecided position, is
  /// also stored bit for bit when the embedding is quantized.
  package var keepsMaskRow: Bool
  /// Where it was read, for messages; nil for one that is built in.
  package var path: String?

  package init(
    name: String, standard: Action, rules: [Rule] = [], keepsMaskRow: Bool, path: String? = nil
  ) {
    self.name = name
    self.standard = standard
    self.rules = rules
    self.keepsMaskRow = keepsMaskRow
    self.path = path
  }

  /// What the recipe does, as one line of JSON: equal for recipes that do the same. JSON is YAML,
  /// so `init(yaml:path:)` reads it again.
  package var canonicalText: String {
    var writer = JSONWriter()
    writer.object { writer in
      writer.member("version", 1)
      Self.write(standard, named: "default", to: &writer)
      writer.member("exact_mask_row", keepsMaskRow)
      writer.key("rules")
      writer.array { writer in
        for rule in rules {
          writer.object { writer in
            writer.key("tensors")
            writer.array { writer in for glob in rule.tensors { writer.value(glob.pattern) } }
            Self.writeMembers(rule.action, to: &writer)
          }
        }
      }
    }
    return writer.text
  }

  /// SHA-256 of the canonical text.
  package var checksum: Checksum { Checksum(of: Array(canonicalText.utf8)) }

  private static func write(_ action: Action, named name: String, to writer: inout JSONWriter) {
    writer.key(name)
    if action == .keep {
      writer.value("keep")
    } else {
      writer.object { writer in writeMembers(action, to: &writer) }
    }
  }

  private static func writeMembers(_ action: Action, to writer: inout JSONWriter) {
    switch action {
    case .keep: writer.member("action", "keep")
    case .quantize(let scheme, let method):
      writer.member("scheme", scheme.name)
      writer.member("method", method.rawValue)
    }
  }
}
