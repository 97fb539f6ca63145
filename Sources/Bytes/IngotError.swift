/// What went wrong, where, and what to do about it: the one error type of every module.
///
/// The command line prints `description` and exits with status 2; tests match on `code`.
public struct IngotError: Error, Sendable, Equatable, CustomStringConvertible {
  /// A stable, dotted name such as `safetensors.overlap`: the module, then the fault.
  public let code: String
  /// One sentence: what is wrong.
  public let message: String
  /// The file it is wrong in, as the user named it.
  public var path: String?
  /// The tensor concerned.
  public var tensor: String?
  /// Byte offset in the file.
  public var offset: Int?
  /// What the user can do.
  public let advice: String?

  public init(
    _ code: String, _ message: String, path: String? = nil, tensor: String? = nil,
    offset: Int? = nil, advice: String? = nil
  ) {
    self.code = code
    self.message = message
    self.path = path
    self.tensor = tensor
    self.offset = offset
    self.advice = advice
  }

  public var description: String {
    var text = ""
    if let path { text += "\(path): " }
    if let tensor { text += "tensor \(tensor): " }
    if let offset { text += "at byte \(offset): " }
    text += message
    if let advice { text += "\n  \(advice)" }
    return text
  }

  /// The same error with the path filled in where it is still missing.
  public func inFile(_ path: String) -> IngotError {
    var copy = self
    copy.path = copy.path ?? path
    return copy
  }
}
