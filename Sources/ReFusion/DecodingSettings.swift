public import Bytes

/// What to do about an end-of-sequence token found while slots before it are undecided.
public enum EndOfSequenceHandling: String, Sendable, Hashable, CaseIterable {
  /// Drop undecided slots by their place in the text, and end the output at its first EOS.
  case fixed
  /// Reproduce the official implementation token for token, errors included: slots are dropped by
  /// row index after an infill, and tokens committed behind an EOS stay.
  case official
}

/// How ReFusion decodes (arXiv 2512.13586, §3.3; names as in the official `generate_refusion`).
public struct DecodingSettings: Sendable, Hashable {
  /// k: tokens of one slot.
  public var slotSize: Int
  /// S: blocks decoded one after the other.
  public var blocks: Int
  /// τs: a slot is drafted when its first token is more probable than this.
  public var slotThreshold: Float
  /// τt: a drafted token is accepted when it is more probable than this.
  public var tokenThreshold: Float
  /// G: tokens to generate at most, rounded up to a multiple of the slot size.
  public var maximumTokens: Int
  /// 0 is greedy; above, Gumbel noise picks the drafts.
  public var temperature: Double
  public var seed: UInt64
  public var endOfSequence: EndOfSequenceHandling

  public init(
    slotSize: Int = 32, blocks: Int = 4, slotThreshold: Float = 0.9, tokenThreshold: Float = 0.4,
    maximumTokens: Int = 128, temperature: Double = 0, seed: UInt64 = 0,
    endOfSequence: EndOfSequenceHandling = .fixed
  ) {
    self.slotSize = slotSize
    self.blocks = blocks
    self.slotThreshold = slotThreshold
    self.tokenThreshold = tokenThreshold
    self.maximumTokens = maximumTokens
    self.temperature = temperature
    self.seed = seed
    self.endOfSequence = endOfSequence
  }

  /// G rounded up to whole slots.
  public var generationLength: Int { (maximumTokens + slotSize - 1) / slotSize * slotSize }

  /// Tokens of one block.
  public var blockLength: Int { generationLength / blocks }

  /// Refuses settings under which the official code would crash or silently drop tokens.
  ///
  /// - Throws: `decode.settings`, naming the setting and what would do.
  public func validate() throws(IngotError) {
    func refuse(_ message: String, _ advice: String) -> IngotError {
      IngotError("decode.settings", message, advice: advice)
    }
    guard (1...4096).contains(slotSize) else {
      throw refuse("slot size \(slotSize) is outside 1…4096", "Published settings use 4 to 32.")
    }
    guard (1...(1 << 20)).contains(maximumTokens) else {
      throw refuse(
        "cannot generate \(maximumTokens) tokens", "Ask for 1 to \(1 << 20) with --max-tokens.")
    }
    guard blocks >= 1, generationLength % blocks == 0, blockLength % slotSize == 0 else {
      let slots = generationLength / slotSize
      let divisors = (1...slots).filter { slots.isMultiple(of: $0) }.prefix(12)
      throw refuse(
        "\(generationLength) tokens in slots of \(slotSize) cannot be cut into \(blocks) blocks",
        "Use a number of blocks that divides \(slots): "
          + divisors.map(String.init).joined(separator: ", ") + ".")
    }
    for (name, value) in [("slot", slotThreshold), ("token", tokenThreshold)] {
      guard value >= 0, value <= 1 else {
        throw refuse("\(name) threshold \(value) is outside 0…1", "It is a probability.")
      }
    }
    guard temperature >= 0, temperature.isFinite else {
      throw refuse("temperature \(temperature) is not a finite number from 0", "0 is greedy.")
    }
  }
}
