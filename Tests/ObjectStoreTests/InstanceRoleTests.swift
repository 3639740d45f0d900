import Foundation
import SealedCrypto
import TestSupport
import Testing

@testable import ObjectStore

/// An instance metadata service, version 2: no answer without a token that it gave.
func instanceMetadata(role: String = "ephemeral-host", _ credentials: @escaping @Sendable () -> String) throws
  -> LoopbackServer
{
  try LoopbackServer { request in
    let path = "/latest/meta-data/iam/security-credentials/"
    switch (request.method, request.target) {
    case ("PUT", "/latest/api/token"):
      guard let seconds = request.headers["x-aws-ec2-metadata-token-ttl-seconds"], Int(seconds) != nil else {
        return .answer(400, "")
      }
      return .answer(200, "AQAEAto-ken==")
    case (_, _) where request.headers["x-aws-ec2-metadata-token"] != "AQAEAto-ken==": return .answer(401, "")
    case ("GET", path): return .answer(200, role)
    case ("GET", path + role): return .answer(200, credentials())
    default: return .answer(404, "")
    }
  }
}

@Suite("the instance's credentials, by version 2 of the metadata service alone")
struct InstanceRoleTests {
  private func environment(_ server: LoopbackServer) -> [String: String] {
    ["AWS_EC2_METADATA_SERVICE_ENDPOINT": server.endpoint + "/"]
  }

  @Test("token, role, credentials, in this order")
  func order() throws {
    let server = try instanceMetadata { document() }
    let credentials = try found(environment(server))
    #expect(credentials.accessKeyID == "ASIAROLE")
    #expect(credentials.expiration == 1_893_456_000)
    #expect(
      server.lines == [
        "PUT /latest/api/token", "GET /latest/meta-data/iam/security-credentials/",
        "GET /latest/meta-data/iam/security-credentials/ephemeral-host",
      ])
  }

  @Test("a service that knows version 1 alone is not used", arguments: [403, 404, 405])
  func versionOne(status: Int) throws {
    let server = try LoopbackServer { request in
      request.method == "PUT" ? .answer(status, "") : .answer(200, document())
    }
    let error = storeFailure { try found(environment(server)) }
    #expect(error?.reason.contains("version 1 is not used") == true)
    #expect(server.lines == ["PUT /latest/api/token"])
  }

  @Test("silence names the hop limit, and asks nothing more")
  func silence() throws {
    let server = try LoopbackServer { _ in .silence }
    let error = storeFailure { try found(environment(server)) }
    #expect(error?.reason.contains("--http-put-response-hop-limit 2") == true)
    #expect(server.lines.allSatisfy { $0.hasPrefix("PUT ") } && server.requests.count <= 1)
  }

  @Test("AWS_EC2_METADATA_DISABLED is heeded")
  func disabled() throws {
    let server = try instanceMetadata { document() }
    #expect(throws: ObjectStoreError.self) { try found(environment(server).merging(noInstance) { $1 }) }
    #expect(server.requests.isEmpty)
  }

  @Test("an instance without a role, and a role that cannot be assumed, say so")
  func roles() throws {
    let none = try LoopbackServer { $0.method == "PUT" ? .answer(200, "t") : .answer(404, "") }
    #expect(storeFailure { try found(environment(none)) }?.reason.contains("has no role") == true)
    let refused = try instanceMetadata { #"{"Code":"AssumeRoleUnauthorizedAccess","Message":"not trusted\u001b[2J"}"# }
    let reason = storeFailure { try found(environment(refused)) }?.reason ?? ""
    #expect(reason.contains("AssumeRoleUnauthorizedAccess: not trusted"))
    #expect(!reason.contains("\u{1b}"))
  }

  @Test("a token, a role or a document that is hostile goes nowhere")
  func hostile() throws {
    let servers = [
      try LoopbackServer { _ in .endless }, try LoopbackServer { _ in .answer(200, "a\r\nb") },
      try LoopbackServer { _ in .answer(200, String(repeating: "x", count: 2000)) },
      try instanceMetadata(role: "../../user-data") { document() }, try instanceMetadata(role: "") { document() },
      try instanceMetadata { String(repeating: "x", count: 70_000) }, try instanceMetadata { "{}" },
    ]
    for server in servers { #expect(throws: ObjectStoreError.self) { try found(environment(server)) } }
    for bad in ["169.254.169.254", "ftp://x", "http://a b", "http://u@h"] {
      #expect(throws: ObjectStoreError.self) { try found(["AWS_EC2_METADATA_SERVICE_ENDPOINT": bad]) }
    }
  }

  @Test(
    "botocore reads the same from the same servers",
    .enabled(if: Need.moto.isMet, "\(Need.moto.comment)"))
  func botocore() throws {
    let server = try instanceMetadata { document("ASIABOTOCORE") }
    let container = try LoopbackServer { request in
      request.headers["authorization"] == "Bearer x" ? .answer(200, document("ASIACONTAINER")) : .answer(401, "")
    }
    let script = """
      import sys
      from botocore.credentials import ContainerProvider
      from botocore.utils import InstanceMetadataFetcher
      found = InstanceMetadataFetcher(base_url=sys.argv[1] + '/', env={}).retrieve_iam_role_credentials()
      print(found['access_key'], found['secret_key'], found['token'], found['expiry_time'])
      held = ContainerProvider(environ={'AWS_CONTAINER_CREDENTIALS_FULL_URI': sys.argv[2] + '/x',
                                        'AWS_CONTAINER_AUTHORIZATION_TOKEN': 'Bearer x'}).load().get_frozen_credentials()
      print(held.access_key, held.secret_key, held.token)
      """
    let process = Process()
    let output = Pipe()
    process.executableURL = try Need.moto.require()
    process.arguments = ["-c", script, server.endpoint, container.endpoint]
    process.standardOutput = output
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()

    func shown(_ found: AWSCredentials) -> String {
      let secret = found.secret.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
      return "\(found.accessKeyID) \(secret) \(found.sessionToken ?? "")"
    }
    let instance = try found(environment(server))
    let contained = try found([
      "AWS_CONTAINER_CREDENTIALS_FULL_URI": container.endpoint + "/x", "AWS_CONTAINER_AUTHORIZATION_TOKEN": "Bearer x",
    ])
    let time = Date(timeIntervalSince1970: TimeInterval(instance.expiration ?? 0)).ISO8601Format()
    #expect(text.split(separator: "\n").map(String.init) == ["\(shown(instance)) \(time)", shown(contained)])
    #expect(server.lines.prefix(3) == server.lines.suffix(3))
  }

  @Test("moto's own metadata service is read", .enabled(if: Need.moto.isMet, "\(Need.moto.comment)"))
  func moto() throws {
    let moto = try Moto.open.get()
    let credentials = try found(["AWS_EC2_METADATA_SERVICE_ENDPOINT": moto.endpoint])
    #expect(credentials.accessKeyID == "test-key")
    #expect(credentials.sessionToken == "test-session-token")
  }
}
