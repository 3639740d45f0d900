extension FuzzTarget {
  /// Every decoder that reads a peer's bytes.
  static let all: [FuzzTarget] = [
    .cbor, .messages, .frames, .cose, .statements, .claims, .items, .ageHeader, .ageFile, .ageStream, .cms,
    .kmsReplies, .attestation, .certificates, .json, .safetensors, .chatTemplate, .shardIndex, .gguf, .ggufModel,
    .tokenizerJSON,
    .vocabulary, .text, .bytePairs, .unigram, .modelConfig, .inputLines, .generationLines, .outputLines, .xml,
    .hostRecords, .sigV4, .bundle, .eif, .ramdisk, .credentials, .keyPolicy,
  ]
}
