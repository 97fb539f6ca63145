import Architecture
import Bytes
import Quantization
import Tensors
import Testing

@Suite struct TargetBitsTests {
  /// Bits of noise: 6 dB for each bit, times what the tensor is said to matter.
  struct Assumed: SensitivitySource {
    var factors: [String: Double] = [:]
    func error(
      of tensor: TensorDescription, in scheme: QuantizationScheme
    ) throws(IngotError) -> Double {
      let power = scheme.bitsPerWeight * 2
      var noise = 1.0
      for _ in 0..<Int(power) { noise /= 2 }
      return noise * (2 - (power - power.rounded(.down))) / 2 * (factors[tensor.name] ?? 1)
    }
  }

  static func choose(_ bits: Double, _ sensitivity: some SensitivitySource = Assumed()) throws
    -> (plans: [String: TensorPlan], bits: Double)
  {
    let recipe = try Recipe.choose(
      targetBits: bits, for: RecipeTests.model, tensors: RecipeTests.tensors,
      sensitivity: sensitivity)
    let plans = try recipe.plan(for: RecipeTests.model, tensors: RecipeTests.tensors)
    return (Dictionary(uniqueKeysWithValues: plans.map { ($0.name, $0) }), plans.bitsPerWeight)
  }

  @Test(arguments: [4.5, 5, 6, 7.5, 8.6, 12, 20])
  func theBudgetIsKeptAndUsed(target: Double) throws {
    let bits = try Self.choose(target).bits
    #expect(bits <= target)
    // The largest step is a head or embedding of 96 × 128 weights from 4.5 to 8 bits or from 8.5
    // to 16: no more than 1.3 bits over all weights of this model.
    #expect(bits >= min(target, 16) - 1.3)
  }

  @Test func moreBitsNeverHurt() throws {
    func error(_ target: Double) throws -> Double {
      try Self.choose(target).plans.values.reduce(0) { sum, plan in
        guard case .quantize(let layout, _) = plan.action else { return sum }
        return sum
          + (try Assumed().error(
            of: (plan.name, plan.shape, plan.sourceType), in: layout.scheme))
      }
    }
    let errors = try [4.5, 5, 6, 7, 8, 9, 11, 16].map(error)
    #expect(zip(errors, errors.dropFirst()).allSatisfy { $0 >= $1 })
    #expect(errors.last == 0)
  }

  @Test func tensorsThatMatterGetMoreBits() throws {
    let name = "model.layers.1.mlp.up_proj.weight"
    let plans = try Self.choose(5.5, Assumed(factors: [name: 1000])).plans
    let others = plans.values.filter { $0.shape == plans[name]?.shape && $0.name != name }
    let bits = try #require(plans[name]?.bitsPerWeight)
    #expect(!others.isEmpty)
    #expect(others.allSatisfy { $0.bitsPerWeight < bits })
  }

  /// The first tensor's step saves most error, but less per byte than the second's, after which it
  /// does not fit any more.
  @Test func aLargeStepIsNotCrowdedOutByASmallOne() {
    func ladder(_ steps: (bytes: Int, error: Double)...) -> [Recipe.Choice] {
      steps.map { Recipe.Choice(action: .keep, bytes: $0.bytes, error: $0.error) }
    }
    let ladders = [ladder((10, 10), (110, 0)), ladder((10, 3), (30, 0)), ladder((10, 1), (15, 0))]
    #expect(Recipe.best(ladders, from: 30, to: 140) == [1, 0, 1])
    #expect(Recipe.best(ladders, from: 30, to: 100) == [0, 1, 1])
    #expect(Recipe.best(ladders, from: 30, to: 160) == [1, 1, 1])
    #expect(Recipe.best(ladders, from: 30, to: 30) == [0, 0, 0])
  }

  @Test func aBudgetBelowTheSmallestSchemesIsRefused() {
    let error = #expect(throws: IngotError.self) { try Self.choose(4) }
    #expect(error?.code == "recipe.targetBits")
    #expect(error?.advice?.contains("Its smallest form takes 4.") == true)
  }

  @Test func weightsAreMeasuredOnASample() throws {
    let weights = Weights.gaussian(rows: 300, columns: 256)
    let source = WeightSensitivity(of: RecipeTests.model) { (_, rows) throws(IngotError) in
      Array(weights.bytes[rows.lowerBound * 512..<rows.upperBound * 512])
    }
    let tensor = (
      name: ModelConfiguration.headName, shape: [300, 256], elementType: ElementType.bfloat16
    )
    for (name, low, high) in [("cb4-g16", 0.060, 0.066), ("int8-g32", 0.0044, 0.0054)] {
      let scheme = try #require(QuantizationScheme(name: name))
      let error = try source.error(of: tensor, in: scheme)
      #expect(error > low * low && error < high * high)
    }
  }

  /// The same noise counts most in the head, and in outer layers three times what it does between;
  /// all layers together count as if there were no such difference.
  @Test(arguments: [1, 2, 6, 28])
  func noiseCountsByWhereItIs(layers: Int) throws {
    let weights = Weights.gaussian(rows: 16, columns: 256)
    var model = RecipeTests.model
    model.layerCount = layers
    let source = WeightSensitivity(of: model) { (_, _) in Array(weights.bytes) }
    let scheme = try #require(QuantizationScheme(.int4, groupSize: 64))
    func error(_ name: String) throws -> Double {
      try source.error(of: (name: name, shape: [16, 256], elementType: .bfloat16), in: scheme)
    }
    let head = try error(ModelConfiguration.headName)
    let shares = try (0..<layers).map { try error("model.layers.\($0).mlp.up_proj.weight") / head }
    #expect(abs(shares.reduce(0, +) * 16 - 1) < 1e-9)
    let outer = [1: 0, 2: 1, 6: 1, 28: 3][layers] ?? 0
    #expect(zip(shares, shares.reversed()).allSatisfy { $0 == $1 })
    if outer > 0, layers > 2 * outer {
      #expect(abs(shares[outer - 1] / shares[outer] - 3) < 1e-9)
    }
  }
}
