/// How the scale of a group is found.
package enum RoundingMethod: String, Sendable, Hashable, CaseIterable {
  /// From the group's largest weight: fast, and what most tools do.
  case plain
  /// The scale of least (optionally importance-weighted) squared error.
  case search
}
