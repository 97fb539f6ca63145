internal import Architecture
package import Kernels

/// One sequence being run through a model: the key/value cache and the working memory.
///
/// Not safe to share between threads; make one session each (the weights are shared).
public final class InferenceSession {
  public let model: ReFusionModel
  package let engine: ComputeEngine
  package let arithmetic: Arithmetic
  package let cache: KeyValueCache
  /// Calls of the model so far, counted as the published traces count them.
  package internal(set) var forwardCount = 0
  /// How often tokens really went through the layers.
  package internal(set) var passCount = 0
  /// Passes that made a call again with more tokens or went on with it, and so are not counted.
  package internal(set) var repeatCount = 0
  /// Time spent in the layers and the vocabulary projection so far.
  package internal(set) var arithmeticTime = Duration.zero
  /// Sees each layer's output `[tokens × hidden]`, for attribution of drift; nil in normal use.
  package var layerProbe: ((_ layer: Int, _ output: UnsafePointer<Float>, _ tokens: Int) -> Void)?

  /// Sees what each step costs, for benchmarks; nil in normal use.
  package var workProbe: ((_ work: SessionWork) -> Void)?

  /// Log-sum-exp of each row of logits that the last `score` left in the buffer; empty once others took their place.
  var heldLogSumExps: [Float] = []
  let rope: RopeTable
  let buffers = WorkingBuffers()

  /// - Parameters:
  ///   - arithmetic: how tiled weights multiply; dense weights always use f32 activations.
  ///   - cacheFormat: number format of cached keys and values.
  ///   - kernels: another table than the selected one, for tests and benchmarks.
  package init(
    model: ReFusionModel, pool: ThreadPool, arithmetic: Arithmetic = .quantized,
    cacheFormat: KeyValueCache.Format = .float32, kernels: KernelTable = .selected
  ) {
    self.model = model
    self.arithmetic = arithmetic
    engine = ComputeEngine(pool: pool, kernels: kernels)
    let shape = model.configuration
    cache = KeyValueCache(
      layers: shape.layerCount, keyValueHeads: shape.keyValueHeads,
      headDimension: shape.headDimension, format: cacheFormat, capacity: 0)
    rope = RopeTable(theta: shape.ropeTheta, headDimension: shape.headDimension)
  }
}

/// What a session just did.
package enum SessionWork: Sendable, Hashable {
  /// So many new tokens went through all layers, behind `context` cached ones.
  case forward(tokens: Int, context: Int)
  /// The vocabulary projection of so many tokens.
  case logits(rows: Int)
}

/// Activations of the forward pass, kept between calls so that steady decoding allocates nothing.
final class WorkingBuffers {
  let hidden = FloatBuffer()
  let normed = InputMemory()
  let queries = FloatBuffer()
  let keys = FloatBuffer()
  let values = FloatBuffer()
  let attended = InputMemory()
  let projected = FloatBuffer()
  let gated = InputMemory()
  let up = FloatBuffer()
  let selected = FloatBuffer()
  let logits = FloatBuffer()
}
