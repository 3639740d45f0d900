/// What is left of a rendering's limits. Every loop over a value's bytes or items pays here before it runs.
struct TemplateMeter {
  private var steps: Int
  private var valueBytes: Int
  private var depth = 0
  private let limits: TemplateLimits

  init(_ limits: TemplateLimits) {
    self.limits = limits
    steps = limits.steps
    valueBytes = limits.valueBytes
  }

  /// Pays for work that is proportional to `units`.
  mutating func step(_ units: Int = 1) throws(TemplateError) {
    guard units <= steps else { throw TemplateError(.limit, "more than \(limits.steps) steps") }
    steps -= units
  }

  /// Pays for reading so many bytes.
  mutating func read(_ bytes: Int) throws(TemplateError) { try step(bytes / 16 + 1) }

  /// Pays for a value of so many bytes that is about to be made.
  mutating func make(_ bytes: Int) throws(TemplateError) {
    guard bytes <= valueBytes else { throw TemplateError(.limit, "values of more than \(limits.valueBytes) bytes") }
    valueBytes -= bytes
    try step(bytes / 16 + 1)
  }

  /// Pays for a list of so many items.
  mutating func makeItems(_ count: Int) throws(TemplateError) {
    let (bytes, overflow) = count.multipliedReportingOverflow(by: 32)
    try make(overflow ? .max : bytes)
  }

  mutating func enter() throws(TemplateError) {
    guard depth < limits.depth else { throw TemplateError(.limit, "nested deeper than \(limits.depth) when run") }
    depth += 1
  }

  mutating func leave() { depth -= 1 }
}
