internal import Kernels

/// Step B's outcome.
struct DraftCheck {
  /// Per slot and token: accepted, together with everything before it in the slot.
  var tags: [[Bool]]
  /// n: tokens of the flattened drafts that pass without a gap.
  var acceptedPrefix: Int
  /// Tokens of the first slot that went through the model.
  var fed: Int
}

extension ReFusionDecoder {
  /// Step B: all drafts in one forward on the cache, each seeing the ones before it.
  func verify(_ plan: SlotPlan) -> DraftCheck {
    if plan.chosen.count == 1, !observer.seesWholeRows {
      return verifyInPieces(plan.starts[0]) { Array(plan.drafts[0][$0]) }.check
    }
    let size = settings.slotSize
    let tokens = plan.drafts.flatMap { $0 }
    let places = plan.starts.flatMap { Array(slotPositions($0)) }
    session.forward(
      .causal(tokens: tokens, positions: places, cacheLength: committed.count))
    trace([tokens], [places], cacheLength: committed.count)

    // Token i of a slot is judged where token i − 1 was read; the first one was judged by its MASK.
    let inner = tokens.indices.filter { $0 % size != 0 }
    let scores = session.score(at: inner.map { $0 - 1 }, targets: inner.map { tokens[$0] })
    var probabilities: [[Float]] = []
    var rest = scores[...]
    for confidence in plan.confidences {
      probabilities.append([confidence] + rest.prefix(size - 1).map(\.probability))
      rest = rest.dropFirst(size - 1)
    }
    let passes = probabilities.map { row in
      row.indices.map { $0 == 0 || row[$0] > settings.tokenThreshold }
    }
    let accepted = passes.joined().prefix { $0 }.count
    observer.decision?(
      .verify(drafts: plan.drafts, probabilities: probabilities, accepted: accepted))
    return DraftCheck(tags: passes.map(Self.cumulativeAnd), acceptedPrefix: accepted, fed: size)
  }

  /// Step C: commits the slots that passed without a gap; false when not even the first one did.
  ///
  /// The cache keeps what step B computed for them: it is exact.
  mutating func commitPrefix(_ plan: SlotPlan, _ check: DraftCheck) -> Bool {
    let size = settings.slotSize
    let flat = plan.drafts.flatMap { $0 }
    let end = flat[..<check.acceptedPrefix].firstIndex(of: endToken)
    let slots = end.map { $0 / size + 1 } ?? check.acceptedPrefix / size
    guard slots > 0 else { return false }
    let count = end.map { $0 + 1 } ?? slots * size
    let places = plan.starts.flatMap { Array(slotPositions($0)) }
    commit(Array(flat[..<count]), at: Array(places[..<count]))

    var removed = Set(plan.chosen[..<slots])
    if end != nil {
      removed.formUnion(plan.chosen[slots - 1]..<undecided.count)
      reachedEnd = true
    }
    remove(removed)
    roundTokensPerForward.append(Double(size * slots) / 2)
    observer.decision?(.prefixCommit(slots: slots, endsWithEOS: end != nil))
    return true
  }

  /// Takes slots out of the undecided list.
  mutating func remove(_ indices: Set<Int>) {
    undecided = undecided.indices.filter { !indices.contains($0) }.map { undecided[$0] }
  }

  static func cumulativeAnd(_ row: [Bool]) -> [Bool] {
    var all = true
    return row.map { passed in
      all = all && passed
      return all
    }
  }
}
