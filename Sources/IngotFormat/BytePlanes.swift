/// Splits numbers into planes, so that bytes of one significance lie together: the exponents of
/// trained bf16 weights take few values and compress well, their fractions do not at all.
enum BytePlanes {
  /// Byte `i` of element `j` goes to position `i · (count / planes) + j`.
  ///
  /// - Parameter planes: Bytes of one element; divides the count of both buffers, which are equal.
  static func split(
    _ source: UnsafeRawBufferPointer, planes: Int, into target: UnsafeMutableRawBufferPointer
  ) {
    precondition(source.count == target.count && source.count % planes == 0)
    let elements = source.count / planes
    for plane in 0..<planes {
      for element in 0..<elements {
        target[plane &* elements &+ element] = source[element &* planes &+ plane]
      }
    }
  }

  /// The inverse of `split`.
  static func join(
    _ source: UnsafeRawBufferPointer, planes: Int, into target: UnsafeMutableRawBufferPointer
  ) {
    precondition(source.count == target.count && source.count % planes == 0)
    let elements = source.count / planes
    for plane in 0..<planes {
      for element in 0..<elements {
        target[element &* planes &+ plane] = source[plane &* elements &+ element]
      }
    }
  }
}
