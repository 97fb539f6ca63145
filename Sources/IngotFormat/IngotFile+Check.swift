public import Bytes

extension IngotFile {
  /// Recomputes every checksum and reads every byte: what `ingot check` does beyond opening.
  ///
  /// - Parameters:
  ///   - threads: How many threads hash at a time.
  ///   - progress: Called from any of them with the bytes hashed since its last call.
  /// - Returns: everything that is wrong, in file order; empty for an intact file.
  public func check(
    threads: Int, progress: @Sendable (Int) -> Void = { _ in }
  ) -> [IngotError] {
    var problems: [IngotError] = []
    for entry in metadataEntries {
      do throws(IngotError) { _ = try metadataView.value(entry) } catch { problems.append(error) }
    }
    problems += checkPadding()
    let subtrees = SubtreeTable(tensors)
    let failures: [Int: IngotError]
    do throws(IngotError) {
      failures = subtrees.hash(try sameFile(), threads: max(1, threads), progress: progress)
    } catch {
      return problems + [error]
    }
    for (index, tensor) in tensors.enumerated() {
      if let failure = failures[index] {
        problems.append(failure)
      } else if subtrees.checksum(ofTensor: index) != tensor.checksum {
        problems.append(
          IngotError(
            "ingot.checksum", "is damaged: its checksum differs", path: path, tensor: tensor.name,
            offset: tensor.byteRange.lowerBound, advice: "Copy or convert the file again."))
      } else {
        problems += contentProblems(tensor)
      }
    }
    return problems
  }

  /// The mapped file again, for reading: a failing disk is then an error and not a signal.
  private func sameFile() throws(IngotError) -> FileReader {
    let reader = try FileReader(path: path)
    guard reader.identity == mapping.identity else {
      throw IngotError("ingot.changed", "was replaced or changed since it was opened", path: path)
    }
    return reader
  }

  /// Bytes between sections, values and tensors must be zero.
  private func checkPadding() -> [IngotError] {
    let used = sections.dropLast() + metadataEntries.map(\.range) + tensors.map(\.byteRange)
    var problems: [IngotError] = []
    var end = IngotLayout.headerBytes
    for range in used where !range.isEmpty {
      if let bad = mapping.bytes[end..<range.lowerBound].firstIndex(where: { $0 != 0 }) {
        problems.append(Self.padding(bad, path))
      }
      end = range.upperBound
    }
    if let bad = mapping.bytes[end...].firstIndex(where: { $0 != 0 }) {
      problems.append(Self.padding(bad, path))
    }
    return problems
  }

  private static func padding(_ offset: Int, _ path: String) -> IngotError {
    IngotError("ingot.padding", "a padding byte is not zero", path: path, offset: offset)
  }
}
