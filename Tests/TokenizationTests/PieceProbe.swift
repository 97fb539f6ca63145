import Tokenization

/// Looks at single steps of encoding.
enum PieceProbe {
  enum Kind { case letter, number, space, other }

  /// What the pre-tokenizer takes a scalar for, from where it cuts short texts.
  static func kind(of scalar: Unicode.Scalar) -> Kind {
    let text = String(scalar)
    // A letter joins letters on both sides; a number stands alone.
    let pieces = TokenizerSteps.pieces(of: "a" + text + text + "a")
    if pieces.count == 1 { return .letter }
    // Numbers: a, n, n, a. Others: a, o, oa. Spaces: a, s, sa, or a, ss, a for line breaks.
    if pieces.count == 4 { return .number }
    // Two spaces at the end are one piece with a line break; others swallow the line break too,
    // but not when the space comes after it.
    return TokenizerSteps.pieces(of: "\n" + text + "\n").count == 1 ? .space : .other
  }

  static func normalized(_ text: String) -> String { TokenizerSteps.normalized(text) }
}
