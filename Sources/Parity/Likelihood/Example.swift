/// One query/response pair as token ids: the rendered prompt, and the response with its EOS.
package struct Example: Sendable, Hashable {
  package let prompt: [Int32]
  package let response: [Int32]

  /// - Parameters:
  ///   - prompt: at least one token.
  ///   - response: at least one token; the EOS is part of it.
  package init(prompt: [Int32], response: [Int32]) {
    precondition(!prompt.isEmpty && !response.isEmpty, "an example needs a prompt and a response")
    self.prompt = prompt
    self.response = response
  }

  package var positions: [Int32] { (0..<Int32(prompt.count + response.count)).map { $0 } }
}
