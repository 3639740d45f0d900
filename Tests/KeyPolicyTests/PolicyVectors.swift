import Foundation
import TestSupport
import Testing

@testable import Client

/// A policy of `Tests/Vectors/key-policies`, with what the linter must say of it.
struct PolicyVector: Sendable, CustomTestStringConvertible {
  let name: String
  let use: KeyUse
  /// Whether something defeats attestation.
  let isDefeated: Bool
  /// Every finding that defeats or weakens.
  let expected: Set<String>
  let policy: [UInt8]

  var testDescription: String { name }

  static let bad = load("bad")
  static let good = load("good")

  /// One that is missing or wrong makes the tests of the count fail.
  private static func load(_ kind: String) -> [PolicyVector] {
    let folder = Checkout.root.appending(path: "Tests/Vectors/key-policies/\(kind)")
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
    return names.sorted().compactMap { name in
      guard let data = try? Data(contentsOf: folder.appending(path: name)),
        let object = try? JSONSerialization.jsonObject(with: data) as? [String: Any],
        let use = (object["use"] as? String).flatMap(KeyUse.init(rawValue:)),
        let defeated = object["defeated"] as? Bool, let expected = object["expect"] as? [String],
        let policy = object["policy"], let text = try? JSONSerialization.data(withJSONObject: policy)
      else { return nil }
      return PolicyVector(
        name: String(name.dropLast(5)), use: use, isDefeated: defeated, expected: Set(expected), policy: Array(text))
    }
  }
}

/// Registers and roles that the tests use.
enum Sample {
  static let admin = "arn:aws:iam::111122223333:role/key-admin"
  static let host = "arn:aws:iam::444455556666:role/ephemeral-host"
  static let publisher = "arn:aws:iam::111122223333:role/publisher"
  static let first = image("a")
  static let second = image("b")

  /// An image whose registers begin with a digit.
  static func image(_ digit: String) -> [String] { (0...2).map { String(repeating: "\(digit)\($0)", count: 48) } }
}
