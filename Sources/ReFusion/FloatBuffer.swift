internal import Kernels

/// A reusable block of f32 numbers that only grows.
final class FloatBuffer {
  private var memory = AlignedMemory()

  var base: UnsafeMutablePointer<Float> { memory.base.assumingMemoryBound(to: Float.self) }

  /// The block, with room for at least `count` numbers; contents are lost when it grows.
  func reserve(_ count: Int) -> UnsafeMutablePointer<Float> {
    memory.reserve(count * MemoryLayout<Float>.stride).assumingMemoryBound(to: Float.self)
  }
}
