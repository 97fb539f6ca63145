package import Bytes
internal import Tensors
internal import Yams

extension Recipe {
  /// Reads a recipe.
  ///
  /// ```yaml
  /// version: 1                 # optional
  /// name: careful              # optional
  /// default: cb4-g16           # or `keep`
  /// exact_mask_row: true       # optional, true when absent
  /// rules:                     # optional; the first that matches a tensor's name holds
  ///   - tensors: "*.mlp.down_proj.weight"
  ///     scheme: int8
  ///     group: 64
  ///     method: search         # or `plain`; search when absent
  ///   - tensors: [lm_head.weight, model.embed_tokens.weight]
  ///     action: keep
  /// ```
  ///
  /// - Throws: `recipe.yaml` for text that is no YAML, `recipe.form` for one that says anything
  ///   this version does not know.
  package init(yaml: String, path: String) throws(IngotError) {
    let root: Node?
    do {
      root = try Yams.compose(yaml: yaml)
    } catch {
      throw IngotError("recipe.yaml", "is not valid YAML: \(error)", path: path)
    }
    guard let root else { throw IngotError("recipe.form", "is empty", path: path) }
    let fields = try RecipeFields(
      root, place: "the recipe", path: path,
      known: ["version", "name", "default", "exact_mask_row", "rules"])
    if let version = try fields.integer("version"), version != 1 {
      throw fields.error("has version \(version); this program reads version 1")
    }
    guard let standard = fields["default"] else {
      throw fields.error("has no default", advice: "Add a line such as `default: cb4-g16`.")
    }
    var rules: [Rule] = []
    if let list = fields["rules"] {
      guard let nodes = list.sequence else { throw fields.error("`rules` is not a list") }
      for (index, node) in nodes.enumerated() {
        rules.append(try Self.rule(node, place: "rule \(index + 1)", path: path))
      }
    }
    self.init(
      name: try fields.string("name") ?? path,
      standard: try Self.standard(standard, fields: fields), rules: rules,
      keepsMaskRow: try fields.boolean("exact_mask_row") ?? true, path: path)
  }

  private static let actionKeys = ["action", "scheme", "group", "method"]

  /// The default: `keep`, a scheme's name, or the same keys as in a rule.
  private static func standard(
    _ node: Node, fields: RecipeFields
  ) throws(IngotError) -> Action {
    if node.mapping != nil {
      return try action(
        RecipeFields(node, place: "the default", path: fields.path, known: actionKeys))
    }
    guard let text = node.scalar?.string else {
      throw fields.error("`default` is neither a name nor a mapping")
    }
    return text == "keep"
      ? .keep : .quantize(try scheme(text, group: nil, fields: fields), .search)
  }

  private static func rule(
    _ node: Node, place: String, path: String
  ) throws(IngotError) -> Rule {
    let fields = try RecipeFields(
      node, place: place, path: path, known: ["tensors"] + actionKeys)
    guard let patterns = try fields.strings("tensors"), !patterns.isEmpty else {
      throw fields.error("has no `tensors`", advice: "Give it a pattern of tensor names.")
    }
    return Rule(patterns, try action(fields))
  }

  private static func action(_ fields: RecipeFields) throws(IngotError) -> Action {
    let group = try fields.integer("group")
    let methodName = try fields.string("method")
    let schemeName = try fields.string("scheme")
    if let action = try fields.string("action"), action != "quantize" {
      guard action == "keep" else {
        throw fields.error("`action` is \(action), neither keep nor quantize")
      }
      guard schemeName == nil, group == nil, methodName == nil else {
        throw fields.error("keeps its tensors, so it has no scheme, group or method")
      }
      return .keep
    }
    guard let schemeName else {
      throw fields.error("has neither `scheme` nor `action: keep`")
    }
    guard let method = RoundingMethod(rawValue: methodName ?? "search") else {
      throw fields.error("`method` is \(methodName ?? ""), neither plain nor search")
    }
    return .quantize(try scheme(schemeName, group: group, fields: fields), method)
  }

  /// `int4-g64`, or `int4` with a group of its own.
  private static func scheme(
    _ name: String, group: Int?, fields: RecipeFields
  ) throws(IngotError) -> QuantizationScheme {
    let full = group.map { "\(name)-g\($0)" } ?? name
    if let scheme = QuantizationScheme(name: full) { return scheme }
    let kinds = QuantizationScheme.Kind.allCases.map { kind in
      "\(kind.name) with groups of \(kind.groupSizes.map(String.init).joined(separator: ", "))"
    }
    throw fields.error(
      "names no scheme: \(full)", advice: "There are \(kinds.joined(separator: "; ")).")
  }
}

/// The entries of one YAML mapping, every key of which must be known.
private struct RecipeFields {
  let path: String
  private let place: String
  private let values: [String: Node]

  init(_ node: Node, place: String, path: String, known: [String]) throws(IngotError) {
    self.place = place
    self.path = path
    var values: [String: Node] = [:]
    guard let mapping = node.mapping else {
      throw IngotError("recipe.form", "\(place) is not a mapping of keys to values", path: path)
    }
    for (key, value) in mapping {
      guard let name = key.scalar?.string, known.contains(name) else {
        throw IngotError(
          "recipe.form", "\(place) has an unknown key: \(key.scalar?.string ?? "?")", path: path,
          advice: "Known are \(known.joined(separator: ", ")).")
      }
      guard values.updateValue(value, forKey: name) == nil else {
        throw IngotError("recipe.form", "\(place) has `\(name)` twice", path: path)
      }
    }
    self.values = values
  }

  subscript(name: String) -> Node? { values[name] }

  func error(_ message: String, advice: String? = nil) -> IngotError {
    IngotError("recipe.form", "\(place): \(message)", path: path, advice: advice)
  }

  func string(_ name: String) throws(IngotError) -> String? {
    guard let node = values[name] else { return nil }
    guard let text = node.scalar?.string, !text.isEmpty else {
      throw error("`\(name)` is not a word")
    }
    return text
  }

  /// One string, or a list of them.
  func strings(_ name: String) throws(IngotError) -> [String]? {
    guard let node = values[name], let list = node.sequence else {
      return try string(name).map { [$0] }
    }
    var all: [String] = []
    for item in list {
      guard let text = item.scalar?.string, !text.isEmpty else {
        throw error("`\(name)` holds something that is not a word")
      }
      all.append(text)
    }
    return all
  }

  func integer(_ name: String) throws(IngotError) -> Int? {
    guard let node = values[name] else { return nil }
    guard let value = node.int else { throw error("`\(name)` is not a whole number") }
    return value
  }

  func boolean(_ name: String) throws(IngotError) -> Bool? {
    guard let node = values[name] else { return nil }
    guard let value = node.bool else { throw error("`\(name)` is neither true nor false") }
    return value
  }
}
