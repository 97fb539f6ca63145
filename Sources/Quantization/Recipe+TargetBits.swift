package import Architecture
package import Bytes
package import Tensors

/// How much the model suffers when one tensor is stored in one scheme; errors of tensors add up.
///
/// The seam between choosing schemes and knowing what matters: `WeightSensitivity` measures the
/// weights alone, statistics of activations can take its place.
package protocol SensitivitySource {
  /// - Returns: a number ≥ 0, the same unit for all tensors.
  func error(
    of tensor: TensorDescription, in scheme: QuantizationScheme
  ) throws(IngotError) -> Double
}

extension Recipe {
  /// What `choose` picks from, beside keeping a tensor: at each size the kind of least error.
  package static let targetSchemes: [QuantizationScheme] =
    [128, 64, 32, 16].compactMap { QuantizationScheme(.cb4, groupSize: $0) }
    + [128, 64, 32].compactMap { QuantizationScheme(.int6, groupSize: $0) }
    + [128, 64, 32].compactMap { QuantizationScheme(.int8, groupSize: $0) }

  /// The recipe of least total error among those whose tensors take at most `targetBits` bits per
  /// weight of the model, kept tensors, headers and padding included.
  ///
  /// Starts with every matrix as small as it gets and takes the steps that save most error per
  /// byte first, each along the tensor's own lower convex hull of error over bytes: the greedy
  /// solution of the multiple-choice knapsack. One large step that does not fit any more can be worth
  /// many small ones (a head of a tenth of the weights), so each step is also tried as the first.
  ///
  /// - Throws: `recipe.targetBits` when even the smallest schemes are larger.
  package static func choose(
    targetBits: Double, for model: ModelConfiguration, tensors: [TensorDescription],
    sensitivity: some SensitivitySource
  ) throws(IngotError) -> Recipe {
    let budget = Budget(model: model, tensors: tensors)
    var ladders: [(name: String, steps: [Choice])] = []
    for tensor in budget.matrices {
      let choices = try choices(for: tensor, in: budget, sensitivity: sensitivity)
      ladders.append((tensor.name, lowerHull(choices)))
    }
    let least = budget.keptBytes + ladders.reduce(0) { $0 + $1.steps[0].bytes }
    guard Double(least) <= budget.bytes(targetBits) else {
      let bits = QuantizationReport.decimal(budget.bits(least) + 0.0005, places: 3)
      throw IngotError(
        "recipe.targetBits", "\(targetBits) bits per weight are not enough for this model",
        advice: "Its smallest form takes \(bits).")
    }
    let levels = best(ladders.map(\.steps), from: least, to: budget.bytes(targetBits))
    let chosen = zip(ladders, levels).map { (name: $0.name, action: $0.steps[$1].action) }
    return recipe("target-\(targetBits)", chosen)
  }

  /// One way to store a tensor.
  package struct Choice {
    package let action: Action
    package let bytes: Int
    package let error: Double

    package init(action: Action, bytes: Int, error: Double) {
      self.action = action
      self.bytes = bytes
      self.error = error
    }
  }

  /// What does not depend on the choice.
  private struct Budget {
    let matrices: [TensorDescription]
    let keptBytes: Int
    let weights: Int
    let exactBytes: (TensorDescription) -> Int

    init(model: ModelConfiguration, tensors: [TensorDescription]) {
      let names = Set(
        model.tensors.filter { [.linear, .head, .embedding].contains($0.role) }.map(\.name))
      func size(_ tensor: TensorDescription) -> Int { tensor.shape.reduce(1, *) }
      matrices = tensors.filter {
        names.contains($0.name) && $0.shape.count == 2 && $0.elementType.isComputable
      }
      let chosen = Set(matrices.map(\.name))
      keptBytes = tensors.filter { !chosen.contains($0.name) }
        .reduce(0) { $0 + size($1) * $1.elementType.byteCount }
      weights = tensors.reduce(0) { $0 + size($1) }
      let hasMask = model.maskToken != nil
      exactBytes = { tensor in
        hasMask && tensor.name == ModelConfiguration.embeddingName
          ? TensorPlan.exactBytes(rows: 1, columns: tensor.shape[1], type: tensor.elementType) : 0
      }
    }

    func bytes(_ bits: Double) -> Double { bits * Double(weights) / 8 }
    func bits(_ bytes: Int) -> Double { weights > 0 ? 8 * Double(bytes) / Double(weights) : 0 }
  }

  private static func choices(
    for tensor: TensorDescription, in budget: Budget, sensitivity: some SensitivitySource
  ) throws(IngotError) -> [Choice] {
    let elements = tensor.shape.reduce(1, *)
    var all = [Choice(action: .keep, bytes: elements * tensor.elementType.byteCount, error: 0)]
    for scheme in targetSchemes {
      guard
        let layout = TileLayout(scheme: scheme, rows: tensor.shape[0], columns: tensor.shape[1])
      else { continue }
      all.append(
        Choice(
          action: .quantize(scheme, .search),
          bytes: layout.payloadBytes + budget.exactBytes(tensor),
          error: try sensitivity.error(of: tensor, in: scheme)))
    }
    return all
  }

  /// The choices that some price of a byte makes the best, smallest first.
  static func lowerHull(_ choices: [Choice]) -> [Choice] {
    let ascending = choices.sorted { ($0.bytes, $0.error) < ($1.bytes, $1.error) }
    var hull: [Choice] = []
    for choice in ascending {
      if let last = hull.last, choice.error >= last.error { continue }
      while hull.count >= 2 {
        let (first, middle) = (hull[hull.count - 2], hull[hull.count - 1])
        guard saving(first, middle) <= saving(first, choice) else { break }
        hull.removeLast()
      }
      hull.append(choice)
    }
    return hull
  }

  /// Error saved per byte by going from one choice to a larger one.
  private static func saving(_ smaller: Choice, _ larger: Choice) -> Double {
    let bytes = Double(larger.bytes - smaller.bytes)
    return bytes > 0 ? (smaller.error - larger.error) / bytes : .infinity
  }

  /// A tensor going one choice up its ladder.
  private struct Step {
    let tensor: Int
    let level: Int
    let saving: Double
  }

  /// How far up its ladder each tensor gets: the least total error of `climb` from every start.
  package static func best(_ ladders: [[Choice]], from least: Int, to limit: Double) -> [Int] {
    var steps: [Step] = []
    for (tensor, ladder) in ladders.enumerated() {
      for level in ladder.indices.dropFirst() {
        steps.append(
          Step(tensor: tensor, level: level, saving: saving(ladder[level - 1], ladder[level])))
      }
    }
    steps.sort { ($1.saving, $0.tensor, $0.level) < ($0.saving, $1.tensor, $1.level) }
    func error(_ levels: [Int]) -> Double {
      zip(ladders, levels).reduce(0) { $0 + $1.0[$1.1].error }
    }
    var best = climb(ladders, steps, first: nil, from: least, to: limit)
    var leastError = error(best)
    for step in steps {
      let growth = ladders[step.tensor][step.level].bytes - ladders[step.tensor][0].bytes
      guard Double(least + growth) <= limit, best[step.tensor] < step.level else { continue }
      let other = climb(ladders, steps, first: step, from: least, to: limit)
      let otherError = error(other)
      guard otherError < leastError else { continue }
      (best, leastError) = (other, otherError)
    }
    return best
  }

  /// Takes `first`, which fits, with all below it, and then every step that still fits, in order.
  private static func climb(
    _ ladders: [[Choice]], _ steps: [Step], first: Step?, from least: Int, to limit: Double
  ) -> [Int] {
    var levels = [Int](repeating: 0, count: ladders.count)
    var bytes = least
    if let first {
      levels[first.tensor] = first.level
      bytes += ladders[first.tensor][first.level].bytes - ladders[first.tensor][0].bytes
    }
    for step in steps where levels[step.tensor] == step.level - 1 {
      let ladder = ladders[step.tensor]
      let growth = ladder[step.level].bytes - ladder[step.level - 1].bytes
      guard Double(bytes + growth) <= limit else { continue }
      bytes += growth
      levels[step.tensor] = step.level
    }
    return levels
  }

  /// The most common action as the default, one rule for each other one.
  private static func recipe(
    _ name: String, _ chosen: [(name: String, action: Action)]
  ) -> Recipe {
    var groups: [(action: Action, names: [String])] = []
    for (name, action) in chosen {
      if let index = groups.firstIndex(where: { $0.action == action }) {
        groups[index].names.append(name)
      } else {
        groups.append((action, [name]))
      }
    }
    let most = groups.map(\.names.count).max() ?? 0
    guard let standard = groups.firstIndex(where: { $0.names.count == most }) else {
      return Recipe(name: name, standard: .keep, keepsMaskRow: true)
    }
    let rules = groups.indices.filter { $0 != standard }
      .map { Rule(groups[$0].names, groups[$0].action) }
    return Recipe(
      name: name, standard: groups[standard].action, rules: rules, keepsMaskRow: true)
  }
}
