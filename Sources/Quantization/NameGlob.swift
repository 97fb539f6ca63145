/// A pattern for tensor names: `*` stands for any characters, `?` for one, all else for itself.
package struct NameGlob: Sendable, Hashable {
  package let pattern: String
  private let characters: [UInt8]

  package init(_ pattern: String) {
    self.pattern = pattern
    characters = Array(pattern.utf8)
  }

  /// Whether the whole name fits; time is at most the product of both lengths.
  package func matches(_ name: String) -> Bool {
    let text = Array(name.utf8)
    var (at, position) = (0, 0)
    // Where to go on when the text after the last star turns out not to fit.
    var retry: (at: Int, position: Int)?
    while position < text.count {
      if at < characters.count, characters[at] == UInt8(ascii: "*") {
        at += 1
        retry = (at, position)
      } else if at < characters.count,
        characters[at] == UInt8(ascii: "?") || characters[at] == text[position]
      {
        at += 1
        position += 1
      } else if let last = retry {
        at = last.at
        position = last.position + 1
        retry = (last.at, position)
      } else {
        return false
      }
    }
    return characters[at...].allSatisfy { $0 == UInt8(ascii: "*") }
  }
}
