/// Everything a verification observed, before any judgement: what a shard writes and what the
/// report is computed from.
///
/// A report depends on the evidence only through its pairs in ascending order, so shards merged in
/// any order give the bytes that one run would have given.
package struct ParityEvidence: Sendable, Equatable {
  package var inputs: ParityInputs
  /// Ascending by index.
  package var pairs: [PairEvidence]
  package var attribution: Attribution?
  /// Tensors of the candidate whose bytes no longer have the checksum they were written with.
  package var damagedTensors: [String]
  package var run: RunInformation
  /// Which part of the pairs this is; nil for all of them.
  package var shard: Shard?

  package init(
    inputs: ParityInputs, pairs: [PairEvidence], attribution: Attribution? = nil,
    damagedTensors: [String] = [], run: RunInformation, shard: Shard? = nil
  ) {
    self.inputs = inputs
    self.pairs = pairs.sorted { $0.index < $1.index }
    self.attribution = attribution
    self.damagedTensors = damagedTensors
    self.run = run
    self.shard = shard
  }
}

/// What was observed on one pair.
package struct PairEvidence: Sendable, Equatable {
  /// In the pairs file.
  package var index: Int
  package var promptTokens: Int
  package var responseTokens: Int
  /// The query, for the examples.
  package var query: String
  package var positions: [PositionRecord]
  /// By metric name: `causal`, `slot_k8`, `objective_autoregressive`, `objective_masked`.
  package var likelihoods: NamedList<PairedTotal>
  package var decode: DecodePair?
  package var replay: [ReplayDecision]
  /// The first decision that the candidate takes differently, with its tokens as text.
  package var firstFlip: ReplaySummary.FirstFlip?
  /// Positions of this pair with the largest divergence, largest first, with their text.
  package var worst: [WorstPosition]

  package init(
    index: Int, promptTokens: Int, responseTokens: Int, query: String,
    positions: [PositionRecord], likelihoods: NamedList<PairedTotal>, decode: DecodePair? = nil,
    replay: [ReplayDecision] = [], firstFlip: ReplaySummary.FirstFlip? = nil,
    worst: [WorstPosition] = []
  ) {
    self.index = index
    self.promptTokens = promptTokens
    self.responseTokens = responseTokens
    self.query = query
    self.positions = positions.sorted(by: PositionRecord.precedes)
    self.likelihoods = likelihoods
    self.decode = decode
    self.replay = replay
    self.firstFlip = firstFlip
    self.worst = worst
  }
}

/// A position where the models differ most, with what each would have written.
package struct WorstPosition: Sendable, Equatable, Codable {
  package var pair: Int
  package var position: Int
  package var head: String
  /// KL in nats.
  package var divergence: Double
  /// The text right before the token.
  package var context: String
  package var correct: String
  package var referenceToken: String
  package var candidateToken: String
  /// Probabilities of the correct token.
  package var referenceProbability: Double
  package var candidateProbability: Double

  package init(
    pair: Int, position: Int, head: String, divergence: Double, context: String, correct: String,
    referenceToken: String, candidateToken: String, referenceProbability: Double,
    candidateProbability: Double
  ) {
    self.pair = pair
    self.position = position
    self.head = head
    self.divergence = divergence
    self.context = context
    self.correct = correct
    self.referenceToken = referenceToken
    self.candidateToken = candidateToken
    self.referenceProbability = referenceProbability
    self.candidateProbability = candidateProbability
  }

  enum CodingKeys: String, CodingKey {
    case pair, position, head
    case divergence = "kl"
    case context, correct
    case referenceToken = "reference_token"
    case candidateToken = "candidate_token"
    case referenceProbability = "reference_probability"
    case candidateProbability = "candidate_probability"
  }
}

/// Where and how it was computed; no figure of the verdict depends on it.
package struct RunInformation: Sendable, Equatable, Codable {
  package var tool: String
  package var cpu: String
  package var isa: String
  package var threads: Int
  package var seconds: Double
  /// Of these, seconds inside the models: their layers and their projection to the vocabulary.
  package var modelSeconds: Double
  /// Stopped before the last pair because the outcome was clear (`--early-stop`).
  package var stoppedEarly: Bool

  package init(
    tool: String, cpu: String, isa: String, threads: Int, seconds: Double,
    modelSeconds: Double = 0, stoppedEarly: Bool = false
  ) {
    self.tool = tool
    self.cpu = cpu
    self.isa = isa
    self.threads = threads
    self.seconds = seconds
    self.modelSeconds = modelSeconds
    self.stoppedEarly = stoppedEarly
  }

  enum CodingKeys: String, CodingKey {
    case tool, cpu, isa, threads, seconds
    case modelSeconds = "model_seconds"
    case stoppedEarly = "stopped_early"
  }
}
