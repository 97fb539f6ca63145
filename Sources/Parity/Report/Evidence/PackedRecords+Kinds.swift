extension PositionRecord: PackedRecord {
  static var width: Int { 51 }

  func pack(into bytes: inout [UInt8]) {
    bytes.append(littleEndian: pair)
    bytes.append(littleEndian: position)
    bytes.append(metric.rawValue)
    bytes.append(head.order)
    bytes.append(littleEndian: slotSize)
    bytes.append(littleEndian: positionInSlot)
    bytes.append(littleEndian: draw)
    for value in [maskRatio, divergence, referenceLoss, candidateLoss, confidence] {
      bytes.append(float: value)
    }
    for token in [correctToken, referenceTop, candidateTop] { bytes.append(littleEndian: token) }
    bytes.append(contentsOf: [sharedTopFive, topCount, isFinite ? 1 : 0])
  }

  init?(_ reader: inout RecordReader) {
    pair = reader.integer()
    position = reader.integer()
    guard let metric = LikelihoodMetric(rawValue: reader.integer()) else { return nil }
    let order: UInt8 = reader.integer()
    guard let head = ScoringHead.allCases.first(where: { $0.order == order }) else { return nil }
    self.metric = metric
    self.head = head
    slotSize = reader.integer()
    positionInSlot = reader.integer()
    draw = reader.integer()
    maskRatio = reader.float()
    divergence = reader.float()
    referenceLoss = reader.float()
    candidateLoss = reader.float()
    confidence = reader.float()
    correctToken = reader.integer()
    referenceTop = reader.integer()
    candidateTop = reader.integer()
    sharedTopFive = reader.integer()
    topCount = reader.integer()
    let finite: UInt8 = reader.integer()
    isFinite = finite == 1
    let figures = [divergence, referenceLoss, candidateLoss, confidence, maskRatio]
    guard !isFinite || figures.allSatisfy(\.isFinite), divergence >= 0,
      finite <= 1, topCount >= 1, sharedTopFive <= topCount
    else { return nil }
  }
}

extension ReplayDecision: PackedRecord {
  static var width: Int { 22 }

  func pack(into bytes: inout [UInt8]) {
    bytes.append(littleEndian: pair)
    bytes.append(littleEndian: forward)
    bytes.append(littleEndian: position)
    bytes.append(kind.rawValue)
    bytes.append(flipped ? 1 : 0)
    bytes.append(float: reference)
    bytes.append(float: candidate)
  }

  init?(_ reader: inout RecordReader) {
    pair = reader.integer()
    forward = reader.integer()
    position = reader.integer()
    guard let kind = Kind(rawValue: reader.integer()) else { return nil }
    self.kind = kind
    let flag: UInt8 = reader.integer()
    guard flag <= 1 else { return nil }
    flipped = flag == 1
    reference = reader.float()
    candidate = reader.float()
    guard reference.isFinite, candidate.isFinite else { return nil }
  }
}
