import Foundation
import Testing
import Wire

@testable import SealedCrypto

/// What scripts/golden-sigv4.py wrote of KMS: botocore's own client for headers, host and body, its signer for the rest.
private struct KMSGolden: Decodable {
  struct Request: Decodable, CustomTestStringConvertible {
    struct Expect: Decodable {
      let host: String
      let path: String
      let headers: [[String]]
      let body: String
      let authorization: String
    }
    let operation: String
    let arn: String
    let fips: Bool
    let use: String
    let token: String?
    let seconds: Int64
    let document: String
    let blob: String
    let expect: Expect

    var testDescription: String { "\(operation) \(use) \(expect.host)\(token == nil ? "" : ", token")" }
  }
  struct Endpoint: Decodable, CustomTestStringConvertible {
    let partition: String
    let region: String
    let standard: String
    let fips: String
    var testDescription: String { "\(partition) \(region)" }
    var arn: String { "arn:\(partition):kms:\(region):111122223333:key/12345678-1234-1234-1234-123456789012" }
  }
  let accessKeyID: String
  let secret: String
  let policyKey: String
  let requests: [Request]
  let endpoints: [Endpoint]

  static let shared: KMSGolden = {
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    do {
      let data = try Data(contentsOf: root.appending(path: "Vectors/sigv4/kms.json"))
      return try JSONDecoder().decode(KMSGolden.self, from: data)
    } catch {
      preconditionFailure("Tests/Vectors/sigv4/kms.json: \(error)")
    }
  }()
}

@Suite("KMS requests as the worker makes them, against botocore")
struct KMSSigningTests {
  @Test("host, headers, body and signature are botocore's, byte for byte", arguments: KMSGolden.shared.requests)
  fileprivate func requests(golden: KMSGolden.Request) throws {
    let key = try KMSKeyARN(golden.arn)
    let context: KMSEncryptionContext =
      golden.use == "epoch"
      ? .epoch(7, policyKey: try VerifyingKey(#require(Hex.decode(KMSGolden.shared.policyKey))))
      : .model(manifest: try ContentDigest(repeatElement(0xAB, count: 32)))
    let recipient = KMSRecipient(attestationDocument: try #require(Hex.decode(golden.document)))
    let action = try #require(KMSAction(rawValue: golden.operation))
    let request: KMSRequest =
      action == .generateDataKey
      ? .generateDataKey(key, context: context, recipient: recipient)
      : .decrypt(try #require(Hex.decode(golden.blob)), key: key, context: context, recipient: recipient)
    let body = try request.encoded()
    #expect(String(decoding: body, as: UTF8.self) == golden.expect.body)

    let host = key.serverName(fips: golden.fips)
    #expect(host == golden.expect.host)
    #expect(golden.expect.path == "/")
    let headers = [("Content-Type", KMSAction.contentType), ("X-Amz-Target", action.target)]
    #expect(headers.map { [$0.0, $0.1] } == golden.expect.headers)

    let credentials = AWSCredentials(
      accessKeyID: KMSGolden.shared.accessKeyID,
      secret: try SecretBytes(copying: Array(KMSGolden.shared.secret.utf8)), sessionToken: golden.token)
    let added = SigV4Signer(credentials: credentials, region: key.region, service: "kms").sign(
      method: "POST", host: host, path: "/", headers: headers, payload: .body(body), at: golden.seconds)
    #expect(added.first { $0.0 == "Authorization" }?.1 == golden.expect.authorization)
    #expect(added.first { $0.0 == "x-amz-security-token" }?.1 == golden.token)
  }

  @Test("KMS is where botocore finds it, in every region of every partition", arguments: KMSGolden.shared.endpoints)
  fileprivate func endpoints(golden: KMSGolden.Endpoint) throws {
    let key = try KMSKeyARN(golden.arn)
    #expect(key.serverName(fips: false) == golden.standard)
    #expect(key.serverName(fips: true) == golden.fips)
    #expect(AWSPartition(region: golden.region).rawValue == golden.partition)
  }

  @Test("An ARN whose region is another partition's is refused: it would name a server of that one")
  func mixedPartitions() {
    let endpoints = KMSGolden.shared.endpoints
    for endpoint in endpoints {
      for other in AWSPartition.allCases where other.rawValue != endpoint.partition {
        let mixed = endpoint.arn.replacing("arn:\(endpoint.partition):", with: "arn:\(other.rawValue):")
        #expect(throws: WireError.self, "\(mixed)") { try KMSKeyARN(mixed) }
      }
    }
    #expect(Set(endpoints.map(\.partition)) == Set(AWSPartition.allCases.map(\.rawValue)))
  }
}
