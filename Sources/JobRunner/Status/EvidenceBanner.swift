import Attestation

/// What a screen says of evidence that proves nothing.
enum EvidenceBanner {
  /// The banners of the classes that are not production; an unknown word has none.
  static func words(of classes: Set<String>) -> [String] {
    EvidenceClass.allCases.filter { classes.contains($0.rawValue) }.compactMap(\.banner)
  }
}
