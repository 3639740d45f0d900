import Foundation
import TestSupport

/// One tree to install into, with the programs of this build, and what `scripts/install.sh` and `uninstall.sh` do there.
final class Installation {
  let theatre: Theatre
  /// Stands for the target's root folder.
  let destination: String
  let prefix = "/usr/local"

  init() throws {
    theatre = try Theatre()
    destination = try theatre.make("target")
  }

  /// Where a path below the prefix lies on this machine.
  func path(_ name: String) -> String { "\(destination)\(prefix)/\(name)" }

  var manifest: String { path("share/ephemeral/install.manifest") }

  @discardableResult
  func install(_ components: String = "client", program: URL? = nil) throws -> Theatre.Finished {
    let folder = (program ?? theatre.ephemeral).deletingLastPathComponent().path
    return try script("install.sh", ["BIN": folder, "COMPONENTS": components])
  }

  @discardableResult
  func uninstall(purge: Bool = false) throws -> Theatre.Finished {
    try script("uninstall.sh", ["PURGE": purge ? "1" : "0"])
  }

  func script(_ name: String, _ settings: [String: String]) throws -> Theatre.Finished {
    let place = ["DESTDIR": destination, "PREFIX": prefix]
    return try theatre.run(
      Checkout.root.appending(path: "scripts/\(name)"), [], environment: place.merging(settings) { $1 })
  }

  /// Every file and symbolic link below the target, by its path there, with its mode.
  func files() throws -> [String: Int] {
    var found: [String: Int] = [:]
    let walker = FileManager.default.enumerator(atPath: destination)
    while let name = walker?.nextObject() as? String {
      let attributes = try FileManager.default.attributesOfItem(atPath: "\(destination)/\(name)")
      guard attributes[.type] as? FileAttributeType != .typeDirectory else { continue }
      found[name] = (attributes[.posixPermissions] as? NSNumber)?.intValue ?? -1
    }
    return found
  }

  /// Makes a file and the folders above it.
  func write(_ path: String, _ text: String) throws {
    try FileManager.default.createDirectory(
      atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
    try text.write(toFile: path, atomically: true, encoding: .utf8)
  }

  func exists(_ path: String) -> Bool { (try? FileManager.default.attributesOfItem(atPath: path)) != nil }
}
