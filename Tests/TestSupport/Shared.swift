public import Foundation

/// The data folder beside the checkout that some tests compare with; absent on a plain clone.
public enum Shared {
  /// `../shared` next to the package, or `INGOT_SHARED`.
  public static let root: URL? = {
    let environment = ProcessInfo.processInfo.environment["INGOT_SHARED"]
    let candidate =
      environment.map { URL(fileURLWithPath: $0) }
      ?? packageRoot.deletingLastPathComponent().appendingPathComponent("shared")
    return FileManager.default.fileExists(atPath: candidate.path) ? candidate : nil
  }()

  /// The folder of Package.swift.
  public static let packageRoot = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  /// True when the shared data is there: `@Test(.enabled(if: Shared.isPresent, Comment(…)))`.
  public static var isPresent: Bool { root != nil }
  public static let skipped =
    "needs ../shared (checkpoint and golden data), which is absent on a plain clone"

  /// A path below the shared folder; call only where `isPresent`.
  public static func path(_ relative: String) -> String {
    (root ?? packageRoot).appendingPathComponent(relative).path
  }
}
