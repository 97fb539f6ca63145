import Bytes
import Foundation
import TestSupport
import Testing

/// The program of the README's "As a library", which sees public declarations only.
@Suite struct LibraryExampleTests {
  private let checkpoint = Shared.packageRoot.appendingPathComponent("samples/tiny-refusion").path
  private let question = "Write the list map, kite, key from back to front."

  @Test func anOutsideProgramReadsAndRunsAModel() throws {
    let folder = try TemporaryFolder()
    let model = folder.path("model.ingot")
    #expect(try Program.run("convert", checkpoint, model).status == 0)
    let outside = try Program.run([model, question], program: "LibraryExample")
    #expect(outside.status == 0, Comment(rawValue: outside.complaint))
    #expect(outside.output.contains("model.embed_tokens.weight [853, 256] BF16"))

    let inside = try Program.run(
      "generate", model, "--prompt", question, "--slot-size", "16", "--blocks", "1",
      "--max-tokens", "64", "--json")
    let text = try #require(
      try JSONValue(parsing: Array(inside.output.utf8)).object?["text"]?.string)
    #expect(!text.isEmpty)
    #expect(outside.output.contains(text + "\n"))
  }

  @Test func theREADMEShowsTheProgramThatIsCompiled() throws {
    let root = Shared.packageRoot
    let example = try String(
      contentsOf: root.appendingPathComponent("Tests/LibraryExample/main.swift"), encoding: .utf8)
    let readme = try String(contentsOf: root.appendingPathComponent("README.md"), encoding: .utf8)
    #expect(readme.contains("```swift\n" + example + "```"))
  }
}
