import Wire

/// One file of a model.
package struct ModelFile: Hashable, Sendable {
  /// A plain file name, such as `tokenizer.json` or `1_Pooling/config.json`.
  package let name: String
  /// Size of the plaintext in bytes.
  package let size: UInt64
  /// SHA-256 of the plaintext.
  package let sha256: ContentDigest
  /// Whether it is stored as an age file under the model key (`<name>.age`); otherwise it stands in clear.
  package let isSealed: Bool

  package init(name: String, size: UInt64, sha256: ContentDigest, isSealed: Bool) {
    self.name = name
    self.size = size
    self.sha256 = sha256
    self.isSealed = isSealed
  }

  /// The object's name beside the manifest.
  package var objectName: String { isSealed ? name + ".age" : name }

  var item: CBOR {
    .object([
      ("name", .text(name)), ("size", .unsigned(size)), ("sha256", .bytes(sha256.bytes)), ("sealed", .bool(isSealed)),
    ])
  }

  init(_ item: CBOR) throws {
    var fields = try CBORFields(item, in: "model file")
    name = try fields.text("name", limit: 200)
    size = try fields.unsigned("size", limit: Limits.weightBytes)
    sha256 = try fields.digest("sha256")
    isSealed = try fields.bool("sealed")
    try fields.finish()
    let parts = name.split(separator: "/", omittingEmptySubsequences: false)
    let legal = name.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"),
        UInt8(ascii: "/"):
        true
      default: false
      }
    }
    guard legal, !parts.contains(where: { $0.isEmpty || $0 == "." || $0 == ".." }) else {
      throw WireError.malformed("model file: not a plain relative name")
    }
    guard isSealed || size <= UInt64(Limits.clearModelFileBytes) else {
      throw WireError.tooLarge("clear model file", limit: Limits.clearModelFileBytes)
    }
  }
}

/// What a model owner signs: every file of a model. The worker opens nothing else.
package struct ModelManifestClaims: StatementClaims, Equatable {
  package static let kind = StatementKind.model

  /// What a person calls the model.
  package var name: String
  /// Architecture, such as `bert`.
  package var architecture: String
  /// Weight format, such as `safetensors`.
  package var format: String
  /// Weight types present.
  package var dtypes: [String]
  /// Operations that it can compute, such as `embed`.
  package var operations: [String]
  /// Longest sequence in tokens.
  package var maximumTokens: UInt64
  /// Length of an embedding.
  package var dimensions: UInt64
  package var createdMs: UInt64
  package var files: [ModelFile]
  /// What was measured of its precisions; none of a model that was published without a calibration.
  package var accuracy: [ModelAccuracy]

  package init(
    name: String, architecture: String, format: String, dtypes: [String], operations: [String], maximumTokens: UInt64,
    dimensions: UInt64, createdMs: UInt64, files: [ModelFile], accuracy: [ModelAccuracy] = []
  ) {
    self.name = name
    self.architecture = architecture
    self.format = format
    self.dtypes = dtypes
    self.operations = operations
    self.maximumTokens = maximumTokens
    self.dimensions = dimensions
    self.createdMs = createdMs
    self.files = files
    self.accuracy = accuracy
  }

  package var fields: [(String, CBOR?)] {
    [
      ("name", .text(name)), ("architecture", .text(architecture)), ("format", .text(format)),
      ("dtypes", .array(dtypes.map { .text($0) })), ("operations", .array(operations.map { .text($0) })),
      ("maximum_tokens", .unsigned(maximumTokens)), ("dimensions", .unsigned(dimensions)),
      ("created", .unsigned(createdMs)), ("files", .array(files.map(\.item))),
      ("accuracy", accuracy.isEmpty ? nil : .array(accuracy.map(\.item))),
    ]
  }

  package init(reading fields: inout CBORFields) throws {
    name = try fields.text("name", limit: 200)
    architecture = try fields.text("architecture", limit: 64)
    format = try fields.text("format", limit: 32)
    dtypes = try fields.texts("dtypes", limit: 32)
    operations = try fields.texts("operations", limit: 16)
    maximumTokens = try fields.unsigned("maximum_tokens", limit: 1 << 24)
    dimensions = try fields.unsigned("dimensions", limit: 1 << 20)
    createdMs = try fields.unsigned("created")
    files = try fields.array("files", limit: Limits.modelFiles) { try ModelFile($0) }
    guard Set(files.map(\.name)).count == files.count, Set(files.map(\.objectName)).count == files.count else {
      throw WireError.malformed("model: a file stands twice")
    }
    accuracy = try fields.optionalArray("accuracy", limit: 16) { try ModelAccuracy($0) } ?? []
    guard Set(accuracy.map(\.precision)).count == accuracy.count else {
      throw WireError.malformed("model: the accuracy of a precision stands twice")
    }
  }
}
