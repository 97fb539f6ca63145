package import Bytes
internal import CZstd

/// One-shot zstd frames whose decoded size is known beforehand.
package enum Zstandard {
  /// Compresses into one frame. The bytes depend on the library's version.
  package static func compress(
    _ bytes: UnsafeRawBufferPointer, level: Int32 = 3
  ) throws(IngotError) -> [UInt8] {
    let bound = ZSTD_compressBound(bytes.count)
    var code = 0
    let result = [UInt8](unsafeUninitializedCapacity: bound) { target, used in
      code = ZSTD_compress(target.baseAddress, bound, bytes.baseAddress, bytes.count, level)
      used = ZSTD_isError(code) != 0 ? 0 : code
    }
    guard ZSTD_isError(code) == 0 else {
      throw IngotError("zstd.compress", "cannot be compressed: \(reason(code))")
    }
    return result
  }

  /// Decodes exactly `target.count` bytes: never more memory than the caller set aside.
  ///
  /// - Throws: `zstd.corrupt` when the frame is damaged or decodes to another length.
  package static func decompress(
    _ bytes: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer
  ) throws(IngotError) {
    let code = ZSTD_decompress(target.baseAddress, target.count, bytes.baseAddress, bytes.count)
    guard ZSTD_isError(code) == 0 else {
      throw IngotError("zstd.corrupt", "compressed bytes are damaged: \(reason(code))")
    }
    guard code == target.count else {
      throw IngotError(
        "zstd.corrupt", "compressed bytes decode to \(code) bytes instead of \(target.count)")
    }
  }

  private static func reason(_ code: Int) -> String { String(cString: ZSTD_getErrorName(code)) }
}
