import Foundation
import SealedCrypto
import Testing

@testable import ObjectStore

/// Nothing here may ask the network: each environment switches the instance's metadata off or names a server of its own.
let noInstance = ["AWS_EC2_METADATA_DISABLED": "true"]

func found(_ environment: [String: String], profile: String? = nil) throws -> AWSCredentials {
  try DefaultCredentials(environment, profile: profile).credentials()
}

/// A credential document as both services answer it.
func document(_ id: String = "ASIAROLE", expiration: String = "2030-01-01T00:00:00Z", code: String? = "Success")
  -> String
{
  let head = code.map { #""Code":"\#($0)","# } ?? ""
  return
    #"{\#(head)"AccessKeyId":"\#(id)","SecretAccessKey":"se/cret+=","Token":"to+ken/==","Expiration":"\#(expiration)"}"#
}

@Suite("credentials of environment and files")
struct FileCredentialTests {
  private let directory: TemporaryDirectory
  private let base: [String: String]

  init() throws {
    directory = try TemporaryDirectory()
    try """
    [default]
    aws_access_key_id = DEFAULT
    aws_secret_access_key=s=1
    [half]
    aws_access_key_id = HALF
    [both]
    aws_access_key_id = CREDENTIALS
    aws_secret_access_key = s
    """.write(toFile: directory.path + "/credentials", atomically: true, encoding: .utf8)
    try """
    [profile configured]
    aws_access_key_id = CONFIG
    aws_secret_access_key = s
    [profile both]
    aws_access_key_id = CONFIG
    region = eu-west-1
    [unprefixed]
    aws_access_key_id = WRONG
    aws_secret_access_key = s
    [profile process]
    credential_process = /bin/false
    [profile assumed]
    role_arn = arn:aws:iam::1:role/x
    source_profile = default
    """.write(toFile: directory.path + "/config", atomically: true, encoding: .utf8)
    base = noInstance.merging([
      "AWS_SHARED_CREDENTIALS_FILE": directory.path + "/credentials", "AWS_CONFIG_FILE": directory.path + "/config",
    ]) { $1 }
  }

  @Test("the config file has profiles too, and the credentials file goes before it")
  func configFile() throws {
    #expect(try found(base, profile: "configured").accessKeyID == "CONFIG")
    #expect(try found(base, profile: "both").accessKeyID == "CREDENTIALS")
    #expect(Conformance.kind { try found(base, profile: "unprefixed") } == .denied)
  }

  @Test("half a pair is an error and not the next place's turn: it would act as somebody else")
  func halves() {
    for environment in [["AWS_ACCESS_KEY_ID": "x"], ["AWS_SECRET_ACCESS_KEY": "x"], ["AWS_PROFILE": "half"]] {
      let error = storeFailure { try found(base.merging(environment) { $1 }) }
      #expect(error?.kind == .denied)
      #expect(error?.reason.contains("IMDS") == false)
    }
  }

  @Test(
    "a profile that names credentials in a way that is not supported says which", arguments: ["process", "assumed"])
  func unsupported(profile: String) {
    let error = storeFailure { try found(base, profile: profile) }
    #expect(error?.reason.contains(profile == "process" ? "credential_process" : "role_arn") == true)
    #expect(error?.mend.contains("export-credentials") == true)
  }

  @Test("when there is nothing anywhere, the error says what each place had")
  func nothing() {
    let error = storeFailure { try found(noInstance.merging(["HOME": "/nonexistent"]) { $1 }) }
    let reason = error?.reason ?? ""
    for part in [
      "environment: AWS_ACCESS_KEY_ID is not set", "profile default: not in /nonexistent/.aws/credentials",
      "container: AWS_CONTAINER_CREDENTIALS_*_URI is not set", "IMDSv2: switched off by AWS_EC2_METADATA_DISABLED",
    ] {
      #expect(reason.contains(part), "\(reason)")
    }
  }

  @Test("an empty variable is an unset one")
  func empty() throws {
    #expect(try found(base.merging(["AWS_ACCESS_KEY_ID": "", "AWS_PROFILE": ""]) { $1 }).accessKeyID == "DEFAULT")
  }

  @Test("keys with blanks or control characters are refused, since they would end up in a header")
  func controlCharacters() {
    for secret in ["a b", "a\r\nX-Header: 1", "a\u{1}", "ä"] {
      let keys = noInstance.merging(["AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": secret]) { $1 }
      let error = storeFailure { try found(keys) }
      #expect(error?.kind == .denied)
      #expect(error?.description.contains(secret) == false)
    }
  }

  @Test("a file that was changed is read again within a minute")
  func changed() throws {
    let clock = TestClock()
    let source = DefaultCredentials(base, profile: "default", now: { clock.now })
    #expect(try source.credentials().accessKeyID == "DEFAULT")
    try "[default]\naws_access_key_id=ROTATED\naws_secret_access_key=s".write(
      toFile: directory.path + "/credentials", atomically: true, encoding: .utf8)
    clock.advance(61)
    #expect(try source.credentials().accessKeyID == "ROTATED")
  }
}

@Suite("the container's credentials")
struct ContainerCredentialTests {
  private static let path = "/v2/credentials?id=a%20b"

  private func environment(_ server: LoopbackServer, _ more: [String: String] = [:]) -> [String: String] {
    noInstance.merging(["AWS_CONTAINER_CREDENTIALS_FULL_URI": server.endpoint + Self.path]) { $1 }
      .merging(more) { $1 }
  }

  @Test("come from the full URI, with the token of the variable or of the file")
  func fullURI() throws {
    let server = try LoopbackServer { _ in .answer(200, document(code: nil)) }
    let plain = try found(environment(server, ["AWS_CONTAINER_AUTHORIZATION_TOKEN": "Basic abc"]))
    #expect(plain.accessKeyID == "ASIAROLE")
    #expect(plain.sessionToken == "to+ken/==")
    #expect(plain.expiration == 1_893_456_000)
    #expect(plain.secret.withUnsafeBytes { Array($0) } == Array("se/cret+=".utf8))

    let directory = try TemporaryDirectory()
    try "from-file\n".write(toFile: directory.path + "/token", atomically: true, encoding: .utf8)
    _ = try found(
      environment(
        server,
        [
          "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": directory.path + "/token",
          "AWS_CONTAINER_AUTHORIZATION_TOKEN": "not-this",
        ]))
    #expect(server.requests.map { $0.headers["authorization"] } == ["Basic abc", "from-file"])
    #expect(server.lines == ["GET \(Self.path)", "GET \(Self.path)"])
  }

  @Test("a relative URI is at ECS's address")
  func relativeURI() throws {
    #expect(
      try ContainerCredentials(["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/x?y=1"]).url()
        == "http://169.254.170.2/v2/x?y=1")
    for bad in ["v2", "@evil.example/", " /x", "/a\r\nX: y"] {
      #expect(throws: ObjectStoreError.self) {
        try ContainerCredentials(["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": bad]).url()
      }
    }
  }

  @Test(
    "without TLS only addresses that leave no machine are asked",
    arguments: [
      ("http://127.0.0.1:80/x", true), ("http://127.9.8.7/x", true), ("http://localhost/x", true),
      ("http://[::1]:1/x", true), ("http://169.254.170.2/x", true), ("http://169.254.170.23/v1/credentials", true),
      ("http://[fd00:ec2::23]/x", true), ("https://anything.example/x", true), ("http://example.com/x", false),
      ("http://169.254.169.254/x", false), ("http://127.0.0.1.evil.example/x", false),
      ("http://127.0.0.1@evil.example/x", false), ("http://evil.example#@127.0.0.1/", false),
      ("http://evil.example\\@127.0.0.1/", false), ("http://2130706433/x", false), ("http://127.1/x", false),
      ("ftp://127.0.0.1/x", false), ("http://", false), ("127.0.0.1/x", false), ("http://127.0.0.1:99999/x", false),
    ])
  func hosts(url: String, isAllowed: Bool) {
    let place = ContainerCredentials(["AWS_CONTAINER_CREDENTIALS_FULL_URI": url])
    #expect((try? place.url()) == (isAllowed ? url : nil))
  }

  @Test("a token with a line break never becomes a header")
  func brokenToken() throws {
    let server = try LoopbackServer { _ in .answer(200, document()) }
    let bad = environment(server, ["AWS_CONTAINER_AUTHORIZATION_TOKEN": "x\r\nHost: y"])
    #expect(Conformance.kind { try found(bad) } == .denied)
    #expect(server.requests.isEmpty)
  }

  @Test("refusals, nonsense, silence and bodies without end are errors in bounded time and memory")
  func hostile() throws {
    let answers: [LoopbackServer.Response] = [
      .answer(403, "no"), .answer(500, "no"), .answer(200, ""), .answer(200, "[]"), .answer(200, "{}"),
      .answer(200, String(repeating: "[", count: 60_000)), .answer(200, document(expiration: "tomorrow")),
      .answer(200, document("bad id")), .answer(200, String(repeating: " ", count: 70_000)), .endless, .silence,
      .answer(302, ""),
    ]
    for answer in answers {
      let server = try LoopbackServer { _ in answer }
      let error = storeFailure { try found(environment(server)) }
      #expect(error != nil, "\(answer)")
      #expect(error?.description.contains("se/cret") == false)
    }
  }

  @Test("a service in trouble is asked three times")
  func trouble() throws {
    let server = try LoopbackServer { _ in .answer(503, "") }
    #expect(Conformance.kind { try found(environment(server)) } == .retryable)
    #expect(server.requests.count == 3)
  }
}
