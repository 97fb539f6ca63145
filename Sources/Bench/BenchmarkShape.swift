package import Architecture

/// Shapes of published models, for benchmarks without a file.
///
/// Sizes are those of the Qwen3 configurations on which ReFusion builds; the vocabulary is
/// ReFusion's: Qwen3's 151,669 tokens and its own two.
package enum BenchmarkShape {
  /// The names `configuration(named:)` knows, smallest first.
  package static let names = ["qwen3-0.6b", "qwen3-1.7b", "qwen3-4b", "qwen3-8b"]

  /// The configuration of a published size, or nil.
  package static func configuration(named name: String) -> ModelConfiguration? {
    switch name {
    case "qwen3-0.6b": shape(1024, 3072, layers: 28, heads: 16, tied: true)
    case "qwen3-1.7b": shape(2048, 6144, layers: 28, heads: 16, tied: true)
    case "qwen3-4b": shape(2560, 9728, layers: 36, heads: 32, tied: true)
    case "qwen3-8b": shape(4096, 12288, layers: 36, heads: 32, tied: false)
    default: nil
    }
  }

  private static func shape(
    _ hidden: Int, _ intermediate: Int, layers: Int, heads: Int, tied: Bool
  ) -> ModelConfiguration {
    ModelConfiguration(
      vocabularySize: 151_671, hiddenSize: hidden, intermediateSize: intermediate,
      layerCount: layers, attentionHeads: heads, keyValueHeads: 8, headDimension: 128,
      tiesEmbeddings: tied, beginOfTextToken: 151_669, endOfTextToken: 151_645,
      maskToken: 151_670)
  }
}
