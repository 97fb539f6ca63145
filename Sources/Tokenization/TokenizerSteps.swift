/// The steps of encoding by themselves, for tests and for looking into a surprising result.
package enum TokenizerSteps {
  /// The text in normalisation form C as of Unicode 9.0.
  package static func normalized(_ text: String) -> String {
    let bytes = Array(text.utf8)
    return Normalizer().normalized(bytes.span).map { String(decoding: $0, as: UTF8.self) } ?? text
  }

  /// The pieces that merging does not cross, without normalisation.
  package static func pieces(of text: String) -> [String] {
    let bytes = Array(text.utf8)
    let preTokenizer = PreTokenizer()
    var pieces: [String] = []
    var position = 0
    while position < bytes.count {
      let end = preTokenizer.end(ofPieceAt: position, in: bytes.span)
      pieces.append(String(decoding: bytes[position..<end], as: UTF8.self))
      position = end
    }
    return pieces
  }
}
