import Foundation
import SealedCrypto
import Testing

@testable import ObjectStore

@Suite("store URLs and credentials")
struct StoreURLTests {
  private func s3(_ text: String, _ environment: [String: String] = [:]) throws -> S3Location {
    try #require(try StoreURL.open(text, environment: environment) as? S3Store).client.location
  }

  @Test("directories open by URL and by path")
  func directories() throws {
    let directory = try TemporaryDirectory()
    for text in ["file://\(directory.path)/a%20b", directory.path + "/c"] {
      #expect(Conformance.kind { try StoreURL.open(text) } == .notFound)
      _ = try StoreURL.open(text, create: true).put(try ObjectKey("x"), [1], .always)
    }
    #expect(FileManager.default.fileExists(atPath: directory.path + "/a b/x"))
    for bad in ["", "relative", "file://host/x", "file:x", "ftp://x", "file:///%zz", "file:///a%00b"] {
      #expect(Conformance.kind { try StoreURL.open(bad, environment: [:]) } == .invalid, "\(bad)")
    }
  }

  @Test("S3 addresses follow region, endpoint and style")
  func addresses() throws {
    let key = try ObjectKey("k e")
    func url(_ location: S3Location) -> String { location.url(path: location.path(key), query: []) }
    #expect(url(try s3("s3://buc/p/?region=eu-west-1")) == "https://buc.s3.eu-west-1.amazonaws.com/p/k%20e")
    #expect(url(try s3("s3://b.dots", ["AWS_REGION": "x-1"])) == "https://s3.x-1.amazonaws.com/b.dots/k%20e")
    #expect(url(try s3("s3://buc?endpoint=http://127.0.0.1:5000/")) == "http://127.0.0.1:5000/buc/k%20e")
    #expect(url(try s3("s3://buc/a/b?endpoint=https%3A%2F%2FS3.example:443")) == "https://s3.example/buc/a/b/k%20e")
    #expect(url(try s3("s3://buc?endpoint=http://[::1]:9&style=virtual")) == "http://buc.[::1]:9/k%20e")
    #expect(
      url(try s3("s3://buc?region=eu-west-1&dualstack=true"))
        == "https://buc.s3.dualstack.eu-west-1.amazonaws.com/k%20e")
    #expect(
      url(
        try s3(
          "s3://b.dots?region=us-gov-west-1", ["AWS_USE_FIPS_ENDPOINT": "true", "AWS_USE_DUALSTACK_ENDPOINT": "TRUE"]))
        == "https://s3-fips.dualstack.us-gov-west-1.amazonaws.com/b.dots/k%20e")
    #expect(
      url(try s3("s3://buc?endpoint=http://127.0.0.1:5000", ["AWS_USE_FIPS_ENDPOINT": "true"]))
        == "http://127.0.0.1:5000/buc/k%20e")
    #expect(try s3("s3://b.dots?region=r&style=virtual&endpoint=http://s3.example").host == "b.dots.s3.example")
    let virtual = try s3("s3://buc?region=r")
    #expect(virtual.url(path: virtual.path(nil), query: [("a", "")]) == "https://buc.s3.r.amazonaws.com/?a=")
    for bad in [
      "s3://", "s3://ab", "s3://Bucket", "s3://b_b", "s3://a..b", "s3://bucket/a//b", "s3://bucket/../x", "s3://bucket",
      "s3://bucket?region=", "s3://bucket?region=a&region=b", "s3://bucket?other=1", "s3://bucket?region=a/b",
      "s3://bucket?endpoint=x", "s3://bucket?endpoint=ftp://x", "s3://bucket?endpoint=http://a:b",
      "s3://bucket?endpoint=http://a/b", "s3://bucket?endpoint=http://u@h", "s3://bucket?region=a&style=x",
      "s3://b.dots?region=r&style=virtual", "s3://b.dots?endpoint=https://h&style=virtual",
      "s3://bucket?region=r&fips=maybe", "s3://bucket?endpoint=http://h&dualstack=true",
    ] {
      #expect(Conformance.kind { try s3(bad) } == .invalid, "\(bad)")
    }
  }

  @Test("credentials come from a named profile, the environment or the file, in this order")
  func credentials() throws {
    let directory = try TemporaryDirectory()
    let file = directory.path + "/credentials"
    try """
    # comment
    [default]
    aws_access_key_id = DEFAULT
    aws_secret_access_key=s=1
    [ other ]
    AWS_ACCESS_KEY_ID=OTHER
    aws_secret_access_key = s2
    aws_session_token = t
    [half]
    aws_access_key_id = HALF
    """.write(toFile: file, atomically: true, encoding: .utf8)
    let base = noInstance.merging(["AWS_SHARED_CREDENTIALS_FILE": file]) { $1 }
    let keys = base.merging(["AWS_ACCESS_KEY_ID": "ENV", "AWS_SECRET_ACCESS_KEY": "s"]) { $1 }
    func id(_ environment: [String: String], _ profile: String? = nil) throws -> String {
      try DefaultCredentials(environment, profile: profile).credentials().accessKeyID
    }
    #expect(try id(base) == "DEFAULT")
    #expect(try id(base.merging(["AWS_PROFILE": "other"]) { $1 }) == "OTHER")
    #expect(try id(keys) == "ENV")
    #expect(try id(keys, "other") == "OTHER")
    let other = try DefaultCredentials(base, profile: "other").credentials()
    #expect(other.sessionToken == "t")
    #expect(try DefaultCredentials(base).credentials().secret.withUnsafeBytes { Array($0) } == Array("s=1".utf8))
    for (environment, profile) in [
      (base, "half"), (base, "absent"), (noInstance.merging(["HOME": "/nonexistent"]) { $1 }, nil),
      (["AWS_ACCESS_KEY_ID": "x"], nil),
    ] {
      #expect(Conformance.kind { try id(environment, profile) } == .denied)
    }
  }

  @Test("a session token never goes over a network in clear")
  func tokenInClear() throws {
    let credentials = AWSCredentials(accessKeyID: "A", secret: try SecretBytes(copying: [1]), sessionToken: "t")
    let location = try S3Location(bucket: "bucket", region: "r", endpoint: "http://192.0.2.1")
    let store = S3Store(location, credentials: FixedCredentials(credentials))
    let error = storeFailure { try store.head(try ObjectKey("x")) }
    #expect(error?.kind == .denied && error?.description.contains("https") == true)
  }

  @Test("dates of both kinds are read")
  func dates() {
    #expect(HTTPDate.compact("Sun, 06 Nov 1994 08:49:37 GMT") == "19941106T084937Z")
    #expect(HTTPDate.compactISO("1994-11-06T08:49:37.000Z") == "19941106T084937Z")
    #expect(HTTPDate.compactISO("1994-11-06T08:49:37Z") == "19941106T084937Z")
    #expect(HTTPDate.compact("Sunday, 06-Nov-94 08:49:37 GMT") == nil)
  }
}
