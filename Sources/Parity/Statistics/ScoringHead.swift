/// Which head of the model a score comes from; the raw values are the keys of `heads` in a report.
package enum ScoringHead: String, Sendable, Hashable, CaseIterable {
  /// Next-token prediction over the plain text, as any autoregressive model.
  case causal
  /// A MASK's distribution for its own position.
  case masked
  /// Next-token prediction inside a slot.
  case autoregressive

  /// Place in `allCases`; stored in shard files, so it never changes.
  var order: UInt8 {
    switch self {
    case .causal: 0
    case .masked: 1
    case .autoregressive: 2
    }
  }
}
