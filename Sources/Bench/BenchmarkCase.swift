/// One line that a benchmark can measure.
package enum BenchmarkCase: Sendable, Hashable {
  /// The linear layers of one block on average, back to back, cold between blocks.
  case linear(tokens: Int)
  /// A forward of so many tokens on an empty cache, and one row of logits.
  case prefill(tokens: Int)
  /// The same for the numbers of tokens that ReFusion decoding uses.
  case batch(tokens: Int)
  /// A forward of one token behind a short context, and its logits.
  case decode
  /// Attention of one token over many cache entries, layer by layer.
  case attention(entries: Int)
  /// ReFusion decoding of a prompt.
  case refusion

  /// What a run without a choice measures, in order; `refusion` needs a trained model.
  package static let all: [BenchmarkCase] = [
    .linear(tokens: 1), .linear(tokens: 8), .linear(tokens: 32), .linear(tokens: 512),
    .prefill(tokens: 512), .batch(tokens: 8), .batch(tokens: 32), .decode,
    .attention(entries: 8192), .refusion,
  ]

  package var name: String {
    switch self {
    case .linear(let tokens): "linear_\(tokens)"
    case .prefill(let tokens): "prefill_\(tokens)"
    case .batch(let tokens): "batch_\(tokens)"
    case .decode: "decode_1"
    case .attention(let entries): "attention_\(entries)"
    case .refusion: "refusion"
    }
  }

  /// Any size is fine: `linear_16`, `prefill_128`, `attention_1024`.
  package init?(name: some StringProtocol) {
    switch name {
    case "refusion": self = .refusion
    case "decode_1": self = .decode
    default:
      let parts = name.split(separator: "_")
      guard parts.count == 2, let size = Int(parts[1]), (1...65536).contains(size),
        "\(parts[0])_\(size)" == name
      else { return nil }
      switch parts[0] {
      case "linear": self = .linear(tokens: size)
      case "prefill": self = .prefill(tokens: size)
      case "batch": self = .batch(tokens: size)
      case "attention": self = .attention(entries: size)
      default: return nil
      }
    }
  }
}
