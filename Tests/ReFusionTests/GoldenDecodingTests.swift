import Bytes
import Kernels
import ModelSupport
import ReFusion
import TestSupport
import Testing

/// The official implementation's decodes, token for token.
@Suite(.enabled(if: Shared.isPresent, Comment(rawValue: Shared.skipped)))
struct GoldenDecodingTests {
  /// However far forwards look ahead.
  @Test(arguments: [DecodingLookahead.narrow, .wide])
  func everyReFusionTraceIsReproduced(lookahead: DecodingLookahead) throws {
    let model = try GoldenModel.fullPrecision()
    let traces = try Golden.array("golden/decode_traces.json", "traces")
    #expect(traces.count == 120)
    for trace in traces {
      let session = InferenceSession(model: model, pool: .shared, arithmetic: .full)
      let settings = DecodingSettings(
        slotSize: try trace.int("slot_size"), blocks: try trace.int("serial_blocks"),
        slotThreshold: Float(try trace.number("slot_threshold")),
        tokenThreshold: Float(try trace.number("token_threshold")),
        maximumTokens: try trace.int("gen_length"), endOfSequence: .official)
      var decoder = try ReFusionDecoder(session: session, settings: settings)
      decoder.lookahead = lookahead
      let prompt = try trace.ids("prompt_ids")
      let result = try decoder.decode(prompt: prompt)
      let label = Comment(rawValue: "row \(try trace.int("row")), k \(settings.slotSize)")
      #expect(prompt + result.tokens == (try trace.ids("output_ids")), label)
      #expect(result.forwards == (try trace.int("forward_count")), label)
      let published = try #require(result.publishedTokensPerForward)
      #expect(abs(published - (try trace.number("tokens_per_forward"))) < 1e-9, label)
    }
  }

  /// Every call of the model, with what it was given and what came out.
  @Test func everyForwardOfATraceIsReproduced() throws {
    let model = try GoldenModel.fullPrecision()
    for trace in try Golden.array("golden/decode_traces.json", "traces") {
      guard try trace.int("row") % 4 == 0 else { continue }
      let session = InferenceSession(model: model, pool: .shared, arithmetic: .full)
      let settings = DecodingSettings(
        slotSize: try trace.int("slot_size"), blocks: try trace.int("serial_blocks"),
        slotThreshold: Float(try trace.number("slot_threshold")),
        tokenThreshold: Float(try trace.number("token_threshold")),
        maximumTokens: try trace.int("gen_length"), endOfSequence: .official)
      var forwards: [TracedForward] = []
      var decoder = try ReFusionDecoder(
        session: session, settings: settings,
        observer: DecodingObserver(forward: { forwards.append($0) }))
      _ = try decoder.decode(prompt: try trace.ids("prompt_ids"))
      let expected = try trace.array("forwards")
      #expect(forwards.count == expected.count)
      for (ours, theirs) in zip(forwards, expected) {
        #expect(ours.cacheLength == (try theirs.int("cache_length")))
        #expect(ours.inputIDs == (try theirs.idRows("input_ids")))
        #expect(ours.positionIDs == (try theirs.idRows("position_ids")))
        let probabilities = try theirs.numberRows("argmax_probability")
        for (row, official) in zip(ours.argmaxProbability, probabilities) {
          // Six decimals are stored; f32 logits of two implementations differ by about 1e-5.
          for (a, b) in zip(row, official) { #expect(abs(Double(a) - b) < 1e-4) }
        }
      }
    }
  }

  @Test func everyAutoregressiveTraceIsReproduced() throws {
    let model = try GoldenModel.fullPrecision()
    for trace in try Golden.array("golden/autoregressive_traces.json", "traces") {
      let session = InferenceSession(model: model, pool: .shared, arithmetic: .full)
      var decoder = AutoregressiveDecoder(session: session, maximumTokens: 128)
      let prompt = try trace.ids("prompt_ids")
      let result = try decoder.decode(prompt: prompt)
      #expect(prompt + result.tokens == (try trace.ids("output_ids")))
    }
  }
}
