import Testing

@testable import Inference

@Suite("Sets of tokens and what tokens add to a text")
struct TokenMaskTests {
  @Test("a mask holds the ids that it has room for, and no others", arguments: [1, 63, 64, 65, 130])
  func mask(count: Int) {
    var mask = TokenMask(count: count)
    #expect(mask.isEmpty)
    for id in [-1, 0, count - 1, count, Int(Int32.max), Int(Int32.min)] { mask.insert(Int32(id)) }
    let inside = (-2..<Int32(count) + 2).filter(mask.contains)
    #expect(Set(inside) == Set([0, Int32(count) - 1]))
    var other = TokenMask(count: count)
    other.insert(Int32(count) / 2)
    other.formUnion(mask)
    #expect(other.contains(Int32(count) / 2) && other.contains(0))
    mask.remove(0)
    mask.remove(Int32(count) - 1)
    mask.remove(Int32(count))
    #expect(mask.isEmpty)
  }

  @Test("tokens give their bytes; control tokens and ids without a token give none")
  func bytes() {
    let tokens = TokenBytes([[0xe2, 0x96], [0x81], nil, Array("abc".utf8)])
    #expect(tokens.count == 4)
    #expect((0..<4).map { Array(tokens[$0]) } == [[0xe2, 0x96], [0x81], [], Array("abc".utf8)])
    #expect((-1...4).map(tokens.isControl) == [true, false, false, true, false, true])
    #expect(tokens[-1].isEmpty && tokens[4].isEmpty)
  }
}
