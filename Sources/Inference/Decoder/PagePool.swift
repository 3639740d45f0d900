import CBlas

/// Memory for keys and values, in pages of `CB_PAGE` tokens for all layers, up to a budget.
///
/// A page belongs to one sequence at a time. It is zeroed before it is another's: nothing of one sequence can reach the
/// next, as a number or as a secret.
final class PagePool {
  /// Tokens of a page.
  static let tokens = Int(CB_PAGE)

  /// Bytes of one page.
  let pageBytes: Int
  /// Pages at most.
  let limit: Int
  private var all: [AlignedBuffer<UInt8>] = []
  /// Where pages lie: a pass reads those of every sequence.
  private let memory = WeightMemory()
  private var free: [UnsafeMutableRawPointer] = []

  /// - Parameter bytes: the budget; memory is taken as it is needed.
  init(config: DecoderConfig, precision: Precision, bytes: Int) {
    pageBytes = Self.pageBytes(config, precision: precision)
    limit = max(0, bytes / pageBytes)
  }

  /// Bytes of one page: keys and values of all layers and heads.
  static func pageBytes(_ config: DecoderConfig, precision: Precision) -> Int {
    2 * config.layers * config.keyValueWidth * tokens * (precision == .fp32 ? 4 : 2)
  }

  /// Pages that so many tokens need.
  static func pages(_ tokens: Int) -> Int { (tokens + Self.tokens - 1) / Self.tokens }

  /// Pages that are not in use.
  var available: Int { limit - all.count + free.count }

  /// A zeroed page; nil when none is left.
  func take() -> UnsafeMutableRawPointer? {
    if let page = free.popLast() { return page }
    guard all.count < limit else { return nil }
    all.append(AlignedBuffer(count: pageBytes, in: memory))
    return UnsafeMutableRawPointer(all[all.count - 1].pointer)
  }

  /// Takes a page of this pool back.
  func give(_ page: UnsafeMutableRawPointer) {
    cb_wipe(page, pageBytes)
    free.append(page)
  }
}
