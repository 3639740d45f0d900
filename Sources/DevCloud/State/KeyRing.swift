import FoundationEssentials
import SealedCrypto
import Wire

/// The KMS keys of a state. Backing material is loaded once; a key's record and policy are read at each use, so that an
/// edit applies to the next request.
struct KeyRing: Sendable {
  /// A key's public record, `key.json`.
  struct Record: Codable, Equatable {
    let arn: String
    let description: String
    /// Seconds since 1970.
    let created: Int64
    var enabled: Bool
  }

  /// One key.
  struct Key: Sendable {
    let id: UUID
    let arn: String
    let material: SecretBytes
    fileprivate let directory: StateDirectory
    fileprivate let folder: String

    /// - Throws: ``StateError``.
    func record() throws -> Record { try KeyRing.record(folder, in: directory) }

    /// - Throws: ``StateError``, ``KeyPolicy/Malformed``.
    func policy() throws -> KeyPolicy { try KeyPolicy(json: try directory.read("\(folder)/policy.json")) }
  }

  /// `keys.json`.
  struct Names: Codable, Equatable {
    let epochKey: String
    let modelKey: String
    enum CodingKeys: String, CodingKey {
      case epochKey = "epoch_key"
      case modelKey = "model_key"
    }
  }

  private static let folders = ["keys/epoch-key", "keys/model-key"]

  let keys: [Key]

  /// - Throws: ``StateError``.
  init(_ directory: StateDirectory) throws {
    keys = try Self.folders.map { folder in
      let record = try Self.record(folder, in: directory)
      guard let id = record.arn.split(separator: "/").last.flatMap({ UUID(uuidString: String($0)) }) else {
        throw StateError.malformed(directory.path(of: folder), "the ARN does not end in a UUID")
      }
      var hex = try directory.read("\(folder)/material")
      defer { SecretBytes.wipe(&hex) }
      guard var bytes = Hex.decode(String(decoding: hex.prefix(64), as: UTF8.self)), bytes.count == 32 else {
        throw StateError.malformed(directory.path(of: "\(folder)/material"), "is not 64 hexadecimal digits")
      }
      return Key(
        id: id, arn: record.arn, material: try SecretBytes(copying: &bytes), directory: directory, folder: folder)
    }
  }

  /// The key of a full ARN or a bare id. There are no aliases.
  func key(named name: String) -> Key? { keys.first { $0.arn == name || $0.id.uuidString.lowercased() == name } }

  /// The key of this id.
  func key(_ id: UUID) -> Key? { keys.first { $0.id == id } }

  /// Makes both keys, their policies, and last `keys.json`.
  ///
  /// - Throws: ``StateError``, or what a library throws.
  static func create(in directory: StateDirectory, now: Int64) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    let arns = try zip(folders, ["seeds of epoch keys", "model weights"]).map { folder, description in
      let id = UUID().uuidString.lowercased()
      let arn = "arn:aws:kms:\(DevelopmentState.region):\(PolicyTemplates.account):key/\(id)"
      let record = Record(arn: arn, description: "DEVELOPMENT: \(description)", created: now / 1000, enabled: true)
      try directory.makeDirectory(folder)
      var material = try SecretBytes.random(count: 32).withUnsafeBytes { Array(Hex.encode($0).utf8) }
      defer { SecretBytes.wipe(&material) }
      try directory.write("\(folder)/material", material, access: .owner)
      try directory.write("\(folder)/key.json", Array(try encoder.encode(record)) + [0x0A], access: .everyone)
      return arn
    }
    try DevelopmentState.writePolicies(PolicyTemplates(measurements: nil), in: directory)
    let names = Names(epochKey: arns[0], modelKey: arns[1])
    try directory.write("keys.json", Array(try encoder.encode(names)) + [0x0A], access: .everyone)
  }

  private static func record(_ folder: String, in directory: StateDirectory) throws -> Record {
    do {
      return try JSONDecoder().decode(Record.self, from: Data(try directory.read("\(folder)/key.json")))
    } catch let error as DecodingError {
      throw StateError.malformed(directory.path(of: "\(folder)/key.json"), "\(error)")
    }
  }
}
