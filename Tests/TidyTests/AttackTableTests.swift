import Foundation
import TestSupport
import Testing

/// The table of attacks in docs/threat-model.md: each row names the tests that try it, and those tests exist.
@Suite struct AttackTableTests {
  /// One row: what is tried, what stops it, and the tests, each as `Folder/File/function`.
  struct Attack {
    let name: String
    let defence: String
    let tests: [String]
  }

  private static func table() throws -> [Attack] {
    let page = try String(contentsOf: Checkout.root.appending(path: "docs/threat-model.md"), encoding: .utf8)
    let lines = page.split(separator: "\n", omittingEmptySubsequences: false)
    let head = try #require(lines.firstIndex { $0.hasPrefix("| attack |") }, "the table's head")
    return lines[(head + 2)...].prefix { $0.hasPrefix("|") }.map { line in
      let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
      let tests = cells.count == 3 ? cells[2].split(separator: "`").map(String.init).filter { $0.contains("/") } : []
      return Attack(name: cells.first ?? "", defence: cells.count == 3 ? cells[1] : "", tests: tests)
    }
  }

  /// The functions of a file that are marked as tests.
  private static func tests(in file: String) throws -> Set<String> {
    let text = try String(contentsOf: Checkout.root.appending(path: file), encoding: .utf8)
    var names: Set<String> = []
    for part in text.components(separatedBy: "@Test").dropFirst() {
      guard let range = part.firstRange(of: "func ") else { continue }
      names.insert(String(part[range.upperBound...].prefix { $0.isLetter || $0.isNumber || $0 == "_" }))
    }
    return names
  }

  @Test func atLeastFortyAttacksAreListedEachOnceAndInThreeCells() throws {
    let table = try Self.table()
    #expect(table.count >= 40)
    #expect(Set(table.map(\.name)).count == table.count)
    for attack in table {
      #expect(!attack.name.isEmpty && !attack.defence.isEmpty && !attack.tests.isEmpty, "\(attack.name)")
    }
  }

  @Test func everyAttackNamesTestsThatExist() throws {
    for attack in try Self.table() {
      for test in attack.tests {
        let parts = test.split(separator: "/").map(String.init)
        guard parts.count == 3, Checkout.existing("Tests/\(parts[0])/\(parts[1]).swift") != nil else {
          Issue.record("\(attack.name): no file for \(test)")
          continue
        }
        let names = try Self.tests(in: "Tests/\(parts[0])/\(parts[1]).swift")
        #expect(names.contains(parts[2]), "\(attack.name): no test \(test)")
      }
    }
  }
}
