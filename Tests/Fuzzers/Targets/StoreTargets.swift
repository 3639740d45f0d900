import SealedCrypto
import Wire

@testable import Client
@testable import ObjectStore

extension FuzzTarget {
  /// S3's answers.
  static let xml = FuzzTarget("xml", seeds: { StoreSeeds.xml }) { bytes in
    let root = try XMLReader.read(bytes)
    var (open, count) = ([root], 0)
    while let element = open.popLast() {
      count += 1
      try hold(!element.name.isEmpty, "an element has a name")
      if let key = try? ObjectKey(element.text) {
        try hold(!key.segments.contains { $0 == ".." || $0 == "." || $0.isEmpty }, "a key stays below its store")
        try hold(!key.text.utf8.contains(0), "a key is a path")
      }
      if let seconds = SigV4Date.seconds(HTTPDate.compactISO(element.text)) {
        try hold(SigV4Date.seconds(SigV4Date.text(seconds)) == seconds, "a time reads as it was written")
      }
      open += element.children
    }
    try hold(count <= XMLReader.elementLimit, "elements are bounded")
  }

  /// The small records that the host writes for clients: `state.json` and `commit.json`.
  static let hostRecords = FuzzTarget("host-records", seeds: { StoreSeeds.records }) { bytes in
    if let commit = try? JobCommit(parsing: bytes) { try hold(commit.attempt >= 0, "attempts are counted from none") }
    let statement = try HostStatement(parsing: bytes)
    try hold(
      statement.state.utf8.count <= 32 && statement.state.utf8.allSatisfy { $0 > 32 && $0 < 127 },
      "the host's word is printable")
  }

  /// What a container's agent or the instance's metadata service answers to the daemon.
  static let credentials = FuzzTarget("credentials", seeds: { StoreSeeds.credentials }) { bytes in
    let text = String(decoding: bytes, as: UTF8.self)
    do {
      let credentials = try CredentialDocument.credentials(text, origin: "test")
      try hold(credentials.expiration != nil, "credentials of a role end")
      let signer = SigV4Signer(credentials: credentials, region: "us-east-1", service: "kms")
      let headers = signer.sign(method: "POST", host: "kms", path: "/", payload: .body([]), at: StoreSeeds.now)
      try hold(
        headers.allSatisfy { !$0.1.utf8.contains { $0 < 32 } }, "no answer puts a line of its own into a request")
    } catch let error as ObjectStoreError {
      try hold("\(error)".utf8.allSatisfy { $0 >= 32 && $0 < 127 }, "an error can be printed")
    }
  }

  /// A signed request, as devcloud's KMS takes it: method, target, then headers by pairs, each line ended by a newline,
  /// and the body behind an empty line.
  static let sigV4 = FuzzTarget("sigv4", seeds: { try StoreSeeds.requests() }) { bytes in
    var input = Scissors(bytes)
    func line() -> String { String(decoding: input.part(until: 10), as: UTF8.self) }
    let (method, target) = (line(), line())
    var headers: [(String, String)] = []
    while !input.isEmpty, headers.count < 64, case let name = line(), !name.isEmpty { headers.append((name, line())) }
    let secret = try SecretBytes(copying: Array("secret".utf8))
    let verifier = SigV4Verifier(region: "us-east-1", service: "kms") { $0 == "AKID" ? secret : nil }
    let signer = try verifier.verify(
      method: method, target: target, headers: headers, body: input.all(), now: StoreSeeds.now)
    try hold(signer == "AKID", "only whoever holds the secret signs")
  }
}

private enum StoreSeeds {
  static let now: Int64 = 1_780_000_000

  static let xml = [
    #"<?xml version="1.0"?><ListBucketResult xmlns="http://s3"><IsTruncated>true</IsTruncated><NextContinuationToken>t"#
      + "</NextContinuationToken><Contents><Key>a&amp;b/&#x63;</Key><LastModified>2026-01-02T03:04:05.000Z</LastModified>"
      + "<ETag>&quot;e&quot;</ETag><Size>7</Size></Contents></ListBucketResult>",
    "<Error><Code>NoSuchKey</Code><Message/></Error>", "<!-- c --><a b='c'><d/></a>\n",
  ].map { Array($0.utf8) }

  static let records = [
    #"{"attempt":2,"done":5,"state":"running","updated_ms":1780000000000}"#,
    #"{"attempt":1,"outcome":"completed","receipt_sha256":"\#(String(repeating: "ab", count: 32))"}"#,
  ].map { Array($0.utf8) }

  static let credentials = [
    #"{"Code":"Success","AccessKeyId":"ASIAEXAMPLE","SecretAccessKey":"s","Token":"t","Expiration":"2026-06-01T00:00:00Z"}"#,
    #"{"code":"x","message":"y","Code":"Failed","Message":"no"}"#,
  ].map { Array($0.utf8) }

  static func requests() throws -> [[UInt8]] {
    let credentials = AWSCredentials(accessKeyID: "AKID", secret: try SecretBytes(copying: Array("secret".utf8)))
    let signer = SigV4Signer(credentials: credentials, region: "us-east-1", service: "kms")
    let body = Array("{}".utf8)
    let headers = [("host", "kms")] + signer.sign(method: "POST", host: "kms", path: "/", payload: .body(body), at: now)
    let lines = ["POST", "/"] + headers.flatMap { [$0.0, $0.1] } + [""]
    return [lines.flatMap { Array($0.utf8) + [10] } + body]
  }
}
