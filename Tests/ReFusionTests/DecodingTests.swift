import Bytes
import Casting
import Checkpoints
import Kernels
import ModelSupport
import Quantization
import ReFusion
import TestSupport
import Testing

/// Decoding on small random weights: properties that hold for any model.
@Suite struct DecodingTests {
  private func model(
    recipe: String? = nil, _ synthetic: SyntheticCheckpoint = SyntheticCheckpoint()
  ) throws -> (TemporaryFolder, ReFusionModel) {
    let folder = try synthetic.write()
    return (folder, try castModel(folder.url.path, recipe: recipe, in: folder))
  }

  private let prompt: [Int32] = [5, 9, 2, 7, 30, 31, 8]

  /// Everything is committed once, in place, whatever the thresholds make the decoder do.
  @Test(arguments: [(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0), (0.02, 0.01)])
  func everyPositionIsFilledOnce(slot: Double, token: Double) throws {
    let (_, model) = try model()
    for (size, blocks) in [(1, 1), (4, 1), (4, 2), (8, 4), (32, 1)] {
      let session = InferenceSession(model: model, pool: .shared, arithmetic: .full)
      var seen: [Int32] = []
      let settings = DecodingSettings(
        slotSize: size, blocks: blocks, slotThreshold: Float(slot), tokenThreshold: Float(token),
        maximumTokens: 32)
      var decoder = try ReFusionDecoder(
        session: session, settings: settings,
        observer: DecodingObserver(commit: { seen += $1 }))
      let result = try decoder.decode(prompt: prompt)
      #expect(Set(seen).count == seen.count, "a position was committed twice")
      #expect(result.tokens.count <= 32 && !result.tokens.isEmpty)
      #expect(result.forwards == session.forwardCount)
    }
  }

  /// With τt = 1 nothing passes verification but each slot's first token, so one slot at a time
  /// is plain autoregressive filling: k − 1 iterations of infill.
  @Test func infillNeedsAtMostOneIterationATokenBehindTheFirst() throws {
    let (_, model) = try model()
    let session = InferenceSession(model: model, pool: .shared, arithmetic: .full)
    var iterations = 0
    var rounds = 0
    var decoder = try ReFusionDecoder(
      session: session,
      settings: DecodingSettings(
        slotSize: 8, blocks: 1, slotThreshold: 1, tokenThreshold: 1, maximumTokens: 16),
      observer: DecodingObserver(decision: { decision in
        switch decision {
        case .infill: iterations += 1
        case .verify: rounds += 1
        default: break
        }
      }))
    _ = try decoder.decode(prompt: prompt)
    #expect(iterations <= 7 * rounds && iterations >= rounds)
  }

  /// Infill that looks at the few tokens which decide an iteration against infill of whole rows, which
  /// somebody who watches decisions gets: the same tokens, and as many counted calls. So it is with MASKs that
  /// are asked in the forward before, for the case that a row gains one token, or two.
  @Test(arguments: [0.0, 0.0005, 0.002, 0.01, 0.3, 1.0], [DecodingLookahead.narrow, .wide])
  func infillOfFewTokensIsThatOfWholeRows(threshold: Double, lookahead: DecodingLookahead) throws {
    let (_, model) = try model(recipe: "int8-g32")
    var repeated = 0
    var spared = 0
    var continued = 0
    for (size, blocks) in [(32, 1), (32, 4), (16, 1), (16, 2), (9, 1)] {
      for slotThreshold in [Float(0.001), 1] {
        let settings = DecodingSettings(
          slotSize: size, blocks: blocks, slotThreshold: slotThreshold,
          tokenThreshold: Float(threshold), maximumTokens: size == 9 ? 36 : 128)
        let session = InferenceSession(model: model, pool: .shared)
        var iterations = 0
        let observers = [
          DecodingObserver(),
          DecodingObserver(decision: {
            guard case .infill(let offset, _, _, _, _) = $0 else { return }
            iterations += 1
            if offset > 0 { continued += 1 }
          }),
        ]
        let results = try observers.map { observer in
          var decoder = try ReFusionDecoder(
            session: session, settings: settings, observer: observer)
          decoder.lookahead = lookahead
          return try decoder.decode(prompt: prompt)
        }
        var (few, whole) = (results[0], results[1])
        #expect(whole.passes == whole.forwards)
        repeated += session.repeatCount
        spared += few.forwards - (few.passes - session.repeatCount)
        (few.passes, whole.passes) = (0, 0)
        #expect(few == whole, "slots of \(size), \(blocks) blocks")
        if threshold == 1, size > 9 { #expect(iterations > 8) }
      }
    }
    // Few tokens do not always decide: then the iteration is done again with more.
    if (0.0005...0.01).contains(threshold) { #expect(repeated > 0) }
    // Where every row gains one token at a time, only the first iteration of a round asks its MASKs alone, and
    // an iteration whose tokens were verified already takes no forward at all.
    if threshold == 1 {
      #expect(continued > 0)
      #expect(lookahead == .narrow ? spared == continued : spared > continued)
    }
  }

  /// The cached keys and values of committed tokens equal those of a fresh run over them.
  @Test func reusedCacheEqualsRecomputation() throws {
    let (_, model) = try model()
    let session = InferenceSession(model: model, pool: .shared, arithmetic: .full)
    var order: [(token: Int32, position: Int32)] = []
    var decoder = try ReFusionDecoder(
      session: session,
      settings: DecodingSettings(
        slotSize: 4, blocks: 2, slotThreshold: 0.01, tokenThreshold: 0, maximumTokens: 16),
      observer: DecodingObserver(commit: { tokens, places in
        for (token, place) in zip(tokens, places) { order.append((token, place)) }
      }))
    _ = try decoder.decode(prompt: prompt)
    // One more token on the reused cache, and on a cache made in one go.
    let committed = prompt + order.map(\.token)
    let places = prompt.indices.map { Int32($0) } + order.map(\.position)
    let probe = ForwardBatch.causal(
      tokens: [3], positions: [Int32(committed.count)], cacheLength: committed.count)
    session.forward(probe)
    let reused = session.score(at: [0])[0]
    let fresh = InferenceSession(model: model, pool: .shared, arithmetic: .full)
    fresh.forward(.causal(tokens: committed, positions: places, cacheLength: 0))
    fresh.forward(probe)
    let recomputed = fresh.score(at: [0])[0]
    #expect(reused.argmax == recomputed.argmax)
    // The same numbers in batches of other sizes: a few roundings apart.
    #expect(abs(reused.argmaxProbability - recomputed.argmaxProbability) < 1e-5)
  }

  @Test(arguments: ["int8-g32", "int6-g32", "int4-g32", "int4z-g32", "cb4-g16", "int4"])
  func quantizedLogitsDoNotDependOnThreads(recipe: String) throws {
    let (_, model) = try model(recipe: recipe)
    var expected: [TokenScore]?
    for threads in [1, 2, 3] {
      let session = InferenceSession(model: model, pool: ThreadPool(threads: threads))
      session.forward(
        .causal(tokens: prompt, positions: prompt.indices.map { Int32($0) }, cacheLength: 0))
      let scores = session.score(at: Array(prompt.indices))
      #expect(expected ?? scores == scores)
      expected = scores
    }
  }

  /// A model whose embedding is quantized but for the MASK row answers MASK as one whose embedding
  /// is kept does, to the bit, and another token otherwise.
  @Test("ING-067") func exactRowsAreWhatALookUpYields() throws {
    let folder = try SyntheticCheckpoint().write()
    let source = try CheckpointCastSource(Checkpoint(path: folder.url.path))
    let mask = Int32(try #require(source.configuration.maskToken))
    var answers: [[TokenScore]] = []
    for embedding in ["scheme: cb4-g32", "action: keep"] {
      let recipe = try Recipe(
        yaml: "default: int8-g64\nrules:\n  - tensors: model.embed_tokens.weight\n    \(embedding)",
        path: "test")
      let path = folder.path("model.ingot")
      try Caster(CastPlan(quantizing: source, by: recipe, toolVersion: "test"))
        .run(to: path, pool: .shared)
      let model = try ReFusionModel.open(path)
      for token in [mask, 5] {
        let session = InferenceSession(model: model, pool: .shared)
        session.forward(.causal(tokens: [token], positions: [0], cacheLength: 0))
        answers.append(session.score(at: [0]))
      }
    }
    #expect(answers[0] == answers[2])
    #expect(answers[1] != answers[3])
  }

  @Test func impossibleSettingsAreRefused() throws {
    let (_, model) = try model()
    let session = InferenceSession(model: model, pool: .shared)
    let impossible = [
      DecodingSettings(slotSize: 0), DecodingSettings(maximumTokens: 0),
      DecodingSettings(slotSize: 8, blocks: 3, maximumTokens: 64),
      DecodingSettings(slotSize: 8, blocks: 0), DecodingSettings(slotThreshold: .nan),
      DecodingSettings(tokenThreshold: 1.5), DecodingSettings(temperature: -1),
    ]
    for settings in impossible {
      let error = #expect(throws: IngotError.self) {
        try ReFusionDecoder(session: session, settings: settings)
      }
      #expect(error?.code == "decode.settings")
    }
  }

  @Test func impossiblePromptsAreRefused() throws {
    let (_, model) = try model()
    let session = InferenceSession(model: model, pool: .shared)
    var decoder = try ReFusionDecoder(
      session: session, settings: DecodingSettings(slotSize: 4, blocks: 1, maximumTokens: 8))
    for bad in [[], [-1], [Int32(model.configuration.vocabularySize)]] as [[Int32]] {
      #expect(throws: IngotError.self) { try decoder.decode(prompt: bad) }
    }
  }

  /// A seed decides sampled decoding.
  @Test func samplingRepeatsWithItsSeed() throws {
    let (_, model) = try model()
    func run(_ seed: UInt64) throws -> [Int32] {
      let session = InferenceSession(model: model, pool: .shared, arithmetic: .full)
      var decoder = try ReFusionDecoder(
        session: session,
        settings: DecodingSettings(
          slotSize: 4, blocks: 1, slotThreshold: 0.5, tokenThreshold: 0, maximumTokens: 16,
          temperature: 1, seed: seed))
      return try decoder.decode(prompt: prompt).tokens
    }
    #expect(try run(1) == run(1))
    #expect(try run(1) != run(2))
  }
}
