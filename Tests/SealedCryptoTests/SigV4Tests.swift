import Foundation
import Testing
import Wire

@testable import SealedCrypto

/// What scripts/golden-sigv4.py wrote: requests as botocore itself signs them.
private struct Golden: Decodable {
  struct Vector: Decodable, CustomTestStringConvertible {
    struct Payload: Decodable { let hex: String }
    struct Expect: Decodable {
      let wirePath: String
      let wireQuery: String
      let authorization: String
      let contentSHA256: String?
    }
    let name: String
    let service: String
    let region: String
    let token: String?
    let seconds: Int64
    let method: String
    let host: String
    let path: String
    let query: [[String]]
    let headers: [[String]]
    let payload: Payload?
    let expect: Expect

    var testDescription: String { name }
    var pairs: [(String, String)] { query.map { ($0[0], $0[1]) } }
    var headerPairs: [(String, String)] { headers.map { ($0[0], $0[1]) } }
    var body: [UInt8] { payload.flatMap { Hex.decode($0.hex) } ?? [] }
    /// The target as a client of ours sends it.
    var target: String {
      SigV4Encoding.wirePath(path) + (query.isEmpty ? "" : "?" + SigV4Encoding.wireQuery(pairs))
    }
  }
  struct Stamp: Decodable {
    let seconds: Int64
    let text: String
    init(from decoder: any Decoder) throws {
      var fields = try decoder.unkeyedContainer()
      seconds = try fields.decode(Int64.self)
      text = try fields.decode(String.self)
    }
  }
  let accessKeyID: String
  let secret: String
  let vectors: [Vector]
  let dates: [Stamp]

  static let shared: Golden = {
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    do {
      let data = try Data(contentsOf: root.appending(path: "Vectors/sigv4/botocore.json"))
      return try JSONDecoder().decode(Golden.self, from: data)
    } catch {
      preconditionFailure("Tests/Vectors/sigv4/botocore.json: \(error)")
    }
  }()

  func credentials(token: String?) throws -> AWSCredentials {
    AWSCredentials(
      accessKeyID: accessKeyID, secret: try SecretBytes(copying: Array(secret.utf8)), sessionToken: token)
  }

  func signed(_ vector: Vector) throws -> [(String, String)] {
    try SigV4Signer(credentials: credentials(token: vector.token), region: vector.region, service: vector.service)
      .sign(
        method: vector.method, host: vector.host, path: vector.path, query: vector.pairs, headers: vector.headerPairs,
        payload: vector.payload == nil ? .unsigned : .body(vector.body), at: vector.seconds)
  }
}

@Suite("AWS Signature Version 4")
struct SigV4Tests {
  @Test("signs exactly as botocore does", arguments: Golden.shared.vectors)
  fileprivate func signsAsBotocore(vector: Golden.Vector) throws {
    let added = try Golden.shared.signed(vector)
    #expect(added.first { $0.0 == "Authorization" }?.1 == vector.expect.authorization)
    #expect(added.first { $0.0 == "x-amz-content-sha256" }?.1 == vector.expect.contentSHA256)
    #expect(added.first { $0.0 == "x-amz-security-token" }?.1 == vector.token)
  }

  @Test("what is sent is escaped as botocore escapes it", arguments: Golden.shared.vectors)
  fileprivate func sendsAsBotocore(vector: Golden.Vector) {
    #expect(SigV4Encoding.wirePath(vector.path) == vector.expect.wirePath)
    // Order and the `=` of an empty value differ on the wire; what they mean does not.
    let ours = SigV4Encoding.wireQuery(vector.pairs).split(separator: "&").map(String.init).sorted()
    let theirs = vector.expect.wireQuery.split(separator: "&").map { $0.contains("=") ? "\($0)" : "\($0)=" }.sorted()
    #expect(ours == theirs)
  }

  @Test("timestamps agree with the calendar in both directions")
  func timestamps() {
    for stamp in Golden.shared.dates {
      #expect(SigV4Date.text(stamp.seconds) == stamp.text)
      #expect(SigV4Date.seconds(stamp.text) == stamp.seconds)
    }
    let broken = [
      "", "20260230T000000Z", "20261301T000000Z", "20260101T240000Z", "20260101T006000Z", "20260101 000000Z",
      "２0260101T000000Z", "20260101T000000z", "00000101T000000Z", "-0260101T000000Z",
    ]
    for broken in broken {
      #expect(SigV4Date.seconds(broken) == nil, "\(broken)")
    }
  }

  @Test("unescaping undoes escaping and refuses broken escapes")
  func unescaping() {
    for vector in Golden.shared.vectors { #expect(SigV4Encoding.unescape(vector.expect.wirePath) == vector.path) }
    for broken in ["%", "%4", "%zz", "a%2", "%ff"] { #expect(SigV4Encoding.unescape(broken) == nil) }
  }

  @Test("credentials never print a secret")
  func nothingPrinted() throws {
    let credentials = try Golden.shared.credentials(token: "token-value")
    var dumped = "\(credentials) \(String(reflecting: credentials))"
    dump(credentials, to: &dumped)
    #expect(!dumped.contains(Golden.shared.secret))
    #expect(!dumped.contains("token-value"))
  }
}

@Suite("AWS Signature Version 4, the server's side")
struct SigV4VerifierTests {
  private static let kms = Golden.shared.vectors.filter { $0.service == "kms" }[1]

  private func verifier(_ service: String = "kms", _ region: String = "us-east-1") -> SigV4Verifier {
    SigV4Verifier(region: region, service: service) { id in
      id == Golden.shared.accessKeyID ? try? SecretBytes(copying: Array(Golden.shared.secret.utf8)) : nil
    }
  }

  private func headers(_ vector: Golden.Vector) throws -> [(String, String)] {
    [("Host", vector.host)] + vector.headerPairs + (try Golden.shared.signed(vector))
  }

  /// Verifies the KMS vector after `change`.
  private func verify(
    method: String = "POST", target: String = "/", body: [UInt8] = kms.body, now: Int64 = kms.seconds,
    with verifier: SigV4Verifier? = nil, change: (inout [(String, String)]) -> Void = { _ in }
  ) throws -> String {
    var headers = try headers(Self.kms)
    change(&headers)
    return try (verifier ?? self.verifier()).verify(
      method: method, target: target, headers: headers, body: body, now: now)
  }

  @Test("accepts what botocore signs", arguments: Golden.shared.vectors.filter { $0.payload != nil })
  fileprivate func accepts(vector: Golden.Vector) throws {
    let id = try verifier(vector.service, vector.region).verify(
      method: vector.method, target: vector.target, headers: headers(vector), body: vector.body, now: vector.seconds)
    #expect(id == Golden.shared.accessKeyID)
  }

  @Test("refuses a changed body, method, path, query or header")
  func refusesChanges() {
    #expect(throws: SigV4Refusal.wrongSignature) { try verify(body: Self.kms.body + [0]) }
    #expect(throws: SigV4Refusal.wrongSignature) { try verify(method: "GET") }
    #expect(throws: SigV4Refusal.wrongSignature) { try verify(target: "/x") }
    #expect(throws: SigV4Refusal.wrongSignature) { try verify(target: "/?x=1") }
    #expect(throws: SigV4Refusal.malformed("path")) { try verify(target: "/%") }
    for index in 0..<3 {
      #expect(throws: SigV4Refusal.wrongSignature, "header \(index)") { try verify { $0[index].1 += "x" } }
    }
  }

  @Test("refuses a signature with any digit changed")
  func refusesEveryDigit() throws {
    for offset in 0..<64 {
      #expect(throws: SigV4Refusal.wrongSignature) {
        try verify { headers in
          var text = Array(headers[headers.count - 1].1)
          let index = text.count - 64 + offset
          text[index] = text[index] == "0" ? "1" : "0"
          headers[headers.count - 1].1 = String(text)
        }
      }
    }
  }

  @Test("refuses a clock more than five minutes away, in both directions")
  func refusesSkew() throws {
    #expect(throws: Never.self) { try verify(now: Self.kms.seconds + 300) }
    #expect(throws: Never.self) { try verify(now: Self.kms.seconds - 300) }
    #expect(throws: SigV4Refusal.clockSkew(-301)) { try verify(now: Self.kms.seconds + 301) }
    #expect(throws: SigV4Refusal.clockSkew(301)) { try verify(now: Self.kms.seconds - 301) }
  }

  @Test("refuses what is signed for another region, service or key, or not signed")
  func refusesScope() throws {
    let scope = "20260301/us-east-1/kms/aws4_request"
    #expect(throws: SigV4Refusal.wrongScope(scope)) { try verify(with: verifier("kms", "eu-west-1")) }
    #expect(throws: SigV4Refusal.wrongScope(scope)) { try verify(with: verifier("s3")) }
    #expect(throws: SigV4Refusal.unknownAccessKey("AKIDEXAMPLE")) {
      try verify(with: SigV4Verifier(region: "us-east-1", service: "kms") { _ in nil })
    }
    #expect(throws: SigV4Refusal.notSigned) { try verify { $0.removeLast() } }
    #expect(throws: SigV4Refusal.malformed("authorization")) { try verify { $0.append($0[$0.count - 1]) } }
  }

  @Test("refuses host or x-amz headers that the signature does not cover")
  func refusesUncovered() throws {
    #expect(throws: SigV4Refusal.unsignedHeader("x-amz-extra")) { try verify { $0.append(("X-Amz-Extra", "1")) } }
    #expect(throws: SigV4Refusal.unsignedHeader("host")) {
      try verify {
        $0[$0.count - 1].1 = $0[$0.count - 1].1.replacingOccurrences(of: ";host", with: "")
      }
    }
    #expect(throws: SigV4Refusal.malformed("SignedHeaders")) { try verify { $0.removeFirst() } }
  }

  @Test("a malformed Authorization is refused, never trapped on")
  func refusesMalformed() throws {
    let good = try #require(try headers(Self.kms).last).1
    for count in 0..<good.count {
      #expect(throws: SigV4Refusal.self) { try verify { $0[$0.count - 1].1 = String(good.prefix(count)) } }
    }
  }
}
