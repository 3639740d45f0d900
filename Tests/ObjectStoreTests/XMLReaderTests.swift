import Testing

@testable import ObjectStore

@Suite("XML of S3's answers")
struct XMLReaderTests {
  private func read(_ text: String) throws -> XMLElement { try XMLReader.read(Array(text.utf8)) }

  @Test("reads elements, text with blanks, entities and references")
  func reads() throws {
    let root = try read(
      """
      \u{feff}<?xml version="1.0" encoding="UTF-8"?>
      <!-- a comment --><List xmlns="http://x/" a='>'>
        <Key> a &amp; b &lt;&gt;&quot;&apos; &#233;&#x1F600; </Key><Empty/><Key>two<!-- c -->parts</Key>
      </List>

      """)
    #expect(root.name == "List")
    #expect(root.all("Key").map(\.text) == [" a & b <>\"' é😀 ", "twoparts"])
    #expect(root.child("Empty")?.text == "")
    #expect(root.child("None") == nil)
  }

  @Test("refuses what is not well-formed, or is more than S3 sends")
  func refuses() {
    for text in [
      "", " ", "x", "<a>", "<a", "<a></b>", "</a>", "<a></a><b></b>", "<a></a>x", "<a>&unknown;</a>", "<a>&amp</a>",
      "<a>&#xD800;</a>", "<a>&#99999999;</a>", "<a b></a>", "<a b=c></a>", "<a b=\"></a>", "<a><![CDATA[x]]></a>",
      "<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>", "<!-- <a></a>", "< a></a>", "<a>\u{0}<", "<?xml",
    ] {
      #expect(throws: XMLReader.Fault.self, "\(text)") { try read(text) }
    }
    #expect(throws: XMLReader.Fault.self) { try XMLReader.read(Array("<a>".utf8) + [0xff] + Array("</a>".utf8)) }
  }

  @Test("is bounded in depth and elements")
  func bounded() throws {
    func nested(_ depth: Int) -> String {
      String(repeating: "<a>", count: depth) + String(repeating: "</a>", count: depth)
    }
    #expect(throws: Never.self) { try read(nested(XMLReader.depthLimit)) }
    #expect(throws: XMLReader.Fault.self) { try read(nested(XMLReader.depthLimit + 1)) }
    #expect(throws: XMLReader.Fault.self) { try read("<a>" + String(repeating: "<b/>", count: 50_000) + "</a>") }
  }

  @Test("a listing cut anywhere is refused, never read as a shorter one")
  func truncated() {
    let text = Array("<ListBucketResult><Contents><Key>k</Key></Contents></ListBucketResult>".utf8)
    for count in 0..<text.count { #expect(throws: XMLReader.Fault.self) { try XMLReader.read(Array(text[..<count])) } }
  }
}
