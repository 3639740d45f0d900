/// The product's version.
enum Version {
  /// Semantic version of this source.
  static let text = "0.1.0"
}
