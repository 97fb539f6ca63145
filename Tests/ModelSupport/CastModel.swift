import Casting
import Checkpoints
import Kernels
import Quantization
package import ReFusion
package import TestSupport

/// A checkpoint cast into a folder and opened.
///
/// - Parameters:
///   - checkpoint: its folder.
///   - recipe: a built-in recipe's name, or nil to keep the weights as they are.
///   - folder: where the file goes.
package func castModel(
  _ checkpoint: String, recipe: String? = nil, in folder: TemporaryFolder
) throws -> ReFusionModel {
  let source = try CheckpointCastSource(Checkpoint(path: checkpoint))
  var plan = try CastPlan(converting: source, to: nil, toolVersion: "test")
  if let recipe {
    guard let found = Recipe.builtIn(recipe, for: source.configuration) else {
      throw MissingTensor(name: recipe)
    }
    plan = try CastPlan(quantizing: source, by: found, toolVersion: "test")
  }
  let path = folder.path("model.ingot")
  try Caster(plan).run(to: path, pool: .shared)
  return try ReFusionModel.open(path)
}
