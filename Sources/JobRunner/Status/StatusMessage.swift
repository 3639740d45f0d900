import NIOHTTP1

/// What the endpoint reads of a request; everything else of it is ignored.
struct StatusRequest: Sendable {
  let method: HTTPMethod
  /// Without the query.
  let path: String
  /// All Host headers.
  let hosts: [String]
  let accept: String?
}

/// An answer, without the headers that every answer has.
struct StatusResponse: Sendable {
  var status: HTTPResponseStatus = .ok
  var contentType = "text/plain; charset=utf-8"
  var body: String
  /// The methods, where another was used.
  var allow: String?
  /// Of `Content-Security-Policy`, beside what every answer forbids.
  var styleSource: String?

  /// A short text.
  static func plain(_ status: HTTPResponseStatus, _ text: String) -> StatusResponse {
    StatusResponse(status: status, body: text + "\n")
  }

  /// The headers of every answer. Nothing may be loaded, framed, cached, sniffed or sent elsewhere; no cookie is ever set.
  var headers: HTTPHeaders {
    var policy = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    if let styleSource { policy += "; style-src \(styleSource)" }
    var headers: HTTPHeaders = [
      "Content-Type": contentType, "Content-Length": "\(body.utf8.count)", "Connection": "close",
      "Cache-Control": "no-store", "Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff",
      "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin",
      "Cross-Origin-Opener-Policy": "same-origin",
    ]
    if let allow { headers.add(name: "Allow", value: allow) }
    return headers
  }
}
