/// Which slots of a response are masked, and in which order the clean ones are read: one draw of
/// the training objective.
package struct SlotMasking: Sendable, Hashable {
  /// k.
  package let slotSize: Int
  /// p = (1 − ε)·t + ε: each slot was masked with this probability.
  package let probability: Double
  /// Clean slots in reading order.
  package let cleanOrder: [Int]
  /// Masked slots, ascending.
  package let masked: [Int]

  /// ε of the published objective.
  package static let minimumProbability = 1e-3

  package init(slotSize: Int, probability: Double, cleanOrder: [Int], masked: [Int]) {
    self.slotSize = slotSize
    self.probability = probability
    self.cleanOrder = cleanOrder
    self.masked = masked
  }

  /// Draws t ~ U(0, 1), masks each slot with probability p and shuffles the clean ones.
  ///
  /// - Parameters:
  ///   - responseLength: L, EOS included.
  ///   - generator: seeded by the caller, so that both models of a comparison get equal masks.
  package static func draw(
    responseLength: Int, slotSize: Int, using generator: inout some RandomNumberGenerator
  ) -> SlotMasking {
    let t = Double.random(in: 0..<1, using: &generator)
    let probability = (1 - minimumProbability) * t + minimumProbability
    let slots = (responseLength + slotSize - 1) / slotSize
    var clean: [Int] = []
    var masked: [Int] = []
    for slot in 0..<slots {
      if Double.random(in: 0..<1, using: &generator) < probability {
        masked.append(slot)
      } else {
        clean.append(slot)
      }
    }
    clean.shuffle(using: &generator)
    return SlotMasking(
      slotSize: slotSize, probability: probability, cleanOrder: clean, masked: masked)
  }
}
