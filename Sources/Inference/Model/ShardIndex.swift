/// model.safetensors.index.json: which of several weight files holds which tensor.
package struct ShardIndex: Sendable {
  static let file = "model.safetensors.index.json"
  /// Weight files of one model.
  package static let shardLimit = 48
  static let tensorLimit = 20_000
  static let nameBytes = 120

  /// The weight files, sorted.
  package let shards: [String]
  /// By the tensor's name in UTF-8: two strings may be equal to Swift and be other bytes.
  let places: [[UInt8]: String]

  /// Nil where the model has no index, or its weights in one file, which comes first as in transformers. Throws when a
  /// name is no plain file name, or there are too many.
  package init?(files: ModelFiles, unless hasOneFile: Bool) throws(ModelError) {
    guard !hasOneFile, let settings = try files.settings(Self.file) else { return nil }
    let members = try settings.settings("weight_map").object.members
    guard (1...Self.tensorLimit).contains(members.count) else {
      throw settings.failure("weight_map", "must name 1 to \(Self.tensorLimit) tensors")
    }
    var places: [[UInt8]: String] = [:]
    var shards: Set<String> = []
    for member in members {
      guard let shard = member.value.string, Self.isPlainName(shard) else {
        throw settings.failure("weight_map", "must give each tensor a file name that ends in .safetensors")
      }
      places[Array(member.name.utf8)] = shard
      shards.insert(shard)
      guard shards.count <= Self.shardLimit else {
        throw settings.failure("weight_map", "names more than \(Self.shardLimit) files")
      }
    }
    self.places = places
    self.shards = shards.sorted()
  }

  /// A name within the model's own folder, of letters that every store and file system keeps.
  static func isPlainName(_ name: String, suffix: String = ".safetensors") -> Bool {
    (1...nameBytes).contains(name.utf8.count) && name.hasSuffix(suffix) && name.utf8.first != UInt8(ascii: ".")
      && name.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
          UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
          true
        default: false
        }
      }
  }
}
