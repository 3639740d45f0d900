import Foundation
import Inference
import TestSupport

extension FuzzTarget {
  static let json = FuzzTarget("json", seeds: { JSONSeeds.all }) { bytes in
    let limits = JSONLimits(bytes: 1 << 16, depth: 16, values: 10_000)
    let value = try JSONValue(parsing: bytes, limits: limits)
    try hold(String(validating: bytes, as: UTF8.self) != nil, "JSON is UTF-8")
    if case .number(let text) = value { try hold(value.double != nil || text.count > 3, "a short number is a number") }
    // One pair of brackets more is as good, or over a limit.
    let wrapped = Array("[".utf8) + bytes + Array("]".utf8)
    if let again = try? JSONValue(parsing: wrapped, limits: limits) {
      try hold(again == .array([value]), "a value reads the same inside an array")
    }
  }

  static let safetensors = FuzzTarget("safetensors", seeds: { SafetensorsSeeds.all }) { bytes in
    let whole = Result { try SafetensorsHeader(parsing: bytes, fileSize: bytes.count) }
    let counter = TensorCounter()
    let pieces = Result {
      let stream = SafetensorsStream(file: "model.safetensors", fileSize: bytes.count, receiver: counter)
      for start in stride(from: 0, to: bytes.count, by: 37) {
        try bytes[start..<min(start + 37, bytes.count)].withUnsafeBytes { try stream.append($0) }
      }
      try stream.finish()
    }
    try hold(((try? whole.get()) != nil) == ((try? pieces.get()) != nil), "in pieces a file is what it is in one")
    let header = try whole.get()
    try hold(counter.ended == header.tensors.count, "each tensor of a stream ends")
    try hold(counter.bytes == bytes.count - header.dataStart, "a stream gives each byte of each tensor once")
    var end = 0
    for tensor in header.tensors {
      let (product, overflow) = tensor.shape.reduce((tensor.type.size, false)) { size, next in
        let (product, overflow) = size.0.multipliedReportingOverflow(by: next)
        return (product, overflow || size.1)
      }
      try hold(!overflow && product == tensor.byteCount, "a tensor is as large as its shape says")
      try hold(tensor.offset == end && tensor.byteCount >= 0, "tensors follow one another")
      end += tensor.byteCount
      try hold(header[tensor.name] == tensor, "a tensor is found by its name")
    }
    try hold(header.dataStart + end == bytes.count, "tensors end where the file does")
  }

  static let gguf = FuzzTarget(
    "gguf", longestBytes: 8192,
    seeds: { [GGUFSeeds.small, Array(try VectorFile.bytes("gguf/types.gguf").prefix(8192))] }
  ) { bytes in
    let header = try bytes.withUnsafeBytes { try GGUFHeader(parsing: $0, fileSize: bytes.count, file: "model.gguf") }
    var end = 0
    for tensor in header.tensors {
      try hold(tensor.offset % header.alignment == 0, "a tensor is aligned")
      try hold(tensor.offset >= end && tensor.offset - end < header.alignment, "tensors follow one another")
      try hold(
        tensor.type.byteCount(elements: tensor.elements) == tensor.byteCount, "a tensor is as large as its shape")
      end = tensor.offset + tensor.byteCount
      try hold(header[tensor.name] == tensor, "a tensor is found by its name")
    }
    try hold(header.tensors.isEmpty || header.dataStart + end <= bytes.count, "tensors end within the file")
    // In pieces, the file is what it is in one: the same tensors, or a refusal.
    let whole = Result { try bytes.withUnsafeBytes { try GGUFWeights($0, file: "model.gguf") } }
    let pieces = Result {
      let weights = GGUFWeights { _ in }
      let stream = GGUFStream(file: "model.gguf", fileSize: bytes.count, receiver: weights)
      for start in stride(from: 0, to: bytes.count, by: 37) {
        try bytes[start..<min(start + 37, bytes.count)].withUnsafeBytes { try stream.append($0) }
      }
      try stream.finish()
      return weights
    }
    switch (whole, pieces) {
    case (.success, .success), (.failure, .failure): break
    default: throw Violation("a file in pieces is judged as in one")
    }
  }

  /// `tokenizer.json`, an empty byte, and a text for it.
  static let tokenizerJSON = FuzzTarget("tokenizer-json", longestBytes: 16384, seeds: { TokenizerSeeds.json }) {
    bytes in
    var input = Scissors(bytes)
    try tokenize(["tokenizer.json": input.part()], text: input.all())
  }

  /// `vocab.txt`, `tokenizer_config.json` and a text, each ended by an empty byte.
  static let vocabulary = FuzzTarget("vocabulary", longestBytes: 8192, seeds: { TokenizerSeeds.vocabulary }) { bytes in
    var input = Scissors(bytes)
    let files = ["vocab.txt": input.part(), "tokenizer_config.json": input.part()]
    try tokenize(files.filter { !$0.value.isEmpty }, text: input.all())
  }

  /// Any text under a vocabulary that is fine.
  static let text = FuzzTarget("text", seeds: { TokenizerSeeds.texts }) { bytes in
    try tokenize(["tokenizer.json": TokenizerSeeds.plainJSON], text: bytes)
  }

  /// `model.safetensors.index.json`, an empty byte, and the only file that it may name, `a.safetensors`.
  static let shardIndex = FuzzTarget("shard-index", longestBytes: 8192, seeds: { SafetensorsSeeds.sharded }) { bytes in
    var input = Scissors(bytes)
    let files = ModelFiles(["model.safetensors.index.json": input.part()])
    guard let index = try ShardIndex(files: files, unless: false) else { throw Violation("an index that is not there") }
    try hold((1...ShardIndex.shardLimit).contains(index.shards.count), "an index names few files")
    try hold(index.shards.allSatisfy { !$0.contains("/") && !$0.hasPrefix(".") }, "files within the folder")
    let rest = input.all()
    let header = try SafetensorsHeader(parsing: rest, fileSize: rest.count, file: "a.safetensors")
    let directory = try TensorDirectory([header], index: index)
    try hold(header.tensors.allSatisfy { directory[$0.name]?.tensor == $0 }, "each tensor is found by its name")
  }

  /// The seven settings of a model folder, each ended by an empty byte.
  static let modelConfig = FuzzTarget("model-config", longestBytes: 8192, seeds: { ModelSeeds.configs }) { bytes in
    var input = Scissors(bytes)
    let names = [
      "config.json", "modules.json", "1_Pooling/config.json", "sentence_bert_config.json", "tokenizer_config.json",
      "config_sentence_transformers.json", "2_Dense/config.json",
    ]
    let files = Dictionary(uniqueKeysWithValues: names.map { ($0, input.part()) }).filter { !$0.value.isEmpty }
    let config = try ModelConfig(files: ModelFiles(files))
    if config.decoder == nil {
      try hold(config.headWidth * config.heads == config.hiddenSize, "heads share the width evenly")
    }
    try hold((3...config.positions).contains(config.maximumTokens), "an input has as many tokens as positions at most")
    try hold(config.firstPosition + config.maximumTokens <= config.positions, "each token has a position")
    try hold((1...8192).contains(config.dimensions), "a result has some floats, and not many")
    try hold(config.prompts.text(nil) != nil, "the default prompt has a text")
    if case .classification(let head) = config.output { try hold(head.labels.count < 1001, "labels are few") }
  }

  private static func tokenize(_ files: [String: [UInt8]], text: [UInt8]) throws {
    let files = ModelFiles(files.merging(["config.json": TokenizerSeeds.config]) { given, _ in given })
    let tokenizer = try Tokenizer(files: files)
    let text = String(decoding: text, as: UTF8.self)
    for tokens in [tokenizer.tokenize(text), tokenizer.tokenize(text, text)] {
      try hold(tokens.ids.count <= tokenizer.maximumTokens, "an input is no longer than the model reads")
      try hold(tokens.ids.allSatisfy { (0..<tokenizer.idLimit).contains(Int($0)) }, "each id has a row")
      try hold(tokens.segments.isEmpty || tokens.segments.count == tokens.ids.count, "each token has its segment")
    }
  }
}

private enum JSONSeeds {
  static let all = [
    "null", "[1,-2.5e+3,0]", #"{"a":{"b":[true,false]},"é":"\u00e9\ud83d\ude00\n\\"}"#, "\"\"", "[[[[[[]]]]]]", "1e400",
    #"{"custom_id":"1","method":"POST","url":"/v1/embeddings","body":{"model":"m","input":"x"}}"#,
  ].map { Array($0.utf8) }
}

private enum SafetensorsSeeds {
  static let all = [
    file(#"{"t":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 8),
    file(#"{"__metadata__":{"format":"pt"},"a":{"dtype":"I8","shape":[],"data_offsets":[0,1]}}"#, 1),
    file(
      #"{"b":{"dtype":"F16","shape":[2,1],"data_offsets":[4,8]},"a":{"dtype":"BF16","shape":[1,2],"data_offsets":[0,4]}}"#,
      8
    ), file("{}", 0),
  ]

  static let sharded = [
    Array(#"{"metadata":{"total_size":8},"weight_map":{"t":"a.safetensors"}}"#.utf8) + [0] + all[0],
    Array(#"{"weight_map":{"b":"a.safetensors","a":"a.safetensors"}}"#.utf8) + [0] + all[2],
    Array(#"{"weight_map":{"b":"../a.safetensors","a":"b.safetensors"}}"#.utf8) + [0] + all[2],
  ]

  private static func file(_ header: String, _ count: Int) -> [UInt8] {
    let text = Array(header.utf8)
    return (0..<8).map { UInt8(truncatingIfNeeded: text.count >> (8 * $0)) } + text
      + [UInt8](repeating: 0, count: count)
  }
}

private enum GGUFSeeds {
  /// One key, and one tensor of F32, (1, 16).
  static let small: [UInt8] = {
    var file = GGUFFile(architecture: "llama")
    file.add(tensor: "t", [1, 16], type: 0, [UInt8](repeating: 0, count: 64))
    return file.bytes
  }()
}

enum TokenizerSeeds {
  static let config = Array(
    (#"{"model_type":"bert","hidden_size":32,"num_hidden_layers":1,"num_attention_heads":2,"intermediate_size":64,"#
      + #""vocab_size":1000000,"max_position_embeddings":24}"#).utf8)

  static let plainJSON = Array(
    (#"{"added_tokens":[{"id":2,"content":"[CLS]","special":true},{"id":3,"content":"[SEP]","special":true}],"#
      + #""normalizer":{"type":"BertNormalizer","strip_accents":null,"lowercase":true},"#
      + #""pre_tokenizer":{"type":"BertPreTokenizer"},"#
      + #""post_processor":{"type":"BertProcessing","sep":["[SEP]",3],"cls":["[CLS]",2]},"model":{"type":"WordPiece","#
      + ###""unk_token":"[UNK]","vocab":{"[PAD]":0,"[UNK]":1,"[CLS]":2,"[SEP]":3,"a":5,"b":6,"##b":8,"un":10,"##able":11,"###
      + #""é":12,".":13}}}"#).utf8)

  private static let template = Array(
    (#"{"normalizer":{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,"strip_accents":false,"#
      + #""lowercase":false},"pre_tokenizer":{"type":"BertPreTokenizer"},"post_processor":{"type":"TemplateProcessing","#
      + #""single":[{"SpecialToken":{"id":"[CLS]","type_id":0}},{"Sequence":{"id":"A","type_id":0}},"#
      + #"{"SpecialToken":{"id":"[SEP]","type_id":0}}]},"model":{"type":"WordPiece","unk_token":"[UNK]","#
      + #""continuing_subword_prefix":"@","max_input_chars_per_word":7,"#
      + #""vocab":{"[UNK]":1,"[CLS]":2,"[SEP]":3,"a":5,"@a":6}}}"#).utf8)

  static let texts = ["unable ab.", "É e\u{301}\u{323} 漢字 [SEP]\u{0}\t", "a\u{300}\u{301}\u{302}b", ""].map {
    Array($0.utf8)
  }

  private static let bytePairs = Array(
    (#"{"added_tokens":[{"id":5,"content":"<m>","lstrip":true,"rstrip":true,"normalized":true,"single_word":true}],"#
      + #""normalizer":{"type":"Lowercase"},"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":true},"#
      + #""post_processor":{"type":"RobertaProcessing","cls":["<s>",0],"sep":["</s>",1]},"model":{"type":"BPE","#
      + #""unk_token":"<s>","vocab":{"<s>":0,"</s>":1,"a":2,"b":3,"ab":4,"Ġ":6,"Ġab":7},"#
      + #""merges":["a b",["Ġ","ab"]]}}"#).utf8)

  // The map's one key is `a`, its replacement `b`.
  private static let unigram = Array(
    (#"{"normalizer":{"type":"Sequence","normalizers":[{"type":"Precompiled","precompiled_charsmap":"\#(map)"},"#
      + #"{"type":"Nmt"},{"type":"Strip"},{"type":"Replace","pattern":{"Regex":" {2,}"},"content":"▁"},"#
      + #"{"type":"Prepend","prepend":"_"}]},"pre_tokenizer":{"type":"Sequence","pretokenizers":["#
      + #"{"type":"WhitespaceSplit"},{"type":"Metaspace","replacement":"▁","prepend_scheme":"always"}]},"#
      + #""truncation":{"direction":"Left","strategy":"OnlyFirst"},"model":{"type":"Unigram","unk_id":0,"#
      + #""vocab":[["<unk>",0],["▁",-1.5],["a",-2],["b",-2.25],["▁ab",-3e0],["é",-4]]}}"#).utf8)

  private static let map: String = {
    var units = [UInt32](repeating: 0, count: 512)
    units[0] = 256 << 10
    units[0x161] = (0x161 ^ 256) << 10 | 0x161
    units[256] = 1 << 31
    let bytes = ([UInt32(units.count * 4)] + units).flatMap { unit in (0..<4).map { UInt8(unit >> (8 * $0) & 255) } }
    return Data(bytes + Array("b\0".utf8)).base64EncodedString()
  }()

  static let json: [[UInt8]] = [plainJSON, template, bytePairs, unigram].flatMap { file in
    texts.map { text in file + [0] + text }
  }

  static let vocabulary: [[UInt8]] = [
    Array("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##b\n".utf8) + [0] + Array(#"{"do_lower_case":true}"#.utf8) + [0]
      + texts[0],
    Array("[PAD]\r\n[UNK]\r\n[CLS]\r\n[SEP]\r\n[MASK]\r\n漢\r\n".utf8) + [0, 0] + texts[1],
  ]
}

private enum ModelSeeds {
  static let configs = [[text(bert)], sentence, crossEncoder, dense, [text(mpnet)]].map { parts in
    Array(parts.map { $0 + [0] }.joined())
  }

  private static func text(_ text: String) -> [UInt8] { Array(text.utf8) }

  private static let bert = String(decoding: TokenizerSeeds.config, as: UTF8.self)
  private static let shape =
    #""hidden_size":32,"num_hidden_layers":1,"num_attention_heads":2,"intermediate_size":64,"vocab_size":1000,"#
    + #""max_position_embeddings":24"#
  private static let mpnet = #"{"model_type":"mpnet","relative_attention_num_buckets":32,\#(shape)}"#

  private static let sentence: [[UInt8]] = [
    text(bert),
    text(
      #"[{"type":"a.Transformer","path":""},{"type":"a.Pooling","path":"1_Pooling"},{"type":"a.Normalize","path":"2"}]"#
    ),
    text(#"{"word_embedding_dimension":32,"pooling_mode_mean_tokens":true}"#),
    text(#"{"max_seq_length":20,"do_lower_case":false}"#), text(#"{"model_max_length":512}"#),
  ]

  private static let crossEncoder: [[UInt8]] = [
    text(
      #"{"model_type":"xlm-roberta","architectures":["XLMRobertaForSequenceClassification"],"pad_token_id":1,\#(shape),"#
        + #""id2label":{"0":"a","1":"b"},"problem_type":"multi_label_classification"}"#), [], [], [], [],
    text(#"{"activation_fn":"torch.nn.modules.linear.Identity"}"#),
  ]

  private static let dense: [[UInt8]] = [
    text(
      #"{"model_type":"distilbert","dim":32,"n_layers":1,"n_heads":2,"hidden_dim":64,"activation":"relu","#
        + #""vocab_size":1000,"max_position_embeddings":24}"#),
    text(
      #"[{"type":"a.Transformer","path":""},{"type":"a.Pooling","path":"1_Pooling"},{"type":"a.Dense","path":"2_Dense"}]"#
    ),
    text(#"{"pooling_mode":"max"}"#), [], [],
    text(#"{"prompts":{"query":"query: "},"default_prompt_name":"query"}"#),
    text(
      #"{"in_features":32,"out_features":64,"bias":true,"activation_function":"torch.nn.modules.activation.Tanh"}"#),
  ]
}

/// Counts what a stream of safetensors gives.
private final class TensorCounter: SafetensorsStream.Receiver {
  private(set) var bytes = 0
  private(set) var ended = 0

  func begin(_: SafetensorsHeader) {}
  func append(_ bytes: UnsafeRawBufferPointer, of _: TensorInfo) { self.bytes += bytes.count }
  func end(of _: TensorInfo) { ended += 1 }
}
