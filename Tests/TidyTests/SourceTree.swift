import Foundation
import TestSupport

/// The files of the checkout that are ours.
enum SourceTree {
  /// Every regular file below `folder` whose name ends so, in order.
  static func files(under folder: String, suffix: String) throws -> [URL] {
    let root = Checkout.root.appending(path: folder)
    let walker = FileManager.default.enumerator(at: root, includingPropertiesForKeys: nil)
    return (walker?.allObjects as? [URL] ?? []).filter { $0.path.hasSuffix(suffix) }.sorted { $0.path < $1.path }
  }
}
