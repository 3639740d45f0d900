/// One request, complete with its signature's headers.
struct HTTPRequest {
  enum Method: String { case get = "GET", head = "HEAD", put = "PUT", post = "POST", delete = "DELETE" }

  let method: Method
  /// Escaped already; sent as it is.
  let url: String
  let headers: [(String, String)]
  let body: [UInt8]
  /// A longer response body is refused, and not held.
  let responseLimit: Int
  /// Ends the request under way.
  var cancellation: Cancellation?
}

/// What came back, whole; or, in a ``TransportFault``, as much of it as came.
struct HTTPResponse {
  var status = 0
  /// Lower-case names; of a repeated header the first.
  var headers: [String: String] = [:]
  var body: [UInt8] = []
}

/// No whole response.
struct TransportFault: Error {
  enum Kind {
    /// Unreachable, reset, cut short, too slow: may work the next time.
    case connection
    /// The server's certificate was not accepted.
    case untrustedServer
    /// More body than ``HTTPRequest/responseLimit``.
    case tooLarge
    /// Its ``Cancellation`` was used.
    case cancelled
    /// Something that trying again does not mend.
    case permanent
  }

  let kind: Kind
  let reason: String
  /// What had come before the fault; its body is a prefix of the real one.
  let partial: HTTPResponse
}

/// How long to wait for what.
struct HTTPTimeouts: Sendable {
  var connectSeconds = 10
  /// A transfer slower than one kilobyte a second for so long is given up.
  var stalledSeconds = 60
  /// The longest that a whole request may take; 0 is without a bound, as transfers of any size need it.
  var wholeSeconds = 0

  static let lowSpeedBytesPerSecond = 1024
  /// A connection that was idle for longer is not used again.
  static let keptIdleSeconds = 15
}

/// The two time formats of S3's answers.
enum HTTPDate {
  /// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7) in the digits of an AWS timestamp; nil for anything else.
  static func compact(_ text: String) -> String? {
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    let fields = text.split(separator: " ")
    guard fields.count == 6, fields[5] == "GMT", let month = months.firstIndex(of: String(fields[2])) else {
      return nil
    }
    let number = String(month + 1)
    return fields[3] + (number.utf8.count == 1 ? "0" : "") + number + fields[1] + "T"
      + fields[4].filter { $0 != ":" } + "Z"
  }

  /// `1994-11-06T08:49:37.000Z` (ISO 8601, as listings have it) in the digits of an AWS timestamp.
  static func compactISO(_ text: String) -> String {
    let whole = text.split(separator: ".").first.map(String.init) ?? text
    return whole.filter { $0 != "-" && $0 != ":" && $0 != "Z" } + "Z"
  }
}
