import SealedCrypto
import Wire

@testable import EnclaveWorker

extension FuzzTarget {
  /// A bundle's plaintext, sealed to a key that the worker holds: what any stranger with the announcement may send.
  static let bundle = FuzzTarget("bundle", seeds: { try BundleSeeds.all() }) { plaintext in
    let (near, far) = try Channel.pair(stallMilliseconds: 1_000)
    let sealed = try BundleSeeds.seal(plaintext)
    // The whole conversation stands in the socket's buffer before the worker asks: its requests fit there too.
    for start in stride(from: 0, to: sealed.count, by: 4096) {
      try far.send(JobReply.data(Array(sealed[start..<min(start + 4096, sealed.count)])).encoded())
    }
    try far.send(JobReply.data([]).encoded())
    let bundle = try OpenedBundle(SealedBundle(from: JobLink(near)), epochs: [try BundleSeeds.epoch()])
    try hold(bundle.manifest.count + 12 <= plaintext.count, "a manifest stands inside its bundle")
    _ = try? UnverifiedStatement<JobManifestClaims>(bundle.manifest)
    let items = InputItems(bundle, try StatementSeeds.manifestClaims())
    var taken = 0
    while let window = try items.next() {
      try hold(window.count <= InputItems.windowItems, "a window is bounded")
      taken += window.reduce(0) { $0 + ($1.line.bytes?.count ?? 0) }
      try hold(taken <= bundle.inputBytes, "no more is read than the input holds")
    }
    try bundle.finish()
    let size = 4 + UInt64(bundle.manifest.count) + 8 + bundle.inputBytes
    try hold(try Padme.paddedSize(size) == UInt64(plaintext.count), "a bundle that ends well is padded as it says")
    try hold(
      plaintext.suffix(plaintext.count - Int(size)).allSatisfy { $0 == 0 }, "and padded with nothing but zeros")
  }
}

private enum BundleSeeds {
  private static let known = Result { try HybridIdentity(seed: SecretBytes(copying: [UInt8](repeating: 5, count: 32))) }
  private static func identity() throws -> HybridIdentity { try known.get() }

  static func epoch() throws -> Epoch { Epoch(number: 1, identity: try identity(), notBeforeMs: 0, notAfterMs: .max) }

  static func seal(_ plaintext: [UInt8]) throws -> [UInt8] {
    let sink = MemorySink()
    let encryptor = try AgeEncryptor(recipients: [try identity().recipient], to: sink)
    try encryptor.write(plaintext)
    try encryptor.finish()
    return sink.bytes
  }

  static func all() throws -> [[UInt8]] {
    let manifest = Array(try StatementSeeds.statements()[2].dropFirst())
    let inputs = ["", "{\"id\":\"1\",\"text\":\"a\"}\n{\"id\":\"2\",\"text\":\"b\"}\n", "\n\n\n"].map { Array($0.utf8) }
    return try inputs.flatMap { input in try [[], [1, 2, 3], manifest].map { try plaintext($0, input) } }
  }

  private static func plaintext(_ manifest: [UInt8], _ input: [UInt8]) throws -> [UInt8] {
    let bytes = number(manifest.count, 4) + manifest + number(input.count, 8) + input
    let padded = try Padme.paddedSize(UInt64(bytes.count))
    return bytes + [UInt8](repeating: 0, count: Int(padded) - bytes.count)
  }

  private static func number(_ value: Int, _ width: Int) -> [UInt8] {
    (0..<width).map { UInt8(truncatingIfNeeded: value >> (8 * (width - 1 - $0))) }
  }
}
