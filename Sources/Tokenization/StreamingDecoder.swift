public import Bytes

/// Turns tokens into text as they come, never handing out half a character.
///
/// The texts it returns, joined, equal `Tokenizer.decode` of all the tokens at once.
public struct StreamingDecoder: Sendable {
  private let tokenizer: Tokenizer
  private let skipSpecial: Bool
  /// The beginning of a character whose rest has not come: at most three bytes.
  private var pending: [UInt8] = []

  public init(_ tokenizer: Tokenizer, skipSpecial: Bool = false) {
    self.tokenizer = tokenizer
    self.skipSpecial = skipSpecial
  }

  /// Takes one token and returns the text that is certain now; often empty inside a character.
  ///
  /// - Throws: `tokenizer.id` for an id outside the vocabulary; the decoder is as before then.
  public mutating func append(_ id: Int) throws(IngotError) -> String {
    try tokenizer.appendBytes(
      of: id, skipSpecial: skipSpecial, to: &pending)
    let kept = Self.incompleteTail(of: pending)
    let text = String(decoding: pending.dropLast(kept), as: UTF8.self)
    pending.removeFirst(pending.count - kept)
    return text
  }

  /// Returns what is left, a U+FFFD for a character that was never finished, and starts afresh.
  public mutating func finish() -> String {
    defer { pending.removeAll() }
    return String(decoding: pending, as: UTF8.self)
  }

  /// How many bytes at the end begin a well-formed sequence that more bytes could finish.
  static func incompleteTail(of bytes: [UInt8]) -> Int {
    for count in 1...3 where count <= bytes.count {
      let lead = bytes[bytes.count - count]
      // A continuation byte: look further left for its lead.
      if lead & 0xC0 == 0x80 { continue }
      let second = count > 1 ? bytes[bytes.count - count + 1] : nil
      return canContinue(lead: lead, second: second, count: count) ? count : 0
    }
    return 0
  }

  private static func canContinue(lead: UInt8, second: UInt8?, count: Int) -> Bool {
    let (length, seconds) = UTF8Check.form(lead)
    return count < length && second.map(seconds.contains) ?? true
  }
}
