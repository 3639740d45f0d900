import CBlas

/// Who computes a pass: one thread, or the threads of a pool that share each step of it. A step's parts write different
/// places, each by the same operations as the whole: so who took which cannot be read from the result.
struct Team: Sendable {
  /// Nil for one thread.
  let pool: ThreadPool?
  /// For attention, one for each thread.
  let scratch: [FloatBuffer]

  /// Parts of a step for each thread: some more than one, so that nobody waits long for a thread that was interrupted.
  private static let partsPerThread = 4

  /// Calls `body` with ranges that make up 0..<count; each begins at a multiple of `unit`.
  func each(
    _ count: Int, unit: Int, _ body: @escaping @Sendable (_ part: Range<Int>, _ thread: Int) -> Void
  ) {
    let units = (count + unit - 1) / unit
    guard let pool, units > 1 else { return body(0..<count, 0) }
    let parts = min(units, Self.partsPerThread * pool.threads)
    pool.run(parts) { part, thread in
      body(part * units / parts * unit..<min(count, (part + 1) * units / parts * unit), thread)
    }
  }
}
