/// Cuts text into the pieces that byte-pair merging may not cross: the Qwen2 pattern, by hand.
///
/// ```text
/// (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|
/// \s*[\r\n]+|\s+(?!\S)|\s+
/// ```
///
/// Alternatives are tried in this order, as the reference's backtracking engine does; every
/// character belongs to exactly one piece. Source: `tokenization_qwen2.py` of transformers.
struct PreTokenizer: Sendable {
  /// The pattern as `tokenizer.json` writes it; any other is refused.
  static let pattern =
    #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|"#
    + #"\s*[\r\n]+|\s+(?!\S)|\s+"#

  let classes = UnicodeClasses.shared

  /// The end of the piece that starts at `start` (< `text.count`); `text` is well-formed UTF-8.
  ///
  /// Linear in the piece, plus the white space right after it.
  func end(ofPieceAt start: Int, in text: borrowing Span<UInt8>) -> Int {
    let first = text[start]
    if first == UInt8(ascii: "'"), let end = contraction(at: start, in: text) { return end }
    let (kind, length) = classes.classes(in: text, at: start)
    let next = start + length
    if kind & UnicodeClasses.letter != 0 { return skipLetters(from: next, in: text) }
    let nextKind = next < text.count ? classes.classes(in: text, at: next).classes : 0
    if nextKind & UnicodeClasses.letter != 0,
      kind & (UnicodeClasses.newline | UnicodeClasses.number) == 0
    {
      return skipLetters(from: next, in: text)
    }
    if kind & UnicodeClasses.number != 0 { return next }
    if kind & UnicodeClasses.space == 0 { return skipOther(from: next, in: text) }
    if first == UInt8(ascii: " "), next < text.count, nextKind & UnicodeClasses.wordOrSpace == 0 {
      return skipOther(from: next, in: text)
    }
    return endOfSpace(from: start, in: text)
  }

  /// `(?i:'s|'t|'re|'ve|'m|'ll|'d)`. Without case, `s` also equals U+017F, the long s.
  private func contraction(at start: Int, in text: borrowing Span<UInt8>) -> Int? {
    func lowercase(_ offset: Int) -> UInt8 {
      start + offset < text.count ? text[start + offset] | 0x20 : 0
    }
    switch (lowercase(1), lowercase(2)) {
    case (UInt8(ascii: "s"), _), (UInt8(ascii: "t"), _), (UInt8(ascii: "m"), _),
      (UInt8(ascii: "d"), _):
      return start + 2
    case (UInt8(ascii: "r"), UInt8(ascii: "e")), (UInt8(ascii: "v"), UInt8(ascii: "e")),
      (UInt8(ascii: "l"), UInt8(ascii: "l")):
      return start + 3
    default:
      let isLongS = start + 2 < text.count && text[start + 1] == 0xC5 && text[start + 2] == 0xBF
      return isLongS ? start + 3 : nil
    }
  }

  /// The rest of `\p{L}+`.
  private func skipLetters(from start: Int, in text: borrowing Span<UInt8>) -> Int {
    var position = start
    while position < text.count {
      let (kind, length) = classes.classes(in: text, at: position)
      guard kind & UnicodeClasses.letter != 0 else { break }
      position += length
    }
    return position
  }

  /// The rest of `[^\s\p{L}\p{N}]+[\r\n]*`.
  private func skipOther(from start: Int, in text: borrowing Span<UInt8>) -> Int {
    var position = start
    while position < text.count {
      let (kind, length) = classes.classes(in: text, at: position)
      guard kind & UnicodeClasses.wordOrSpace == 0 else { break }
      position += length
    }
    while position < text.count,
      text[position] == UInt8(ascii: "\n") || text[position] == UInt8(ascii: "\r")
    {
      position += 1
    }
    return position
  }

  /// `\s*[\r\n]+|\s+(?!\S)|\s+`: through the last line break of the run; else the run without its
  /// last space, which the next word takes; else the run.
  private func endOfSpace(from start: Int, in text: borrowing Span<UInt8>) -> Int {
    var position = start
    var afterNewline: Int?
    var last = start
    while position < text.count {
      let (kind, length) = classes.classes(in: text, at: position)
      guard kind & UnicodeClasses.space != 0 else { break }
      last = position
      position += length
      if kind & UnicodeClasses.newline != 0 { afterNewline = position }
    }
    if let afterNewline { return afterNewline }
    return position == text.count || last == start ? position : last
  }
}
