import Glibc

/// Keeps web pages of other origins from reading the endpoint through a name of theirs that they point at this machine
/// (DNS rebinding): such a request's Host is that name. An address is no name that anybody could point elsewhere.
struct HostCheck: Sendable {
  /// In lower case.
  private let names: Set<String>

  /// - Parameter names: accepted beside addresses, `localhost` and this machine's own name.
  init(names: [String]) {
    var buffer = [CChar](repeating: 0, count: 256)
    let hasName = gethostname(&buffer, buffer.count - 1) == 0
    let own = hasName ? String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self) : ""
    self.names = Set((names + ["localhost", own]).filter { !$0.isEmpty }.map { $0.lowercased() })
  }

  /// Nil when the request may be answered.
  func refusal(of hosts: [String]) -> StatusResponse? {
    guard hosts.count == 1, let host = hosts.first else { return .plain(.badRequest, "a request has one Host") }
    guard isAccepted(host) else {
      return .plain(.misdirectedRequest, "this endpoint does not go by that name (--metrics-hosts NAME permits one)")
    }
    return nil
  }

  private func isAccepted(_ host: String) -> Bool {
    guard !host.isEmpty, host.utf8.count <= 260 else { return false }
    if host.hasPrefix("[") {
      guard let end = host.firstIndex(of: "]") else { return false }
      let rest = host[host.index(after: end)...]
      return Self.isPort(rest) && StatusAddress.isAddress(String(host[host.index(after: host.startIndex)..<end]))
    }
    let colon = host.firstIndex(of: ":") ?? host.endIndex
    guard Self.isPort(host[colon...]) else { return false }
    let name = host[..<colon].lowercased()
    return names.contains(name.hasSuffix(".") ? String(name.dropLast()) : name) || StatusAddress.isAddress(name)
  }

  /// Nothing, or a colon and digits.
  private static func isPort(_ text: Substring) -> Bool {
    guard let first = text.first else { return true }
    return first == ":" && text.dropFirst().utf8.allSatisfy { (48...57).contains($0) } && text.utf8.count <= 6
  }
}
