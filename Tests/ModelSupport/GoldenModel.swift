import Bytes
import Casting
package import Checkpoints
import Foundation
import IngotFormat
import Kernels
package import Parity
import Quantization
package import ReFusion
import Tensors
import TestSupport
package import Tokenization

/// The trained checkpoint that the golden data was computed on, converted once a test run.
package enum GoldenModel {
  package static var checkpointPath: String { Shared.path("checkpoints/gsm8k-refusion") }

  private static let converted = Result<(TemporaryFolder, ReFusionModel), any Error> {
    let folder = try TemporaryFolder()
    let path = folder.path("golden.ingot")
    let source = try CheckpointCastSource(Checkpoint(path: checkpointPath))
    try Caster(CastPlan(converting: source, to: nil, toolVersion: "test"))
      .run(to: path, pool: .shared)
    return (folder, try ReFusionModel.open(path))
  }

  /// The model with its weights as stored (bf16).
  package static func fullPrecision() throws -> ReFusionModel { try converted.get().1 }

  /// The tensors of that model, for tests that exchange some of them.
  package static func weights() throws -> IngotWeights {
    IngotWeights(try IngotFile.open(converted.get().0.path("golden.ingot")))
  }

  /// The same tensors quantized by a recipe's name.
  package static func weights(recipe: String) throws -> IngotWeights {
    let folder = try TemporaryFolder()
    let path = folder.path("\(recipe).ingot")
    let source = try CheckpointCastSource(Checkpoint(path: checkpointPath))
    guard let recipe = Recipe.builtIn(recipe, for: source.configuration) else {
      throw MissingTensor(name: recipe)
    }
    try Caster(CastPlan(quantizing: source, by: recipe, toolVersion: "test"))
      .run(to: path, pool: .shared)
    // The file stays mapped after its folder is gone.
    return IngotWeights(try IngotFile.open(path))
  }

  /// The first pairs of the evaluation set with their token ids.
  package static func verificationPairs(_ count: Int) throws -> [VerificationPair] {
    let tokenizer = try tokenizer()
    return try pairs().prefix(count).enumerated().map { index, pair in
      VerificationPair(
        index: index, query: pair.query, response: pair.response,
        example: try tokenizer.example(pair))
    }
  }

  /// A tensor of a safetensors file as f32.
  package static func tensor(_ name: String, in relative: String) throws -> [Float] {
    let file = try SafetensorsFile(path: Shared.path(relative))
    guard let entry = file.entry(named: name) else { throw MissingTensor(name: name) }
    return try file.bytes(of: entry).withUnsafeBytes {
      HalfPrecision.floats($0, type: entry.type)
    }
  }

  package static func pairs() throws -> [Pair] {
    try PairFile(path: Shared.path("data/gsm8k-eval.json")).pairs
  }

  package static func tokenizer() throws -> Tokenizer {
    guard let definition = try TokenizerDefinition.load(folder: checkpointPath) else {
      throw MissingTensor(name: "tokenizer")
    }
    return try Tokenizer(blob: definition.encodedBlob())
  }
}

package struct MissingTensor: Error { package let name: String }

extension Tokenizer {
  /// A pair as ReFusion is trained on it: ChatML around the query, EOS behind the response.
  package func example(_ pair: Pair) throws -> Example {
    let prompt = "<|im_start|>user\n\(pair.query)<|im_end|>\n<|im_start|>assistant\n"
    return Example(
      prompt: encode(prompt).map { Int32($0) },
      response: encode(pair.response + "<|im_end|>").map { Int32($0) })
  }
}
