import CCurl
import Synchronization

/// HTTP over libcurl. Connections are kept with their handle, and a handle serves one request at a time: whoever takes
/// one from the pool has it alone.
final class CurlTransport: Sendable {
  private static let keptHandles = 8
  private static let ready = ccurl_global_init() == CURLE_OK

  private let timeouts: HTTPTimeouts
  private let idle = Mutex<[CurlHandle]>([])

  init(timeouts: HTTPTimeouts = HTTPTimeouts()) { self.timeouts = timeouts }

  /// Sends one request and takes its whole response, whatever the status.
  func perform(_ request: HTTPRequest) throws(TransportFault) -> HTTPResponse {
    guard Self.ready, let handle = idle.withLock({ $0.popLast() }) ?? CurlHandle() else {
      throw TransportFault(kind: .permanent, reason: "libcurl cannot be initialised", partial: HTTPResponse())
    }
    defer { idle.withLock { if $0.count < Self.keptHandles { $0.append(handle) } } }
    return try handle.perform(request, timeouts)
  }
}

/// One libcurl easy handle and the connections that it keeps.
// @unchecked: the pool gives it to one thread at a time.
private final class CurlHandle: @unchecked Sendable {
  private static let bufferBytes = 256 << 10
  private let handle: UnsafeMutableRawPointer
  private let errorText = UnsafeMutablePointer<CChar>.allocate(capacity: Int(CURL_ERROR_SIZE))

  init?() {
    guard let handle = curl_easy_init() else { return nil }
    self.handle = handle
  }

  deinit {
    curl_easy_cleanup(handle)
    errorText.deallocate()
  }

  func perform(_ request: HTTPRequest, _ timeouts: HTTPTimeouts) throws(TransportFault) -> HTTPResponse {
    let collector = ResponseCollector(limit: request.responseLimit)
    // A line break in a value (a session token from the environment, say) would begin another header.
    guard !request.headers.contains(where: { $0.1.unicodeScalars.contains { $0.value < 0x20 } }) else {
      throw TransportFault(kind: .permanent, reason: "a header with control characters", partial: HTTPResponse())
    }
    var headers: UnsafeMutablePointer<curl_slist>?
    defer { curl_slist_free_all(headers) }
    // Without these curl adds a form's content type, and waits a second before it sends a larger body.
    for (name, value) in [("Expect", ""), ("Content-Type", "")] + request.headers {
      headers = curl_slist_append(headers, value.isEmpty ? "\(name):" : "\(name): \(value)") ?? headers
    }
    errorText.pointee = 0
    curl_easy_reset(handle)
    setFixedOptions(timeouts, isPlain: request.url.hasPrefix("http://"))
    ccurl_set_string(handle, CURLOPT_URL, request.url)
    ccurl_set_list(handle, CURLOPT_HTTPHEADER, headers)
    ccurl_set_pointer(handle, CURLOPT_ERRORBUFFER, errorText)
    setResponse(collector)
    setCancellation(request.cancellation)
    // One byte in place of an empty body: with a null pointer curl would read standard input.
    let code = (request.body.isEmpty ? [0] : request.body).withUnsafeBytes { body in
      setMethod(request.method)
      if request.method == .put || request.method == .post {
        ccurl_set_pointer(handle, CURLOPT_POSTFIELDS, body.baseAddress)
        ccurl_set_size(handle, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(request.body.count))
      }
      return curl_easy_perform(handle)
    }
    guard code == CURLE_OK else { throw fault(code, collector) }
    return collector.response
  }

  private func setFixedOptions(_ timeouts: HTTPTimeouts, isPlain: Bool) {
    ccurl_set_long(handle, CURLOPT_NOSIGNAL, 1)
    ccurl_set_long(handle, CURLOPT_PATH_AS_IS, 1)
    ccurl_set_long(handle, CURLOPT_FOLLOWLOCATION, 0)
    ccurl_set_string(handle, CURLOPT_PROTOCOLS_STR, "http,https")
    ccurl_set_long(handle, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1)
    ccurl_set_long(handle, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2)
    ccurl_set_long(handle, CURLOPT_TCP_KEEPALIVE, 1)
    // Servers and balancers end idle connections after 20 s and more. One that ended all the same is found at the next
    // request, which curl then sends once more over a new connection, as long as no byte of an answer has come.
    ccurl_set_long(handle, CURLOPT_MAXAGE_CONN, HTTPTimeouts.keptIdleSeconds)
    ccurl_set_long(handle, CURLOPT_BUFFERSIZE, Self.bufferBytes)
    ccurl_set_long(handle, CURLOPT_UPLOAD_BUFFERSIZE, Self.bufferBytes)
    ccurl_set_long(handle, CURLOPT_CONNECTTIMEOUT, timeouts.connectSeconds)
    ccurl_set_long(handle, CURLOPT_TIMEOUT, timeouts.wholeSeconds)
    ccurl_set_long(handle, CURLOPT_LOW_SPEED_LIMIT, HTTPTimeouts.lowSpeedBytesPerSecond)
    ccurl_set_long(handle, CURLOPT_LOW_SPEED_TIME, timeouts.stalledSeconds)
    // Plain HTTP is for servers on this machine or network; a proxy has nothing to do with it.
    if isPlain { ccurl_set_string(handle, CURLOPT_PROXY, "") }
  }

  private func setMethod(_ method: HTTPRequest.Method) {
    switch method {
    case .get: ccurl_set_long(handle, CURLOPT_HTTPGET, 1)
    case .head: ccurl_set_long(handle, CURLOPT_NOBODY, 1)
    case .post: ccurl_set_long(handle, CURLOPT_POST, 1)
    case .put, .delete: ccurl_set_string(handle, CURLOPT_CUSTOMREQUEST, method.rawValue)
    }
  }

  private func setResponse(_ collector: ResponseCollector) {
    let context = Unmanaged.passUnretained(collector).toOpaque()
    ccurl_set_pointer(handle, CURLOPT_WRITEDATA, context)
    ccurl_set_data_function(handle, CURLOPT_WRITEFUNCTION) { data, size, count, context in
      ResponseCollector.from(context)?.takeBody(UnsafeRawBufferPointer(start: data, count: size * count)) ?? 0
    }
    ccurl_set_pointer(handle, CURLOPT_HEADERDATA, context)
    ccurl_set_data_function(handle, CURLOPT_HEADERFUNCTION) { data, size, count, context in
      ResponseCollector.from(context)?.takeHeader(UnsafeRawBufferPointer(start: data, count: size * count)) ?? 0
    }
  }

  /// Without one curl is not asked to report progress at all.
  private func setCancellation(_ cancellation: Cancellation?) {
    guard let cancellation else { return }
    ccurl_set_pointer(handle, CURLOPT_XFERINFODATA, Unmanaged.passUnretained(cancellation).toOpaque())
    ccurl_set_progress_function(handle) { context, _, _, _, _ in
      guard let context else { return 0 }
      return Unmanaged<Cancellation>.fromOpaque(context).takeUnretainedValue().isCancelled ? 1 : 0
    }
    ccurl_set_long(handle, CURLOPT_NOPROGRESS, 0)
  }

  private func fault(_ code: CURLcode, _ collector: ResponseCollector) -> TransportFault {
    let detail = String(cString: errorText)
    let reason = detail.isEmpty ? String(cString: curl_easy_strerror(code)) : detail
    let kind: TransportFault.Kind =
      switch code {
      case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY, CURLE_COULDNT_CONNECT, CURLE_OPERATION_TIMEDOUT,
        CURLE_SEND_ERROR, CURLE_RECV_ERROR, CURLE_GOT_NOTHING, CURLE_PARTIAL_FILE, CURLE_SSL_CONNECT_ERROR,
        CURLE_WEIRD_SERVER_REPLY:
        .connection
      case CURLE_PEER_FAILED_VERIFICATION: .untrustedServer
      case CURLE_ABORTED_BY_CALLBACK: .cancelled
      case CURLE_WRITE_ERROR where collector.isOverLimit: .tooLarge
      default: .permanent
      }
    return TransportFault(kind: kind, reason: reason, partial: collector.response)
  }
}

/// Takes what curl's callbacks bring, within limits.
private final class ResponseCollector {
  private static let headerLimitBytes = 64 << 10
  /// A refusal may be longer than the answer that was hoped for; its text is the reason.
  private static let refusalLimitBytes = 64 << 10

  var response = HTTPResponse()
  private(set) var isOverLimit = false
  private let limit: Int
  private var headerBytes = 0

  init(limit: Int) { self.limit = limit }

  static func from(_ context: UnsafeMutableRawPointer?) -> ResponseCollector? {
    context.map { Unmanaged<ResponseCollector>.fromOpaque($0).takeUnretainedValue() }
  }

  /// - Returns: the number of bytes taken; fewer than came ends the transfer.
  func takeBody(_ bytes: UnsafeRawBufferPointer) -> Int {
    let limit = response.status >= 300 ? max(limit, Self.refusalLimitBytes) : limit
    guard bytes.count <= limit - response.body.count else {
      isOverLimit = true
      return 0
    }
    if response.body.isEmpty, let length = response.headers["content-length"].flatMap({ Int($0) }), length > 0 {
      response.body.reserveCapacity(min(length, limit))
    }
    response.body.append(contentsOf: bytes)
    return bytes.count
  }

  func takeHeader(_ bytes: UnsafeRawBufferPointer) -> Int {
    headerBytes += bytes.count
    guard headerBytes <= Self.headerLimitBytes else { return 0 }
    let line = String(decoding: bytes, as: UTF8.self)
    // An interim response (100 Continue) came before: only the last one's headers count.
    if line.hasPrefix("HTTP/") {
      let status = line.split(separator: " ").dropFirst().first.flatMap { Int($0.prefix(3)) } ?? 0
      response = HTTPResponse(status: status)
    }
    let halves = line.split(separator: ":", maxSplits: 1)
    guard halves.count == 2 else { return bytes.count }
    let name = halves[0].lowercased()
    if response.headers[name] == nil {
      response.headers[name] = String(halves[1].drop(while: { $0 == " " || $0 == "\t" }).prefix { !$0.isNewline })
    }
    return bytes.count
  }
}
