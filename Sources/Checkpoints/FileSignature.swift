import Bytes

/// Recognises, by its first bytes, a file that is not what its name says.
///
/// Only asked when a file has turned out not to be what was expected: a safetensors header length
/// may begin with any bytes at all.
enum FileSignature: String, Sendable, CaseIterable {
  case gitLFS
  case html
  case torchZip
  case zip
  case pickle
  case gguf
  case hdf5
  case numpy
  case gzip
  case zstd
  case json

  /// Bytes worth looking at.
  static let prefixLength = 512

  /// What these first bytes of a file are known to start, or nil.
  init?(prefix bytes: [UInt8]) {
    if let match = Self.fixed.first(where: { bytes.starts(with: $0.magic) }) {
      self = match.signature
    } else if bytes.starts(with: [0x50, 0x4B, 0x03, 0x04]) {
      // PyTorch writes `<name>/data.pkl` as the first member.
      let head = String(decoding: bytes.prefix(Self.prefixLength), as: UTF8.self)
      self = head.contains("data.pkl") ? .torchZip : .zip
    } else if bytes.count > 1, bytes[0] == 0x80, (2...5).contains(bytes[1]) {
      self = .pickle
    } else {
      let spaces: Set<UInt8> = [0x20, 0x09, 0x0A, 0x0D]
      let text = bytes.prefix(Self.prefixLength).drop { spaces.contains($0) }
      let head = String(decoding: text.prefix(16), as: UTF8.self).lowercased()
      if head.hasPrefix("<!doctype html") || head.hasPrefix("<html") {
        self = .html
      } else if head.hasPrefix("{") {
        self = .json
      } else {
        return nil
      }
    }
  }

  private static let fixed: [(magic: [UInt8], signature: FileSignature)] = [
    (Array("version https://git-lfs.github.com/spec/".utf8), .gitLFS),
    (Array("GGUF".utf8), .gguf),
    ([0x50, 0x4B, 0x05, 0x06], .zip),
    ([0x89, 0x48, 0x44, 0x46], .hdf5),
    ([0x93] + Array("NUMPY".utf8), .numpy),
    ([0x1F, 0x8B], .gzip),
    ([0x28, 0xB5, 0x2F, 0xFD], .zstd),
  ]

  /// The error `signature.<name>`: what was found instead of `expected`, and what to do.
  func error(insteadOf expected: String, path: String? = nil) -> IngotError {
    IngotError(
      "signature.\(rawValue)", "is \(description), not \(expected)", path: path, advice: advice)
  }

  private var description: String {
    switch self {
    case .gitLFS: "a Git LFS pointer (a few lines of text that stand for the real file)"
    case .html: "an HTML page, probably the error page of a failed download"
    case .torchZip: "a PyTorch checkpoint (a zip archive around a pickle)"
    case .zip: "a zip archive"
    case .pickle: "a Python pickle"
    case .gguf: "a GGUF file"
    case .hdf5: "an HDF5 file"
    case .numpy: "a NumPy array"
    case .gzip: "a gzip archive"
    case .zstd: "a zstd archive"
    case .json: "a JSON text"
    }
  }

  private var advice: String? {
    switch self {
    case .gitLFS: "Fetch the real file: git lfs pull."
    case .html: "Download the file again and look at what the server says."
    case .torchZip, .pickle:
      "Pickles can run code when they are read, so Ingot never does. Convert to safetensors first."
    case .gguf: "Ingot reads the Hugging Face checkpoint that the GGUF file was made from."
    case .zip, .gzip, .zstd: "Unpack it first."
    case .hdf5, .numpy: "Convert the weights to safetensors first."
    case .json: nil
    }
  }
}
