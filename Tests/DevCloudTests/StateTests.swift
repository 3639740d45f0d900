import Foundation
import Testing
import Wire

@testable import DevCloud

@Suite("The state directory")
struct StateTests {
  @Test("survives a restart, and a second init changes nothing")
  func restart() throws {
    let laboratory = try Laboratory()
    func content() throws -> [String: Data] {
      let root = URL(filePath: laboratory.path)
      let names = try FileManager.default.subpathsOfDirectory(atPath: laboratory.path)
      return try names.reduce(into: [:]) { files, name in
        var isDirectory: ObjCBool = false
        let url = root.appending(path: name)
        if FileManager.default.fileExists(atPath: url.path, isDirectory: &isDirectory), !isDirectory.boolValue {
          files[name] = try Data(contentsOf: url)
        }
      }
    }
    let before = try content()
    #expect(before.count == 14)
    #expect(try !DevelopmentState.create(at: laboratory.path, now: Laboratory.now))
    #expect(try content() == before)
    let again = try DevelopmentState(at: laboratory.path)
    #expect(again.attestationRoot.certificate == laboratory.state.attestationRoot.certificate)
    #expect(again.keys.keys.map(\.arn) == laboratory.state.keys.keys.map(\.arn))
    #expect(again.keys.keys.map(\.material) == laboratory.state.keys.keys.map(\.material))
    #expect(again.callers.map(\.accessKeyID) == laboratory.state.callers.map(\.accessKeyID))
  }

  @Test("keeps secrets for the owner alone")
  func modes() throws {
    let laboratory = try Laboratory()
    let secret = [
      "credentials", "private/attestation-root.key.pem", "private/kms-root.key.pem", "keys/epoch-key/material",
      "keys/model-key/material",
    ]
    for name in secret {
      let attributes = try FileManager.default.attributesOfItem(atPath: laboratory.path + "/" + name)
      #expect(attributes[.posixPermissions] as? Int == 0o600, "\(name)")
    }
    let attributes = try FileManager.default.attributesOfItem(atPath: laboratory.path)
    #expect(attributes[.posixPermissions] as? Int == 0o700)
  }

  @Test("names what is missing or broken")
  func faults() throws {
    #expect(throws: StateError.notInitialised("/nowhere")) { try DevelopmentState(at: "/nowhere") }
    let laboratory = try Laboratory()
    try laboratory.state.directory.write("keys/model-key/material", Array("00".utf8), access: .owner)
    #expect(throws: StateError.self) { try DevelopmentState(at: laboratory.path) }
    let other = try Laboratory()
    try other.state.directory.write(
      "private/attestation-root.key.pem", Array(try laboratory.state.attestationRoot.keyPEM().utf8), access: .owner)
    #expect(throws: StateError.self) { try DevelopmentState(at: other.path) }
  }

  @Test("reads credentials as AWS tools do, and refuses two of one name")
  func credentials() throws {
    let text =
      "# note\n[a]\naws_access_key_id = AKIA1\naws_secret_access_key=s/x=\n\n[b]\n"
      + "aws_access_key_id=AKIA2\naws_secret_access_key = t\n"
    let callers = try Caller.read(text, file: "f")
    #expect(callers.map(\.profile) == ["a", "b"])
    #expect(callers[0].secret.withUnsafeBytes { Array($0) } == Array("s/x=".utf8))
    #expect(throws: StateError.self) { try Caller.read(text.replacing("AKIA2", with: "AKIA1"), file: "f") }
    #expect(throws: StateError.self) { try Caller.read("[a]\naws_access_key_id=x\n", file: "f") }
    #expect(throws: StateError.self) { try Caller.read("nothing\n", file: "f") }
  }
}
