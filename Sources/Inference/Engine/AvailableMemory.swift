import Glibc

/// What the kernel says can be allocated without swapping.
package enum AvailableMemory {
  /// `MemAvailable` of proc(5) in bytes; nil where the kernel does not say it.
  package static func bytes() -> UInt64? {
    let descriptor = open("/proc/meminfo", O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var text = [UInt8](repeating: 0, count: 4096)
    let count = read(descriptor, &text, text.count)
    for line in text.prefix(max(0, count)).split(separator: UInt8(ascii: "\n")) {
      let words = line.split(separator: UInt8(ascii: " "))
      guard words.count == 3, words[0].elementsEqual("MemAvailable:".utf8) else { continue }
      guard let kibibytes = UInt64(String(decoding: words[1], as: UTF8.self)), kibibytes < 1 << 50 else { return nil }
      return kibibytes << 10
    }
    return nil
  }
}
