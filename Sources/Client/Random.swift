/// Bytes from the kernel's generator, through the system's own `SystemRandomNumberGenerator`.
enum Random {
  /// `count` fresh bytes.
  static func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in .random(in: 0...255) } }
}
