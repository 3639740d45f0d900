/// Unigram: of all ways to part a word into tokens the one whose scores have the greatest sum (Viterbi).
final class UnigramModel: Sendable {
  /// Bytes of a token: at each place of a text so many steps may be made.
  static let tokenLimit = 256
  /// How much worse than the worst token an unknown scalar is, as in SentencePiece.
  private static let unknownPenalty = 10.0

  let trie: TokenTrie
  let unknown: Int32
  private let scores: AlignedBuffer<Double>
  private let unknownScore: Double

  /// `scores` by id.
  init(trie: TokenTrie, scores: [Double], unknown: Int32) {
    self.trie = trie
    self.unknown = unknown
    self.scores = AlignedBuffer(count: scores.count)
    for (id, score) in scores.enumerated() { self.scores.pointer[id] = score }
    unknownScore = (scores.min() ?? 0) - Self.unknownPenalty
  }

  /// Appends the ids of a word that is not empty.
  func append(_ word: UnsafeBufferPointer<UInt8>, to run: inout TokenRun) {
    // By the place where a token ends: its id, where it begins (−1 where none ends) and the best sum up to there.
    let count = word.count + 1
    if run.first.count < count {
      let missing = count - run.first.count
      run.first.append(contentsOf: repeatElement(0, count: missing))
      run.second.append(contentsOf: repeatElement(0, count: missing))
      run.scores.append(contentsOf: repeatElement(0, count: missing))
    }
    run.first.withUnsafeMutableBufferPointer { ids in
      run.second.withUnsafeMutableBufferPointer { starts in
        run.scores.withUnsafeMutableBufferPointer { sums in search(word, ids, starts, sums) }
      }
    }
    walkBack(word, &run)
  }

  private func search(
    _ word: UnsafeBufferPointer<UInt8>, _ ids: UnsafeMutableBufferPointer<Int32>,
    _ starts: UnsafeMutableBufferPointer<Int32>, _ sums: UnsafeMutableBufferPointer<Double>
  ) {
    for place in 0...word.count { starts[place] = -1 }
    sums[0] = 0
    var start = 0
    while start < word.count {
      let sum = sums[start]
      let next = min(start + UTF8Text.length(word[start]), word.count)
      var hasSingle = false
      var (node, end) = (TokenTrie.root, start)
      while end < word.count, let child = trie.child(node, word[end]) {
        (node, end) = (child.index, end + 1)
        guard child.endsToken else { continue }
        let id = trie.id(at: child)
        let candidate = scores.pointer[Int(id)] + sum
        if starts[end] < 0 || candidate > sums[end] {
          (sums[end], starts[end], ids[end]) = (candidate, Int32(truncatingIfNeeded: start), id)
        }
        if end == next { hasSingle = true }
      }
      if !hasSingle {
        let candidate = unknownScore + sum
        if starts[next] < 0 || candidate > sums[next] {
          (sums[next], starts[next], ids[next]) = (candidate, Int32(truncatingIfNeeded: start), unknown)
        }
      }
      start = next
    }
  }

  /// Unknown tokens that follow one another become one.
  private func walkBack(_ word: UnsafeBufferPointer<UInt8>, _ run: inout TokenRun) {
    let before = run.ids.count
    var end = word.count
    while end > 0 {
      var start = Int(run.second[end])
      let id = run.first[end]
      if id != unknown {
        run.append(id)
      } else {
        while start > 0, run.first[start] == unknown { start = Int(run.second[start]) }
        // Several together may be a token's text after all.
        run.append(trie.id(of: word[start..<end]) ?? unknown)
      }
      end = start
    }
    run.reverse(from: before)
  }
}
