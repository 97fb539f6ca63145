internal import Foundation

/// What one model decoded from one prompt.
package struct DecodeRun: Sendable, Equatable, Codable {
  /// Generated tokens, the EOS included when there is one.
  package var tokens: [Int32]
  package var text: String
  /// Calls of the model.
  package var forwards: Int
  /// As published (mean over rounds); nil for autoregressive decoding.
  package var publishedTokensPerForward: Double?
  package var seconds: Double
  package var timeline: DecodeTimeline

  package init(
    tokens: [Int32], text: String, forwards: Int, publishedTokensPerForward: Double? = nil,
    seconds: Double = 0, timeline: DecodeTimeline = DecodeTimeline(slotSize: 1, steps: [])
  ) {
    self.tokens = tokens
    self.text = text
    self.forwards = forwards
    self.publishedTokensPerForward = publishedTokensPerForward
    self.seconds = seconds
    self.timeline = timeline
  }

  enum CodingKeys: String, CodingKey {
    case tokens = "output_ids"
    case text, forwards
    case publishedTokensPerForward = "published_tokens_per_forward"
    case seconds, timeline
  }
}

/// Which slots each forward of a decoding worked on: what the timeline plot shows.
package struct DecodeTimeline: Sendable, Equatable, Codable {
  package enum Work: String, Sendable, Codable {
    /// Every undecided slot drafted from MASKs (step A).
    case plan
    /// The chosen drafts verified as text (step B).
    case verify
    /// Untagged tokens proposed again (step D.1).
    case propose
    /// Their completion verified (step D.2).
    case check
  }

  package struct Step: Sendable, Equatable, Codable {
    package var work: Work
    /// Slots the forward carried, counted from the start of the response.
    package var slots: [Int]
    /// Of these, slots that became final after it.
    package var committed: [Int]

    package init(work: Work, slots: [Int], committed: [Int] = []) {
      self.work = work
      self.slots = slots
      self.committed = committed
    }
  }

  package var slotSize: Int
  /// One per forward, in order.
  package var steps: [Step]

  package init(slotSize: Int, steps: [Step]) {
    self.slotSize = slotSize
    self.steps = steps
  }

  enum CodingKeys: String, CodingKey {
    case slotSize = "slot_size"
    case steps
  }
}

/// Both models' free-running outputs for one pair.
package struct DecodePair: Sendable, Equatable, Codable {
  package var reference: DecodeRun
  package var candidate: DecodeRun
  /// The final answer of the pair's own response, where it carries one.
  package var expectedAnswer: String?

  package init(reference: DecodeRun, candidate: DecodeRun, expectedAnswer: String? = nil) {
    self.reference = reference
    self.candidate = candidate
    self.expectedAnswer = expectedAnswer
  }

  enum CodingKeys: String, CodingKey {
    case reference, candidate
    case expectedAnswer = "expected_answer"
  }

  package var isExact: Bool { reference.tokens == candidate.tokens }

  /// Index of the first token that differs (the end of the shorter output counts); nil when equal.
  package var firstDivergence: Int? {
    if isExact { return nil }
    let common = zip(reference.tokens, candidate.tokens).prefix { $0 == $1 }
    return common.count
  }

  /// Insertions, deletions and substitutions between the outputs (Levenshtein).
  package var editDistance: Int { levenshtein(reference.tokens, candidate.tokens) }
}

/// Levenshtein's distance in O(a·b) time and O(b) memory.
package func levenshtein(_ a: [Int32], _ b: [Int32]) -> Int {
  var row = Array(0...b.count)
  for (i, token) in a.enumerated() {
    var diagonal = row[0]
    row[0] = i + 1
    for (j, other) in b.enumerated() {
      let substituted = diagonal + (token == other ? 0 : 1)
      diagonal = row[j + 1]
      row[j + 1] = min(substituted, row[j] + 1, row[j + 1] + 1)
    }
  }
  return row[b.count]
}

/// The answer a worked solution ends with, as GSM8K writes it: what follows the last `####`.
package enum FinalAnswer {
  /// - Returns: the rest of the marker's line without blanks, thousands separators, currency signs
  ///   and a final full stop; nil when there is no marker or nothing behind it.
  package static func extract(_ text: String) -> String? {
    guard let marker = text.range(of: "####", options: .backwards) else { return nil }
    let line = text[marker.upperBound...].drop { $0 == " " }.prefix { !$0.isNewline }
    var answer = line.filter { !$0.isWhitespace && $0 != "," && $0 != "$" }
    if answer.hasSuffix(".") { answer.removeLast() }
    return answer.isEmpty ? nil : answer
  }
}
