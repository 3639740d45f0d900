import SealedCrypto

/// Where an S3 bucket is and how its requests are addressed.
package struct S3Location: Sendable, Equatable {
  /// How the bucket stands in a URL.
  package enum Style: String, Sendable {
    /// `https://host/bucket/key`: any endpoint of one's own.
    case path
    /// `https://bucket.host/key`: AWS.
    case virtual
  }

  /// Which of AWS's endpoints of a region.
  package struct Variant: Sendable, Equatable {
    /// IPv4 and IPv6.
    package var isDualStack = false
    /// FIPS 140 validated.
    package var isFIPS = false
    fileprivate var service: String { isFIPS ? "s3-fips" : "s3" }

    package init(isDualStack: Bool = false, isFIPS: Bool = false) {
      self.isDualStack = isDualStack
      self.isFIPS = isFIPS
    }
  }

  package let bucket: String
  /// Before every key: empty, or ending in a slash.
  package let prefix: String
  package let region: String
  package let style: Style
  /// `http` or `https`.
  let scheme: String
  /// Host and, where it is not the scheme's own, port: of the endpoint, without the bucket.
  let authority: String

  /// - Parameters:
  ///   - bucket: by S3's naming rules.
  ///   - prefix: a key prefix without slashes at its ends; may be empty.
  ///   - endpoint: `http[s]://host[:port]`, or nil for AWS in `region`.
  ///   - style: nil for path style at an endpoint of one's own and for names with dots, virtual-host style otherwise.
  ///   - variant: of AWS's endpoints; not together with `endpoint`.
  /// - Throws: ``ObjectStoreError`` of kind `invalid`.
  package init(
    bucket: String, prefix: String = "", region: String, endpoint: String? = nil, style: Style? = nil,
    variant: Variant = Variant()
  ) throws {
    let action = "open s3://\(bucket)/\(prefix)"
    func invalid(_ reason: String, _ mend: String) -> ObjectStoreError {
      ObjectStoreError(.invalid, action, reason, mend: mend)
    }
    guard Self.isBucketName(bucket) else {
      throw invalid("not a bucket's name", "3 to 63 lower-case letters, digits, dots and hyphens")
    }
    guard prefix.isEmpty || ObjectKey.fault(prefix) == nil else {
      throw invalid("not a key prefix: \(ObjectKey.fault(prefix) ?? "")", "mend the URL's path")
    }
    guard !region.isEmpty, region.utf8.allSatisfy(Self.isHostByte) else {
      throw invalid("\"\(region)\" is not a region", "give it as region=… in the URL or as AWS_REGION")
    }
    self.bucket = bucket
    self.prefix = prefix.isEmpty ? "" : prefix + "/"
    self.region = region
    self.style = style ?? (endpoint != nil || bucket.contains(".") ? .path : .virtual)
    isAWS = endpoint == nil
    guard let endpoint else {
      let domain = AWSPartition(region: region).domain
      (scheme, authority) = (
        "https", "\(variant.service).\(variant.isDualStack ? "dualstack." : "")\(region).\(domain)"
      )
      try refuseDots()
      return
    }
    guard let parsed = Self.parse(endpoint) else {
      throw invalid("\"\(endpoint)\" is not an endpoint", "give it as endpoint=http[s]://host[:port]")
    }
    (scheme, authority) = parsed
    guard variant == Variant() else {
      throw invalid("FIPS and dual-stack are AWS's own endpoints", "name the endpoint wanted, or leave it out")
    }
    try refuseDots()
  }

  /// A certificate for `*.host` covers one label, so a bucket with dots has none in virtual-host style.
  private func refuseDots() throws {
    guard style == .virtual, scheme == "https", bucket.contains(".") else { return }
    throw ObjectStoreError(
      .invalid, "open s3://\(bucket)/\(prefix)", "no TLS certificate covers \(host), since the bucket's name has dots",
      mend: "take style=path, or a bucket without dots")
  }

  /// Whether the endpoint is AWS's own, of the region.
  let isAWS: Bool

  /// For people: `s3://bucket/prefix`.
  var name: String { "s3://\(bucket)/\(prefix)" }
  /// The Host header.
  var host: String { style == .virtual ? "\(bucket).\(authority)" : authority }
  /// Whether requests stay on this machine, where plain HTTP shows them to nobody else.
  var isLoopback: Bool { Self.isLoopback(authority) }

  /// Whether host and port are this machine's own.
  static func isLoopback(_ authority: String) -> Bool {
    ["127.0.0.1", "localhost", "[::1]"].contains { authority == $0 || authority.hasPrefix($0 + ":") }
  }

  /// The path of an object, or of the bucket itself, before escaping.
  func path(_ key: ObjectKey?) -> String {
    (style == .path ? "/" + bucket : "") + (key.map { "/" + prefix + $0.text } ?? (style == .path ? "" : "/"))
  }

  /// The whole URL, escaped.
  func url(path: String, query: [(String, String)]) -> String {
    "\(scheme)://\(host)\(SigV4Encoding.wirePath(path))" + (query.isEmpty ? "" : "?" + SigV4Encoding.wireQuery(query))
  }

  private static func isBucketName(_ name: String) -> Bool {
    (3...63).contains(name.utf8.count) && name.utf8.allSatisfy(isHostByte) && !name.contains("..")
      && name.first != "." && name.first != "-" && name.last != "." && name.last != "-"
  }

  private static func isHostByte(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
      || byte == UInt8(ascii: "-") || byte == UInt8(ascii: ".")
  }

  /// Scheme and authority of `http[s]://host[:port][/]`; nil for anything else.
  static func parse(_ endpoint: String) -> (scheme: String, authority: String)? {
    guard let scheme = ["https", "http"].first(where: { endpoint.hasPrefix($0 + "://") }) else { return nil }
    var rest = endpoint.dropFirst(scheme.count + 3)
    if rest.last == "/" { rest = rest.dropLast() }
    let isIPv6 = rest.first == "["
    let host = isIPv6 ? rest.prefix { $0 != "]" } + "]" : rest.prefix { $0 != ":" }
    let port = rest.dropFirst(host.count)
    let hostIsFine =
      isIPv6
      ? host.dropFirst().dropLast().allSatisfy { $0.isHexDigit || $0 == ":" || $0 == "." }
      : !host.isEmpty && host.lowercased().utf8.allSatisfy(isHostByte)
    guard hostIsFine else { return nil }
    if port.isEmpty { return (scheme, host.lowercased()) }
    guard port.first == ":", let number = UInt16(port.dropFirst()), number > 0 else { return nil }
    // curl leaves the scheme's own port out of the Host header, so it must not be signed either.
    let isDefault = number == (scheme == "https" ? 443 : 80)
    return (scheme, host.lowercased() + (isDefault ? "" : ":\(number)"))
  }
}
