import Tokenization

/// Prints text as it becomes final. Slots are committed out of order, so tokens are held until
/// everything before them is there.
final class StreamPrinter {
  private let text: TextModel
  private let isOn: Bool
  private var nextPosition: Int
  private var waiting: [Int: Int32] = [:]
  private var decoder: StreamingDecoder
  private var hasEnded = false

  init(text: TextModel, firstPosition: Int, isOn: Bool) {
    self.text = text
    self.isOn = isOn
    nextPosition = firstPosition
    decoder = text.streamingDecoder()
  }

  func commit(_ tokens: [Int32], at positions: [Int32]) {
    guard isOn else { return }
    for (token, position) in zip(tokens, positions) { waiting[Int(position)] = token }
    var ready = ""
    while !hasEnded, let token = waiting.removeValue(forKey: nextPosition) {
      nextPosition += 1
      hasEnded = text.isEnd(token)
      if !hasEnded { ready += text.append(token, to: &decoder) }
    }
    if !ready.isEmpty { Terminal.stream(Terminal.printable(ready)) }
  }

  /// Prints what is left of a cut-off character, and ends the line.
  func finish(_ tokens: [Int32]) {
    guard isOn else { return }
    Terminal.stream(Terminal.printable(decoder.finish()) + "\n")
  }
}
