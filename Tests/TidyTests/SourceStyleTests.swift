import Foundation
import TestSupport
import Testing

/// Habits that a reader relies on, kept by a test rather than by memory.
@Suite struct SourceStyleTests {
  @Test func noSourceFileIsLongerThanAReaderHolds() throws {
    for file in try SourceTree.files(under: "Sources", suffix: ".swift") {
      let lines = try String(contentsOf: file, encoding: .utf8).split(separator: "\n", omittingEmptySubsequences: false)
      #expect(lines.count <= 400, "\(file.lastPathComponent) has \(lines.count) lines; does it hold one idea?")
    }
  }

  @Test func nothingIsLeftUnfinishedOrTraps() throws {
    let banned = ["TODO", "FIXME", "XXX", "fatalError(", "try!", "as!"]
    for file in try SourceTree.files(under: "Sources", suffix: ".swift") {
      let text = try String(contentsOf: file, encoding: .utf8)
      for word in banned { #expect(!text.contains(word), "\(file.lastPathComponent) contains \(word)") }
    }
  }

  @Test func noMockStandsInAProductionTarget() throws {
    for file in try SourceTree.files(under: "Sources", suffix: ".swift") {
      let text = try String(contentsOf: file, encoding: .utf8).lowercased()
      #expect(!text.contains("mock"), "\(file.lastPathComponent)")
    }
  }

  @Test func noFileNameIsABag() throws {
    for file in try SourceTree.files(under: "Sources", suffix: ".swift") {
      let name = file.deletingPathExtension().lastPathComponent.lowercased()
      for word in ["util", "helper", "common", "misc"] {
        #expect(!name.contains(word), "\(file.lastPathComponent) says nothing of what it holds")
      }
    }
  }

  @Test func everyTestNeedIsInstalledByTheMakefile() throws {
    let makefile = try String(contentsOf: Checkout.root.appending(path: "Makefile"), encoding: .utf8)
    for target in ["test:", "demo:", "demo-attack:", "lint:", "model:", "test-tools:"] {
      #expect(makefile.contains("\n\(target)"), "the Makefile has no \(target)")
    }
  }

  @Test func theReadmeNamesItsTwoCommands() throws {
    let readme = try String(contentsOf: Checkout.root.appending(path: "README.md"), encoding: .utf8)
    #expect(readme.contains("make demo") && readme.contains("make test"))
  }
}
