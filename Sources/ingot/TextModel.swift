import Bytes
import Checkpoints
import Foundation
import IngotFormat
import Parity
import ReFusion
import Tokenization

/// A model together with what turns text into its tokens and back.
struct TextModel {
  let file: IngotFile
  let model: ReFusionModel
  let tokenizer: Tokenizer
  private let templateSource: String?

  /// - Throws: what opening throws; `model.noTokenizer` for a file converted without one.
  init(path: String) throws {
    file = try ModelFile.open(path)
    model = try ReFusionModel(file: file)
    tokenizer = try Self.tokenizer(of: file)
    templateSource = try file.chatTemplate()
    guard tokenizer.count <= model.configuration.vocabularySize else {
      throw IngotError(
        "model.vocabulary",
        "the tokenizer has \(tokenizer.count) tokens, the model only "
          + "\(model.configuration.vocabularySize)", path: path,
        advice: "The tokenizer files belong to another model.")
    }
  }

  /// The tokenizer of an `.ingot` file or of a folder with tokenizer files.
  static func tokenizer(path: String) throws -> Tokenizer {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder.boolValue
    else { return try tokenizer(of: ModelFile.open(path)) }
    guard let definition = try TokenizerDefinition.load(folder: path) else {
      throw IngotError(
        "tokenizer.missing", "holds no tokenizer files", path: path,
        advice: "Expected tokenizer.json, or vocab.json and merges.txt.")
    }
    return try Tokenizer(blob: definition.encodedBlob())
  }

  private static func tokenizer(of file: IngotFile) throws -> Tokenizer {
    guard let blob = try file.tokenizerBlob() else {
      throw IngotError(
        "model.noTokenizer", "was converted without a tokenizer, so it cannot read or write text",
        path: file.path,
        advice: "Put the tokenizer files into the checkpoint folder and convert it again.")
    }
    do throws(IngotError) {
      return try Tokenizer(blob: blob, owner: file.mapping)
    } catch { throw error.inFile(file.path) }
  }

  /// Token ids of a question, in the chat template unless `raw`.
  func promptIDs(_ query: String, raw: Bool = false) throws -> [Int32] {
    let text = raw ? query : try template().prompt(query)
    return tokenizer.encode(text).map { Int32($0) }
  }

  private func template() throws -> ChatTemplate {
    do throws(IngotError) {
      return try ChatTemplate(source: templateSource, tokenizer: tokenizer)
    } catch { throw error.inFile(file.path) }
  }

  /// A pair as the model is trained on it: rendered prompt, then response and EOS.
  ///
  /// - Parameter raw: the query as it is, without the chat template.
  func example(_ pair: Pair, raw: Bool = false) throws -> Example {
    guard let end = model.configuration.endOfTextToken else {
      throw IngotError(
        "model.noEOS", "the model has no eos_token_id", path: file.path,
        advice: "Add eos_token_id to its config.json and convert it again.")
    }
    return Example(
      prompt: try promptIDs(pair.query, raw: raw),
      response: tokenizer.encode(pair.response).map { Int32($0) } + [Int32(end)])
  }

  /// All pairs as token ids.
  ///
  /// - Throws: `pairs.tooLong` for a pair that exceeds the model's positions, named by row.
  func examples(_ pairs: [Pair], path: String, raw: Bool = false) throws -> [Example] {
    try pairs.enumerated().map { row, pair in
      let example = try example(pair, raw: raw)
      let limit = model.configuration.maximumPositions
      guard example.positions.count <= limit else {
        throw IngotError(
          "pairs.tooLong",
          "pair \(row) has \(example.positions.count) tokens; the model takes \(limit)",
          path: path, advice: "Shorten or remove it.")
      }
      return example
    }
  }

  /// The text of generated tokens, special ones left out. Ids the vocabulary lacks (a model may
  /// have spare rows) stand for nothing.
  func decode(_ ids: [Int32]) -> String {
    let known = ids.map(Int.init).filter { $0 < tokenizer.count }
    return (try? tokenizer.decode(known, skipSpecial: true)) ?? ""
  }

  func streamingDecoder() -> StreamingDecoder {
    StreamingDecoder(tokenizer, skipSpecial: true)
  }

  func append(_ token: Int32, to decoder: inout StreamingDecoder) -> String {
    guard Int(token) < tokenizer.count else { return "" }
    return (try? decoder.append(Int(token))) ?? ""
  }

  func isEnd(_ token: Int32) -> Bool { Int(token) == model.configuration.endOfTextToken }
}

/// Opening of model files, with a hint for what people give by mistake.
enum ModelFile {
  static func open(_ path: String) throws -> IngotFile {
    var isFolder: ObjCBool = false
    if FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder.boolValue {
      throw IngotError(
        "model.folder", "is a folder; models run from .ingot files", path: path,
        advice: "Convert it first: ingot convert \(path) model.ingot")
    }
    return try IngotFile.open(path)
  }
}

/// Query/response pairs named on the command line.
enum PairSource {
  static func read(_ path: String) throws -> [Pair] { try PairFile(path: path).pairs }
}
