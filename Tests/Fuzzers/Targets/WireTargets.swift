import Wire

extension FuzzTarget {
  static let cbor = FuzzTarget("cbor", seeds: { try CBORSeeds.all() }) { bytes in
    if let item = try? CBORDecoder.decode(bytes) {
      try hold(item.encoded() == bytes, "deterministic CBOR has one encoding")
    }
    if let (item, used) = try? CBORDecoder.decodeFirst(bytes[...]) {
      try hold(item.encoded() == Array(bytes.prefix(used)), "the first item of a sequence is what it took")
    }
    let item = try CBORDecoder.decode(bytes, mode: .lenient)
    let again = item.encoded()
    // Encoding sorts, so the bytes are compared, and lenient bytes become deterministic ones.
    try hold(try CBORDecoder.decode(again).encoded() == again, "what was accepted leniently encodes deterministically")
  }

  /// Each message of the channel between host and worker, by its first byte.
  static let messages = FuzzTarget("messages", longestBytes: 8192, seeds: { MessageSeeds.all }) { bytes in
    var input = Scissors(bytes)
    let kind = input.byte() % 6
    let body = input.all()
    let again: [UInt8]
    switch kind {
    case 0: again = try Activity(try CBORDecoder.decode(body)).encoded().encoded()
    case 1: again = try WorkerReply(try CBORDecoder.decode(body)).encoded().encoded()
    case 2: again = try JobRequest(try CBORDecoder.decode(body)).encoded().encoded()
    case 3: again = try JobReply(try CBORDecoder.decode(body)).encoded().encoded()
    case 4:
      let request = try SecurityModuleRequest(body)
      try hold(try SecurityModuleRequest(request.encoded()) == request, "a request reads as it was written")
      return
    default:
      let response = try SecurityModuleResponse(body)
      try hold(try SecurityModuleResponse(response.encoded()) == response, "a response reads as it was written")
      return
    }
    let reread: [UInt8]
    let item = try CBORDecoder.decode(again)
    switch kind {
    case 0: reread = try Activity(item).encoded().encoded()
    case 1: reread = try WorkerReply(item).encoded().encoded()
    case 2: reread = try JobRequest(item).encoded().encoded()
    default: reread = try JobReply(item).encoded().encoded()
    }
    try hold(reread == again, "a message reads as it was written")
  }

  /// Bytes of a peer that then closes, as frames.
  static let frames = FuzzTarget("frames", seeds: { try FrameSeeds.all() }) { bytes in
    let (near, far) = try Channel.pair(stallMilliseconds: 1_000)
    try far.write(bytes)
    far.close()
    var left = bytes.count
    while let item = try near.receive() {
      left -= 4 + item.encoded().count
      try hold(left >= 0, "frames are no longer than what came")
    }
    try hold(left == 0, "a channel ends between frames only")
  }
}

private enum CBORSeeds {
  static func all() throws -> [[UInt8]] {
    let text = String(decoding: try VectorFile.bytes("cbor/rfc8949.txt"), as: UTF8.self)
    let words = text.split { !$0.isHexDigit }
    return words.compactMap { Hex.decode($0) }.filter { !$0.isEmpty } + MessageSeeds.all.map { Array($0.dropFirst()) }
      + (try VectorFile.all(in: "attestation").filter { $0.first == 0x84 || $0.first == 0xD2 })
  }
}

enum MessageSeeds {
  private static let digest = (0..<32).map { UInt8($0) }

  static var all: [[UInt8]] {
    let configuration = WorkerConfiguration(
      policy: [1, 2], relay: .vsock(cid: 3, port: 8443), accessKeyID: "AKIDEXAMPLE", secretAccessKey: [3, 4],
      sessionToken: "token")
    let activities: [Activity] = [
      .configure(configuration), .status(nonce: [1]), .createEpoch(7), .loadEpoch(seed: [1], announcement: [2]),
      .runJob(attempt: 2),
    ]
    var requests: [JobRequest] = [
      .pull(.bundle), .write(.items, [1, 2]), .progress(done: 5), .end(.ok, receipt: [1]), .end(.retry, receipt: nil),
    ]
    if let digest = try? ContentDigest(digest) { requests.append(.pull(.model(digest, name: "model.safetensors"))) }
    let replies: [JobReply] = [.data([1, 2]), .absent, .acknowledged(cancel: true)]
    let module: [SecurityModuleRequest] = [
      .attestation(userData: digest, nonce: nil, publicKey: [1]), .describeNSM, .describePCR(0),
      .extendPCR(16, data: digest), .lockPCR(16), .lockPCRs(4), .getRandom,
    ]
    let answers: [SecurityModuleResponse] = [
      .attestation(document: digest), .describePCR(lock: true, data: digest + digest.prefix(16)),
      .extendPCR(data: digest), .lockPCR, .lockPCRs, .random(digest),
      .describeNSM(moduleID: "i-1-enc2", maxPCRs: 32, lockedPCRs: [0, 1], digest: "SHA384"), .error("ReadOnlyIndex"),
    ]
    return activities.map { [0] + $0.encoded().encoded() }
      + [[1] + WorkerReply(.ok, statement: [1], seed: [2]).encoded().encoded()]
      + requests.map { [2] + $0.encoded().encoded() } + replies.map { [3] + $0.encoded().encoded() }
      + module.map { [4] + $0.encoded() } + answers.map { [5] + $0.encoded() }
  }
}

private enum FrameSeeds {
  static func all() throws -> [[UInt8]] {
    let frames = MessageSeeds.all.map { message -> [UInt8] in
      let body = Array(message.dropFirst())
      return [0, 0, UInt8(body.count >> 8), UInt8(body.count & 0xFF)] + body
    }
    return frames + [frames.prefix(3).flatMap { $0 }, [0xFF, 0xFF, 0xFF, 0xFF, 0], [0, 8, 16, 0]]
  }
}
