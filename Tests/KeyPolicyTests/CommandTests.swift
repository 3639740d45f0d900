import ArgumentParser
import Foundation
import TestSupport
import Testing

@testable import Client
@testable import JobRunner

@Suite("policy kms-lint and kms-generate")
struct CommandTests {
  /// A folder that is gone after the test.
  private final class Folder {
    let url = FileManager.default.temporaryDirectory.appending(path: "key-policies-\(UInt32.random(in: 0 ... .max))")
    init() throws { try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true) }
    deinit { try? FileManager.default.removeItem(at: url) }

    func write(_ name: String, _ bytes: [UInt8]) throws -> String {
      try Data(bytes).write(to: url.appending(path: name))
      return path(name)
    }
    func path(_ name: String) -> String { url.appending(path: name).path }
  }

  /// The exit code of a run.
  private func code(_ arguments: [String]) throws -> Int32 {
    do {
      let command = try KeyPolicyLintCommand.parse(arguments)
      try command.run()
      return 0
    } catch let code as ExitCode {
      return code.rawValue
    } catch let error as ClientError {
      return CLIError(error).status.rawValue
    }
  }

  @Test("end with 0 for a clean policy, 3 for a weak one, 21 for one that does not hold or cannot be read")
  func exitCodes() throws {
    let folder = try Folder()
    for vector in PolicyVector.good + PolicyVector.bad {
      let file = try folder.write("\(vector.name).json", vector.policy)
      let expected: Int32 = vector.isDefeated ? 21 : vector.expected.isEmpty ? 0 : 3
      #expect(try code([file, "--use", vector.use.rawValue]) == expected, "\(vector.name)")
    }
    for text in ["", "{", "[]", #"{"Policy":"{}"}"#] {
      #expect(try code([try folder.write("malformed.json", Array(text.utf8))]) == 21)
    }
    #expect(try code([folder.path("absent.json")]) == 10)
  }

  @Test("a key or a grant that is wrong defeats a policy that is right")
  func keyAndGrants() throws {
    let folder = try Folder()
    let good = try #require(PolicyVector.good.first { $0.name == "one-image" })
    let policy = try folder.write("policy.json", good.policy)
    let replica = try folder.write(
      "key.json",
      Array(
        #"""
        {"KeyMetadata":{"MultiRegion":true,"Origin":"AWS_KMS","KeySpec":"SYMMETRIC_DEFAULT","KeyUsage":"ENCRYPT_DECRYPT",
        "KeyState":"Enabled","KeyManager":"CUSTOMER"}}
        """#.utf8))
    let none = try folder.write("grants.json", Array(#"{"Grants":[]}"#.utf8))
    #expect(try code([policy, "--list-grants", none]) == 0)
    #expect(try code([policy, "--list-grants", none, "--describe-key", replica]) == 21)
    #expect(try code([policy, "--describe-key", none]) == 21)
  }

  @Test("what kms-generate writes passes kms-lint with the same measurements, and not with others")
  func generated() throws {
    let folder = try Folder()
    func measurement(_ digit: String) throws -> String {
      let image = Sample.image(digit)
      let text = #"{"pcr0":"\#(image[0])","pcr1":"\#(image[1])","pcr2":"\#(image[2])"}"#
      return try folder.write("\(digit).json", Array(text.utf8))
    }
    let (a, b) = (try measurement("a"), try measurement("b"))
    for use in KeyUse.allCases {
      var arguments = [
        "--use", use.rawValue, "--account", "111122223333", "--admin", Sample.admin, "--instance-role", Sample.host,
        "--measurement", a, "--measurement", b, "--output", folder.path("out.json"),
      ]
      if use == .model { arguments += ["--publisher", Sample.publisher] }
      let command = try KeyPolicyGenerateCommand.parse(arguments)
      try command.run()
      #expect(try code([folder.path("out.json"), "--use", use.rawValue, "--measurements", a, b]) == 0)
      #expect(try code([folder.path("out.json"), "--use", use.rawValue, "--measurements", a]) == 21)
    }
    #expect(throws: (any Error).self) {
      try KeyPolicyGenerateCommand.parse([
        "--use", "epoch", "--account", "111122223333", "--admin", Sample.admin, "--instance-role", Sample.host,
      ])
    }
  }

  @Test("the sample policies of infra/terraform pass")
  func samples() throws {
    let folder = Checkout.root.appending(path: "infra/terraform/examples/two-accounts/policies").path
    #expect(try code(["\(folder)/epoch-key.json", "--use", "epoch"]) == 0)
    #expect(try code(["\(folder)/model-key.json", "--use", "model"]) == 0)
  }
}
