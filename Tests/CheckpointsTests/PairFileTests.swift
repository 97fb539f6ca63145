import Bytes
import Checkpoints
import TestSupport
import Testing

@Suite struct PairFileTests {
  private func code(_ text: String) -> String? {
    CheckpointsTests.code { _ = try PairFile.parse(Array(text.utf8)) }
  }

  @Test(arguments: [
    "[{\"query\":\"a\",\"response\":\"b\"},{\"question\":\"c\",\"answer\":\"d\"}]",
    "\n [ {\"response\":\"b\",\"extra\":[1],\"query\":\"a\"},\n{\"answer\":\"d\",\"query\":\"c\"}]\n",
    "{\"query\":\"a\",\"response\":\"b\"}\n{\"question\":\"c\",\"answer\":\"d\"}\n",
    "\n\n{\"query\":\"a\",\"response\":\"b\"}\r\n  \r\n{\"question\":\"c\",\"answer\":\"d\"}",
  ])
  func readsBothForms(text: String) throws {
    #expect(
      try PairFile.parse(Array(text.utf8))
        == [Pair(query: "a", response: "b"), Pair(query: "c", response: "d")])
  }

  @Test(arguments: [
    ("", "pairs.empty"), ("[]", "pairs.empty"), (" \n", "json.syntax"), ("1", "pairs.form"),
    ("\"query\"", "pairs.form"), ("[1]", "pairs.form"), ("[[]]", "pairs.form"),
    ("[{}]", "pairs.missing"), ("[{\"query\":\"a\"}]", "pairs.missing"),
    ("[{\"response\":\"a\"}]", "pairs.missing"), ("{\"data\":[]}", "pairs.missing"),
    ("[{\"query\":1,\"response\":\"b\"}]", "pairs.type"),
    ("[{\"query\":\"a\",\"response\":null}]", "pairs.type"),
    ("[{\"query\":\"a\",\"question\":\"a\",\"response\":\"b\"}]", "pairs.ambiguous"),
    ("[{\"query\":\"a\",\"query\":\"a\",\"response\":\"b\"}]", "json.duplicateKey"),
    ("{\"query\":\"a\",\"response\":\"b\"}\n1", "pairs.form"),
    ("{\"query\":\"a\",\"response\":\"b\"},", "json.trailing"),
    ("{\"query\":\"a\",\n\"response\":\"b\"}", "json.syntax"),
    ("[{\"query\":\"a\",\"response\":\"b\"}", "json.syntax"),
    ("[{\"query\":\"\\ud800\",\"response\":\"b\"}]", "json.escape"),
  ])
  func refuses(text: String, expected: String) {
    #expect(code(text) == expected, "\(text)")
  }

  @Test func errorsNameTheRow() throws {
    let good = "{\"query\":\"a\",\"response\":\"b\"}"
    func message(_ text: String) -> String {
      do throws(IngotError) {
        _ = try PairFile.parse(Array(text.utf8))
        return ""
      } catch { return error.message }
    }
    #expect(message("[\(good),\(good),{\"query\":\"a\"}]").hasPrefix("row 2:"))
    #expect(message("\(good)\n\n{\"query\":\"a\"}").hasPrefix("row 1 (line 3):"))
    #expect(message("\(good)\n{\"query\":}").hasPrefix("row 1 (line 2):"))
  }

  @Test func hashesTheFile() throws {
    let folder = try TemporaryFolder()
    let bytes = Array("[{\"query\":\"a\",\"response\":\"b\"}]".utf8)
    let file = try PairFile(path: try folder.write(bytes, to: "pairs.json"))
    #expect(file.checksum == Checksum(of: bytes))
    #expect(file.pairs.count == 1)
    let html = try folder.write(Array("<html>".utf8), to: "page.json")
    #expect(CheckpointsTests.code { _ = try PairFile(path: html) } == "signature.html")
    #expect(
      CheckpointsTests.code { _ = try PairFile(path: folder.path("absent")) } == "file.open")
  }
}
