/// What is done to a text before it is parted into words: Hugging Face's normalizers, one after the other.
struct Normalizer: Sendable {
  enum Step: Sendable {
    case bert(BertNormalizerOptions)
    case precompiled(PrecompiledMap)
    /// Each run of `count` and more (or of exactly `count`) times `pattern` becomes `content`.
    case replace(pattern: [UInt8], atLeast: Int, repeats: Bool, content: [UInt8])
    case strip(left: Bool, right: Bool)
    case prepend([UInt8])
    case machineTranslation
    /// Unicode's normal form C.
    case composed

    /// Whether a text may lose its first scalars.
    var mayDropFirst: Bool {
      switch self {
      case .bert(let options): options.cleanText || options.stripAccents
      case .strip(let left, _): left
      case .machineTranslation: true
      case .precompiled, .replace, .prepend, .composed: false
      }
    }
  }

  static let stepsLimit = 16
  /// Bytes of a text that a normalizer puts in the place of others.
  static let contentLimit = 64

  let steps: [Step]

  /// BERT's switches, when they are all that there is.
  var bertAlone: BertNormalizerOptions? {
    if steps.count == 1, case .bert(let options) = steps[0] { options } else { nil }
  }

  /// Gives what a text becomes to `body`, and whether its first scalar was dropped on the way.
  func withNormalized(
    _ text: UnsafeBufferPointer<UInt8>, _ body: (_ text: UnsafeBufferPointer<UInt8>, _ dropsFirst: Bool) -> Void
  ) {
    guard let first = steps.first else { return body(text, false) }
    var dropsFirst = false
    var bytes = apply(first, text, &dropsFirst)
    for step in steps.dropFirst() { bytes = bytes.withUnsafeBufferPointer { apply(step, $0, &dropsFirst) } }
    bytes.withUnsafeBufferPointer { body($0, dropsFirst) }
  }

  /// What a text becomes.
  func normalized(_ text: [UInt8]) -> [UInt8] {
    var result: [UInt8] = []
    text.withUnsafeBufferPointer { withNormalized($0) { text, _ in result = Array(text) } }
    return result
  }

  private func apply(_ step: Step, _ text: UnsafeBufferPointer<UInt8>, _ dropsFirst: inout Bool) -> [UInt8] {
    var out: [UInt8] = []
    out.reserveCapacity(text.count + 16)
    switch step {
    case .bert(let options):
      var normalizer = BertNormalizer(options: options, sink: TextSink(bytes: out))
      out = []
      normalizer.read(text)
      if normalizer.dropsFirst { dropsFirst = true }
      return normalizer.sink.bytes
    case .precompiled(let map): map.apply(text, to: &out)
    case .replace(let pattern, let atLeast, let repeats, let content):
      Self.replace(text, pattern, atLeast, repeats, content, &out)
    case .strip(let left, let right):
      let kept = Self.stripped(text, left, right)
      if kept.lowerBound > 0 { dropsFirst = true }
      out.append(contentsOf: text[kept])
    case .prepend(let content):
      if !text.isEmpty { out += content }
      out.append(contentsOf: text)
    case .composed: Composition.compose(text, to: &out)
    case .machineTranslation: Self.cleanForTranslation(text, &out, &dropsFirst)
    }
    return out
  }

  private static func replace(
    _ text: UnsafeBufferPointer<UInt8>, _ pattern: [UInt8], _ atLeast: Int, _ repeats: Bool, _ content: [UInt8],
    _ out: inout [UInt8]
  ) {
    var place = 0
    while place < text.count {
      var (count, end) = (0, place)
      while repeats || count < atLeast, text.count - end >= pattern.count,
        pattern.indices.allSatisfy({ text[end + $0] == pattern[$0] })
      {
        (count, end) = (count + 1, end + pattern.count)
      }
      if count >= atLeast {
        out += content
      } else {
        end = max(end, place + 1)
        out.append(contentsOf: text[place..<end])
      }
      place = end
    }
  }

  private static func stripped(_ text: UnsafeBufferPointer<UInt8>, _ left: Bool, _ right: Bool) -> Range<Int> {
    let unicode = UnicodeData.shared
    var (start, end) = (0, text.count)
    while left, start < end {
      var next = start
      guard unicode.flags(UTF8Text.scalar(text, &next)).contains(.whitespace) else { break }
      start = next
    }
    while right, end > start {
      let (scalar, place) = UTF8Text.scalar(text, before: end)
      guard unicode.flags(scalar).contains(.whitespace) else { break }
      end = place
    }
    return start..<end
  }

  /// `Nmt`: drops control characters and makes some further ones blanks.
  private static func cleanForTranslation(
    _ text: UnsafeBufferPointer<UInt8>, _ out: inout [UInt8], _ dropsFirst: inout Bool
  ) {
    var place = 0
    while place < text.count {
      let scalar = UTF8Text.scalar(text, &place)
      switch scalar {
      case 0x01...0x08, 0x0b, 0x0e...0x1f, 0x7f, 0x8f, 0x9f: if out.isEmpty { dropsFirst = true }
      case 0x09, 0x0a, 0x0c, 0x0d, 0x1680, 0x200b...0x200f, 0x2028, 0x2029, 0x2581, 0xfeff, 0xfffd: out.append(0x20)
      default: UTF8Text.append(scalar, to: &out)
      }
    }
  }
}
