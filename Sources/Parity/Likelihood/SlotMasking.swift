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
    responseLength: Int, slotSize: Int, using generator: inout SeededGenerator
  ) -> SlotMasking {
    let t = generator.unit()
    let probability = (1 - minimumProbability) * t + minimumProbability
    let slots = (responseLength + slotSize - 1) / slotSize
    var clean: [Int] = []
    var masked: [Int] = []
    for slot in 0..<slots {
      if generator.unit() < probability {
        masked.append(slot)
      } else {
        clean.append(slot)
      }
    }
    // Fisher–Yates, written out: the standard library may change its shuffle.
    for last in stride(from: clean.count - 1, to: 0, by: -1) {
      clean.swapAt(last, generator.index(below: last + 1))
    }
    return SlotMasking(
      slotSize: slotSize, probability: probability, cleanOrder: clean, masked: masked)
  }
}
