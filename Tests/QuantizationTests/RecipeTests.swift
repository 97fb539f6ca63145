import Architecture
import Bytes
import Quantization
import Tensors
import Testing

@Suite struct RecipeTests {
  static let model = ModelConfiguration(
    vocabularySize: 96, hiddenSize: 128, intermediateSize: 192, layerCount: 2, attentionHeads: 2,
    keyValueHeads: 1, headDimension: 64, maskToken: 90)
  static let tensors: [TensorDescription] = model.tensors.map { ($0.name, $0.shape, .bfloat16) }

  static func plan(_ recipe: Recipe) throws -> [String: TensorPlan] {
    let plans = try recipe.plan(for: model, tensors: tensors)
    #expect(plans.map(\.name) == tensors.map(\.name))
    return Dictionary(uniqueKeysWithValues: plans.map { ($0.name, $0) })
  }

  static func parse(_ yaml: String) throws -> Recipe { try Recipe(yaml: yaml, path: "r.yaml") }

  @Test func theMixedDefaultKeepsHeadAndEmbeddingAtEightBits() throws {
    let plan = try Self.plan(try #require(Recipe.builtIn("int4", for: Self.model)))
    #expect(plan["lm_head.weight"]?.schemeName == "int8-g64")
    #expect(plan["model.embed_tokens.weight"]?.schemeName == "int8-g64")
    #expect(plan["model.embed_tokens.weight"]?.exactRows == [90])
    #expect(plan["model.layers.1.mlp.down_proj.weight"]?.exactRows == [])
    #expect(plan["model.norm.weight"]?.action == .keep)
    #expect(plan["model.layers.0.self_attn.q_norm.weight"]?.action == .keep)
  }

  /// Layers of the first and the last eighth are outer ones, where there are two layers.
  @Test(arguments: [(1, []), (2, [0, 1]), (3, [0, 2]), (17, [0, 1, 15, 16])])
  func theMixedDefaultGivesOuterLayersMoreBits(layers: Int, outer: [Int]) throws {
    var model = Self.model
    model.layerCount = layers
    let tensors: [TensorDescription] = model.tensors.map { ($0.name, $0.shape, .bfloat16) }
    let recipe = try #require(Recipe.builtIn("int4", for: model))
    let schemes = Dictionary(
      uniqueKeysWithValues: try recipe.plan(for: model, tensors: tensors)
        .map { ($0.name, $0.schemeName) })
    for layer in 0..<layers {
      for (tensor, inner, atEdge) in [
        ("self_attn.q", "cb4-g64", "int6-g64"), ("self_attn.k", "int6-g64", "int6-g64"),
        ("self_attn.v", "int6-g64", "int6-g64"), ("self_attn.o", "cb4-g64", "int6-g64"),
        ("mlp.gate", "cb4-g64", "cb4-g32"), ("mlp.up", "cb4-g64", "cb4-g32"),
        ("mlp.down", "cb4-g64", "cb4-g16"),
      ] {
        let name = "model.layers.\(layer).\(tensor)_proj.weight"
        #expect(schemes[name] == (outer.contains(layer) ? atEdge : inner), "\(name)")
      }
    }
  }

  @Test(arguments: ["int8", "int4", "int4-pure", "cb4-g32"])
  func builtInRecipesFitModelsWithTiedEmbeddings(name: String) throws {
    var tied = Self.model
    tied.tiesEmbeddings = true
    tied.maskToken = nil
    let tensors: [TensorDescription] = tied.tensors.map { ($0.name, $0.shape, .bfloat16) }
    let plans = try #require(Recipe.builtIn(name, for: tied)).plan(for: tied, tensors: tensors)
    #expect(plans.allSatisfy { ($0.action == .keep) == ($0.shape.count == 1) })
    #expect(plans.allSatisfy { $0.exactRows.isEmpty })
  }

  @Test func theOtherBuiltInRecipesTreatAllMatricesAlike() throws {
    for (name, scheme) in [
      ("int8", "int8-g64"), ("int4-pure", "cb4-g16"), ("int8-g32", "int8-g32"),
      ("int4-g64", "int4-g64"), ("int6", "int6-g64"), ("int4z-g32", "int4z-g32"),
      ("cb4-g32", "cb4-g32"),
      ("cb4", "cb4-g16"), ("int4-g32-plain", "int4-g32"),
    ] {
      for plan in try Self.plan(try #require(Recipe.builtIn(name, for: Self.model))).values {
        #expect(plan.schemeName == (plan.shape.count == 2 ? scheme : "BF16"), "\(name)")
        if case .quantize(_, let method) = plan.action {
          #expect(method == (name.hasSuffix("-plain") ? .plain : .search))
        }
      }
    }
    for name in ["", "int5", "int4-g16", "cb4-g8", "int8-g032", "plain", "int4-g64-fast"] {
      #expect(Recipe.builtIn(name, for: Self.model) == nil, "\(name)")
    }
  }

  @Test func theFirstRuleThatMatchesHolds() throws {
    let plan = try Self.plan(
      Self.parse(
        """
        name: careful
        default: cb4-g32
        rules:
          - tensors: "*.0.mlp.down_proj.weight"
            action: keep
          - tensors: ["*.mlp.down_proj.weight", lm_head.weight]
            scheme: int8
            group: 64
            method: plain
        """))
    #expect(plan["model.layers.0.mlp.down_proj.weight"]?.action == .keep)
    #expect(plan["model.layers.1.mlp.down_proj.weight"]?.schemeName == "int8-g64")
    #expect(plan["lm_head.weight"]?.schemeName == "int8-g64")
    guard case .quantize(let layout, .plain) = plan["lm_head.weight"]?.action else {
      Issue.record("the head is not quantized by plain rounding")
      return
    }
    #expect((layout.rows, layout.columns) == (96, 128))
    #expect(plan["model.layers.1.mlp.up_proj.weight"]?.schemeName == "cb4-g32")
    #expect(plan["model.embed_tokens.weight"]?.exactRows == [90])
  }

  @Test func sizesAddUp() throws {
    let recipe = try #require(Recipe.builtIn("int4", for: Self.model))
    let plans = try recipe.plan(for: Self.model, tensors: Self.tensors)
    let embedding = try #require(plans.first)
    // Header; 6 tiles of 2 groups of 16 fp16 scales and 128 × 16 codes; the MASK row in bf16.
    #expect(embedding.byteCount == 64 + 6 * (64 + 2048) + 64 + 256)
    #expect(embedding.bitsPerWeight == 8.25)
    let kept = try Self.parse("default: keep").plan(for: Self.model, tensors: Self.tensors)
    #expect(kept.bitsPerWeight == 16)
  }

  @Test(arguments: [
    ("rules:\n  - tensors: '*.mlp.gate.weight'\n    action: keep", "matches no tensor"),
    (
      "rules:\n  - tensors: '*_proj.weight'\n    action: keep\n"
        + "  - tensors: '*.q_proj.weight'\n    scheme: int8-g64", "earlier rules decide about"
    ),
  ])
  func aRuleThatDecidesNothingIsAnError(rules: String, message: String) throws {
    let recipe = try Self.parse("default: cb4-g16\n" + rules)
    let error = #expect(throws: IngotError.self) { try Self.plan(recipe) }
    #expect(error?.code == "recipe.unmatchedRule")
    #expect(error?.message.contains(message) == true)
    #expect(error?.path == "r.yaml")
  }

  @Test func aTensorThatCannotFollowItsRuleIsAnError() throws {
    // 192 columns are no multiple of 128.
    let wide = #expect(throws: IngotError.self) {
      try Self.plan(try #require(Recipe.builtIn("int8-g128", for: Self.model)))
    }
    #expect(wide?.code == "recipe.groupSize")
    #expect(wide?.tensor == "model.layers.0.mlp.down_proj.weight")
    let norm = #expect(throws: IngotError.self) {
      try Self.plan(Self.parse("default: keep\nrules: [{tensors: '*norm*', scheme: int8-g32}]"))
    }
    #expect(norm?.code == "recipe.notMatrix")
    #expect(norm?.tensor == "model.layers.0.input_layernorm.weight")
    var tensors = Self.tensors
    tensors[0].elementType = .float8E4M3
    let type = #expect(throws: IngotError.self) {
      try #require(Recipe.builtIn("int8", for: Self.model)).plan(for: Self.model, tensors: tensors)
    }
    #expect(type?.code == "recipe.elementType")
    #expect(type?.tensor == "model.embed_tokens.weight")
  }

  @Test(arguments: [
    ("", "recipe.form"), ("[]", "recipe.form"), ("default: [", "recipe.yaml"),
    ("default: cb4-g16\n\tx: y", "recipe.yaml"), ("name: x", "recipe.form"),
    ("default: int3-g32", "recipe.form"), ("default: int4", "recipe.form"),
    ("default: int4-g16", "recipe.form"), ("default: keep\nruls: []", "recipe.form"),
    ("default: keep\nrules: x", "recipe.form"), ("default: keep\nrules: [x]", "recipe.form"),
    ("default: keep\nrules: [{tensors: a}]", "recipe.form"),
    ("default: keep\nrules: [{scheme: int8-g32}]", "recipe.form"),
    ("default: keep\nrules: [{tensors: [], action: keep}]", "recipe.form"),
    ("default: keep\nrules: [{tensors: [[a]], action: keep}]", "recipe.form"),
    ("default: keep\nrules: [{tensors: a, action: drop}]", "recipe.form"),
    ("default: keep\nrules: [{tensors: a, action: keep, group: 32}]", "recipe.form"),
    ("default: keep\nrules: [{tensors: a, scheme: int8, group: x}]", "recipe.form"),
    ("default: keep\nrules: [{tensors: a, scheme: int8-g32, group: 32}]", "recipe.form"),
    ("default: keep\nrules: [{tensors: a, scheme: int8-g32, method: best}]", "recipe.form"),
    ("default: keep\nexact_mask_row: maybe", "recipe.form"),
    ("default: {scheme: int8-g32, speed: 9}", "recipe.form"),
  ])
  func textThatIsNoRecipeIsRefused(yaml: String, code: String) {
    let error = #expect(throws: IngotError.self) { try Self.parse(yaml) }
    #expect(error?.code == code)
    #expect(error?.path == "r.yaml")
  }

  @Test func recipesThatDoTheSameHaveTheSameText() throws {
    let short = try Self.parse("{default: cb4-g16, rules: [{tensors: a*, scheme: int8-g64}]}")
    let long = try Self.parse(
      """
      name: another name
      default: {scheme: cb4, group: 16, method: search}
      exact_mask_row: true
      rules:
        - {tensors: [a*], action: quantize, scheme: int8, group: 64, method: search}
      """)
    #expect(
      short.canonicalText == """
        {"version":1,"default":{"scheme":"cb4-g16","method":"search"},"exact_mask_row":true,\
        "rules":[{"tensors":["a*"],"scheme":"int8-g64","method":"search"}]}
        """)
    #expect(long.canonicalText == short.canonicalText)
    #expect(long.checksum == short.checksum)
    // What a file stores can be read again.
    #expect(try Self.parse(short.canonicalText).canonicalText == short.canonicalText)
    #expect(try Self.parse("default: cb4-g16").checksum != short.checksum)
  }

  @Test(arguments: [
    ("*", "", true), ("*", "abc", true), ("a*c", "abc", true), ("a*c", "ab", false),
    ("a?c", "abc", true), ("a?c", "ac", false), ("*.w", "a.b.w", true), ("*.w", "a.w.b", false),
    ("a*b*c", "aXbYbZc", true), ("a*b*c", "aXbYbZ", false), ("", "", true), ("", "a", false),
    ("**", "a", true), ("[a]", "a", false), ("a.c", "abc", false),
  ])
  func globsMatchWholeNames(pattern: String, name: String, matches: Bool) {
    #expect(NameGlob(pattern).matches(name) == matches)
  }
}
