import CPlatform
import Glibc

/// Tells systemd how the daemon is, over the datagram socket that `$NOTIFY_SOCKET` names (sd_notify(3)); without one it
/// says nothing.
struct ServiceManager: Sendable {
  private let path: [UInt8]
  /// Half of the time within which systemd wants to hear of the daemon; nil where it does not.
  let watchdogSeconds: Double?

  init(environment: [String: String]) {
    let text = environment["NOTIFY_SOCKET"] ?? ""
    let bytes = Array(text.utf8)
    // An abstract address is written with @ for its leading zero byte.
    path = bytes.first == UInt8(ascii: "@") ? [0] + bytes.dropFirst() : bytes.first == UInt8(ascii: "/") ? bytes : []
    let isOurs = environment["WATCHDOG_PID"].map { $0 == "\(getpid())" } ?? true
    let micros = environment["WATCHDOG_USEC"].flatMap(Double.init)
    watchdogSeconds = isOurs ? micros.flatMap { $0 > 0 ? $0 / 2_000_000 : nil } : nil
  }

  func ready(_ status: String) { send("READY=1\nSTATUS=\(status)") }
  func isAlive() { send("WATCHDOG=1") }
  func reloading() { send("RELOADING=1\nMONOTONIC_USEC=\(cplatform_monotonic_ms() * 1000)") }

  /// - Parameter seconds: that the end may take; systemd waits so long.
  func stopping(within seconds: Double) {
    send("STOPPING=1\nSTATUS=draining\nEXTEND_TIMEOUT_USEC=\(Int64(seconds * 1_000_000))")
  }

  private func send(_ text: String) {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    guard !path.isEmpty, path.count < MemoryLayout.size(ofValue: address.sun_path) else { return }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path) }
    let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { return }
    defer { close(descriptor) }
    let length = socklen_t(MemoryLayout<sa_family_t>.size + path.count)
    let bytes = Array(text.utf8)
    withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
        _ = sendto(
          descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT), generic, length)
      }
    }
  }
}
