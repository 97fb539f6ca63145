/// One decision of the reference's decoding, taken again by the candidate in the same situation.
///
/// The candidate is fed the reference's tokens, so a decision differs because of its own
/// distribution and never because of an earlier difference.
package struct ReplayDecision: Sendable, Equatable {
  package enum Kind: UInt8, Sendable, CaseIterable {
    /// Whether an undecided slot is drafted: p of its first token against τs.
    case slotChoice = 0
    /// Which token a draft holds: same argmax or not.
    case draftToken = 1
    /// Whether a drafted token is accepted: p against τt.
    case acceptance = 2
    /// How many tokens of the flattened drafts pass in a row.
    case acceptedLength = 3
    /// Whether an accepted token ends the text.
    case endOfSequence = 4

    package var name: String {
      switch self {
      case .slotChoice: "slot_choice"
      case .draftToken: "draft_token"
      case .acceptance: "acceptance"
      case .acceptedLength: "accepted_length"
      case .endOfSequence: "end_of_sequence"
      }
    }

    /// Whether the decision compares a probability with a threshold.
    package var hasThreshold: Bool { self == .slotChoice || self == .acceptance }
  }

  package var pair: UInt32
  /// Which call of the model in the reference's decoding, from 0.
  package var forward: UInt32
  /// Index of the token (or of the slot's first token) in the response.
  package var position: UInt32
  package var kind: Kind
  /// Whether the candidate decides differently.
  package var flipped: Bool
  /// What was compared: probabilities, token ids or lengths.
  package var reference: Float
  package var candidate: Float

  package init(
    pair: Int, forward: Int, position: Int, kind: Kind, flipped: Bool, reference: Float,
    candidate: Float
  ) {
    self.pair = UInt32(pair)
    self.forward = UInt32(forward)
    self.position = UInt32(position)
    self.kind = kind
    self.flipped = flipped
    self.reference = reference
    self.candidate = candidate
  }
}
