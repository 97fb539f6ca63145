internal import Kernels

/// A reusable block of f32 numbers that only grows.
final class FloatBuffer {
  private var memory = ZeroedPages(count: 0)
  private(set) var capacity = 0

  var base: UnsafeMutablePointer<Float> { memory.base.assumingMemoryBound(to: Float.self) }

  /// The block, with room for at least `count` numbers; contents are lost when it grows.
  func reserve(_ count: Int) -> UnsafeMutablePointer<Float> {
    if count > capacity {
      // The old block goes first, so that memory never holds both.
      memory = ZeroedPages(count: 0)
      memory = ZeroedPages(count: count * MemoryLayout<Float>.stride)
      capacity = count
    }
    return base
  }
}
