import Bytes
import Foundation
import ReFusion

/// One answered prompt.
struct GenerationRun {
  let prompt: [Int32]
  var result = DecodingResult()
  var seconds = 0.0
  var forwards: [TracedForward] = []

  init(prompt: [Int32]) { self.prompt = prompt }

  /// One line of `generate --json`.
  func json(text: String) -> String {
    var writer = JSONWriter()
    writer.object { object in
      object.member("prompt_ids", prompt)
      object.member("output_ids", result.tokens)
      object.key("text")
      object.value(text)
      object.key("forwards")
      object.value(result.forwards)
      object.key("passes")
      object.value(result.passes)
      object.key("tokens_per_forward")
      object.value(result.tokensPerForward)
      object.key("published_tokens_per_forward")
      if let published = result.publishedTokensPerForward {
        object.value(published)
      } else {
        object.null()
      }
      object.key("seconds")
      object.value(seconds)
    }
    return writer.text
  }
}

extension JSONWriter {
  mutating func member(_ key: String, _ ids: [Int32]) {
    self.key(key)
    array { array in for id in ids { array.value(Int(id)) } }
  }

  mutating func member(_ key: String, _ rows: [[Int32]]) {
    self.key(key)
    array { outer in
      for row in rows { outer.array { inner in for id in row { inner.value(Int(id)) } } }
    }
  }
}

/// What `--trace` writes: one object a prompt with the fields of the golden traces.
struct Trace {
  let prompt: [Int32]
  let run: GenerationRun
  let settings: DecodingSettings

  static func write(_ traces: [Trace], to path: String) throws {
    var writer = JSONWriter()
    writer.object { object in
      object.key("traces")
      object.array { array in for trace in traces { trace.write(to: &array) } }
    }
    try OutputFile.write(writer.bytes, to: path)
  }

  private func write(to writer: inout JSONWriter) {
    writer.object { object in
      object.key("slot_size")
      object.value(settings.slotSize)
      object.key("serial_blocks")
      object.value(settings.blocks)
      object.key("gen_length")
      object.value(settings.generationLength)
      object.key("slot_threshold")
      object.value(Double(settings.slotThreshold))
      object.key("token_threshold")
      object.value(Double(settings.tokenThreshold))
      object.member("prompt_ids", prompt)
      object.member("output_ids", prompt + run.result.tokens)
      object.key("tokens_per_forward")
      object.value(run.result.publishedTokensPerForward ?? run.result.tokensPerForward)
      object.key("forward_count")
      object.value(run.result.forwards)
      object.key("forwards")
      object.array { array in for forward in run.forwards { Self.write(forward, to: &array) } }
    }
  }

  private static func write(_ forward: TracedForward, to writer: inout JSONWriter) {
    writer.object { object in
      object.key("cache_length")
      object.value(forward.cacheLength)
      object.member("input_ids", forward.inputIDs)
      object.member("position_ids", forward.positionIDs)
      object.member("argmax", forward.argmax)
      object.key("argmax_probability")
      object.array { outer in
        for row in forward.argmaxProbability {
          outer.array { inner in for value in row { inner.value(Double(value)) } }
        }
      }
    }
  }
}
