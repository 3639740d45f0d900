import FoundationEssentials
import SealedCrypto

/// Opens a store by its URL:
/// - `file:///absolute/directory`, or the absolute path alone;
/// - `s3://bucket[/prefix][?region=…&endpoint=http[s]://host:port&style=path|virtual&profile=…]`;
///   without `endpoint`, `dualstack=true` and `fips=true` choose among AWS's own, as `AWS_USE_DUALSTACK_ENDPOINT` and
///   `AWS_USE_FIPS_ENDPOINT` do.
package enum StoreURL {
  /// - Parameters:
  ///   - text: the URL; credentials never stand in it.
  ///   - create: makes a missing directory (the host's side does, a client does not); buckets are never made.
  ///   - environment: for region and credentials.
  ///   - observer: sees every request to S3; a directory makes none.
  /// - Throws: ``ObjectStoreError``. Nothing is asked of an S3 server yet.
  package static func open(
    _ text: String, create: Bool = false, environment: [String: String] = ProcessInfo.processInfo.environment,
    observer: any StoreObserver = NoStoreObserver()
  ) throws -> any ObjectStore {
    if text.hasPrefix("/") { return try DirectoryStore(path: text, create: create) }
    if text.hasPrefix("file://") {
      guard let path = SigV4Encoding.unescape(text.dropFirst(7)), path.hasPrefix("/"), !path.contains("\0") else {
        throw invalid(text, "a file URL has an absolute path: file:///directory")
      }
      return try DirectoryStore(path: path, create: create)
    }
    guard text.hasPrefix("s3://") else { throw invalid(text, "a store is file:///directory or s3://bucket/prefix") }
    return try openS3(text, environment, observer)
  }

  private static func openS3(
    _ text: String, _ environment: [String: String], _ observer: any StoreObserver
  ) throws -> S3Store {
    let parts = text.dropFirst(5).split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
    let options = try parts.count == 2 ? self.options(parts[1], of: text) : [:]
    let path = parts[0].split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    guard var prefix = SigV4Encoding.unescape(path.count == 2 ? path[1] : "") else {
      throw invalid(text, "a broken percent escape")
    }
    while prefix.hasSuffix("/") { prefix.removeLast() }
    var style: S3Location.Style?
    if let word = options["style"] {
      style = S3Location.Style(rawValue: word)
      guard style != nil else { throw invalid(text, "style is path or virtual") }
    }
    let endpoint = options["endpoint"]
    // A server of one's own rarely has regions; AWS always does, and a guess would only fail later.
    let region =
      options["region"] ?? environment["AWS_REGION"] ?? environment["AWS_DEFAULT_REGION"]
      ?? (endpoint == nil ? "" : "us-east-1")
    let location = try S3Location(
      bucket: String(path[0]), prefix: prefix, region: region, endpoint: endpoint, style: style,
      // The environment speaks of AWS's endpoints alone.
      variant: try variant(options, endpoint == nil ? environment : [:], text))
    return S3Store(
      location, credentials: DefaultCredentials(environment, profile: options["profile"]), observer: observer)
  }

  private static func variant(
    _ options: [String: String], _ environment: [String: String], _ text: String
  ) throws -> S3Location.Variant {
    func isOn(_ option: String, _ variable: String) throws -> Bool {
      switch (options[option] ?? environment[variable])?.lowercased() {
      case nil, "", "false": return false
      case "true": return true
      default: throw invalid(text, "\(option) (\(variable)) is true or false")
      }
    }
    return S3Location.Variant(
      isDualStack: try isOn("dualstack", "AWS_USE_DUALSTACK_ENDPOINT"),
      isFIPS: try isOn("fips", "AWS_USE_FIPS_ENDPOINT"))
  }

  private static func options(_ query: Substring, of text: String) throws -> [String: String] {
    var options: [String: String] = [:]
    for pair in query.split(separator: "&") {
      let halves = pair.split(separator: "=", maxSplits: 1)
      guard halves.count == 2, let value = SigV4Encoding.unescape(halves[1]),
        ["region", "endpoint", "style", "profile", "dualstack", "fips"].contains(halves[0]),
        options.updateValue(value, forKey: String(halves[0])) == nil
      else {
        throw invalid(text, "after the ? stand region=, endpoint=, style=, profile=, dualstack= and fips=, each once")
      }
    }
    return options
  }

  private static func invalid(_ text: String, _ reason: String) -> ObjectStoreError {
    ObjectStoreError(.invalid, "open store \(text.prefix(200))", reason, mend: "correct the store's URL")
  }
}
