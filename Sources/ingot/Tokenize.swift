import ArgumentParser
import Bytes
import Foundation

struct Tokenize: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Turn text on stdin into token ids, or ids back into text.",
    discussion: """
      Examples:
        echo -n 'Hello world' | ingot tokenize model.ingot
        echo '9707 1879' | ingot tokenize model.ingot --decode
      """)

  @Argument(help: "An .ingot file, or a folder with tokenizer files.", completion: .file())
  var model: String
  @Flag(name: .long, help: "Read ids, write text.") var decode = false
  @OptionGroup var common: CommonOptions

  func run() throws {
    let tokenizer = try TextModel.tokenizer(path: model)
    let input = FileHandle.standardInput.readDataToEndOfFile()
    guard let text = String(validating: input, as: UTF8.self) else {
      throw IngotError("input.utf8", "stdin is not UTF-8 text")
    }
    if decode {
      try writeText(tokenizer.decode(try Self.ids(text)))
    } else {
      writeIDs(tokenizer.encode(text).map { Int32($0) })
    }
  }

  private func writeText(_ text: String) throws {
    guard common.json else {
      Terminal.stream(Terminal.outputIsTerminal ? Terminal.printable(text) + "\n" : text)
      return
    }
    var writer = JSONWriter()
    writer.object { object in
      object.key("text")
      object.value(text)
    }
    print(writer.text)
  }

  private func writeIDs(_ ids: [Int32]) {
    guard common.json else {
      print(ids.map(String.init).joined(separator: " "))
      return
    }
    var writer = JSONWriter()
    writer.object { $0.member("ids", ids) }
    print(writer.text)
  }

  /// Ids separated by white space or commas, with or without JSON brackets around them.
  private static func ids(_ text: String) throws -> [Int] {
    let separators: Set<Character> = [" ", "\n", "\t", "\r", "\r\n", ",", "[", "]"]
    return try text.split(whereSeparator: separators.contains).map { item in
      guard let id = Int(item) else {
        throw IngotError(
          "input.ids", "'\(item.prefix(40))' is not a token id",
          advice: "Give ids separated by spaces.")
      }
      return id
    }
  }
}
