import TestSupport
import Testing

@testable import Inference

/// A chat template is a program that comes with the model: whatever it does, it ends, and within its limits.
@Suite("Hostile chat templates are refused, or end at a limit")
struct HostileTemplateTests {
  private static func refusal(_ source: String, limits: TemplateLimits = TemplateLimits()) -> TemplateError? {
    do throws(TemplateError) {
      let template = try ChatTemplate(parsing: source.utf8, limits: limits)
      _ = try template.render([ChatMessage(role: "user", content: "x")])
      return nil
    } catch { return error }
  }

  /// Five thousand members of a mapping.
  private static let members = (0..<5000).map { "'k\($0)': 1, " }.joined()

  private static func many(_ text: String, _ count: Int) -> String { String(repeating: text, count: count) }

  @Test(
    "bombs end at a limit",
    arguments: [
      "{% set x = 'a' * 1000000 %}{% set x = x * 1000000 %}", "{{ 'a' * 9223372036854775807 }}",
      "{{ [1] * 9223372036854775807 }}", "{% set ns = namespace(x='a') %}" + many("{% set ns.x = ns.x + ns.x %}", 64),
      "{% set ns = namespace(x=[1]) %}" + many("{% set ns.x = ns.x + ns.x %}", 64),
      "{% set ns = namespace(x=[1, 2]) %}" + many("{% set ns.x = [ns.x, ns.x, ns.x, ns.x] %}", 20) + "{{ ns.x }}",
      "{% set ns = namespace(x=[1, 2]) %}" + many("{% set ns.x = [ns.x, ns.x, ns.x, ns.x] %}", 20)
        + "{{ ns.x|tojson }}",
      "{% set ns = namespace(x=[1, 2], y=[1, 2]) %}"
        + many("{% set ns.x = [ns.x, ns.x, ns.x] %}{% set ns.y = [ns.y, ns.y, ns.y] %}", 20) + "{{ ns.x == ns.y }}",
      "{% set ns = namespace(x=[1]) %}{% for i in range(99999) %}{% set ns.x = [ns.x] %}{% endfor %}",
      "{% for a in range(99999) %}{% for b in range(99999) %}{{ a }}{% endfor %}{% endfor %}",
      "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "{{ range(100001) | list }}",
      "{{ range(-9223372036854775807, 9223372036854775807) }}",
      "{% set s = 'ab' * 500000 %}{{ s.replace('', 'x' * 10000) }}",
      "{% set s = 'a' * 1000000 %}{{ s.replace('a', 'b' * 10000) }}",
      "{% set s = 'a' * 1000000 %}{% set p = 'a' * 500000 ~ 'b' %}{{ p in s }}{{ s.find(p) }}{{ s.split(p) | length }}",
      "{% set s = 'a b ' * 400000 %}{% for i in range(99999) %}{{ s.rsplit(none, 3) | length }}{% endfor %}",
      "{% set s = 'a' * 4000000 %}{% for i in range(99999) %}{% if s.upper().strip() == s %}{% endif %}{% endfor %}",
      "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "{% macro m(n) %}{{ m(n) ~ m(n) }}{% endmacro %}{{ m(1) }}",
      "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}",
      "{% for i in range(99999) %}{% macro m() %}{% endmacro %}{% set p = m %}{% endfor %}",
      many("(", 200_000), many("[", 5000), "{{ " + many("(", 5000), "{{ " + many("[", 5000),
      "{{ " + many("-", 5000) + "1 }}",
      "{{ " + many("not ", 5000) + "1 }}", "{{ 1" + many(" + 1", 5000) + " }}", "{{ x" + many(".a", 5000) + " }}",
      "{{ x" + many("|string", 5000) + " }}", "{{ 1" + many(" if 1 else 1", 5000) + " }}", "{{ " + many("{'a':", 5000),
      "{{ f" + many("(f", 5000), many("{% if 1 %}", 5000), many("{% for x in [1] %}", 5000),
      many("{% macro m() %}", 5000), many("{% set x %}", 5000), many("a", (256 << 10) + 1),
      "{{ ('x' * 1000000).zfill(9223372036854775807) }}", "{{ 'x' | indent(9223372036854775807) }}",
      "{{ ('\\n' * 1000000) | indent('y' * 1000) }}", "{{ [1, 2] | tojson(indent=9223372036854775807) }}",
      "{% set d = {" + many("'a': 1, ", 5000)
        + "} %}{% for i in range(99999) %}{% for j in range(99999) %}{{ d.b }}{% endfor %}{% endfor %}",
      "{% set l = range(99999) | list %}{% for i in l %}{% set m = l | list %}{% endfor %}",
      "{% set s = 'b' * 1000000 %}{% for i in range(99999) %}{{ 'a'.strip(s) }}{{ 'a' | trim(s) }}{{ 'a'.replace('c', s) }}{% endfor %}",
      "{{ f(" + many("1, ", 300) + ") }}", "{{ (range(99999) | list * 9) | unique | length }}",
      "{{ range(99999) | map('string') | sort | sort | sort | sort }}"
        + many("{{ range(99999) | map('string') | sort | join }}", 20),
    ])
  func bombs(source: String) {
    // Smaller than what is allowed by default, which takes a second or two for each.
    var limits = TemplateLimits()
    (limits.steps, limits.valueBytes) = (1_000_000, 32 << 20)
    let error = Self.refusal(source, limits: limits)
    if source.hasPrefix("((") || source.hasPrefix("[[") { return #expect(error == nil, "text is only text") }
    #expect(error != nil && error?.kind != .raised, "\(source.prefix(100)): \(error.map(\.description) ?? "ends well")")
  }

  @Test(
    "one step takes no longer than what is paid for it",
    arguments: [
      "{{ ('a' * 4000000).rfind('b' * 9 ~ 'a' * 9 ~ 'a' * 2000000) }}{{ ('a' * 2000000).rfind('b' ~ 'a' * 1000000) }}"
        + many("{{ ('ab' * 1000000).rfind('b' ~ 'ab' * 500000) }}", 9),
      "{% set d = {'a' * 1000000: 1} %}{{ ([d] * 2000) | map('string') | list | length }}",
      "{% set d = {'a' * 1000000: 1} %}{{ ([d] * 2000) | map('tojson') | list | length }}",
      "{% set l = range(9000) | list %}{% for i in range(99999) %}{% if l|string %}{% endif %}{% endfor %}",
      "{% set ns = namespace(x=range(2000) | list) %}" + many("{% set ns.x = [ns.x] %}", 28)
        + "{% for i in range(99999) %}{% set t = ns.x | tojson(indent=32) %}{% endfor %}",
      many("{% set x %}{{ 'a' * 3000000 }}", 12) + many("{% endset %}", 12),
      "{{ ('\\n' * 4000000).splitlines() | length }}",
      "{{ ('\\n' * 4000000) | indent | length }}", "{{ (',' * 9000000).count(',') }}", "{{ (' 1' * 9000000) | int }}",
      "{{ (' 1' * 9000000) | float }}", "{{ range(99999) | map(attribute='a.' * 4000) | list }}",
      "{% set n = 'a' * 1000000 %}{% set d = {n ~ 'b': 1} %}{% for i in range(99999) %}{{ d[n ~ 'c'] }}{% endfor %}",
      "{% set n = 'a' * 1000000 %}{% set d = {n ~ 'b': 1} %}{% set m = n ~ 'c' %}{% for i in range(99999) %}{{ d.get(m) }}{{ m in d }}{% endfor %}",
      "{% set p = 'a' * 100000 %}{% set t = (p, p, p, p, p, p, p, p, p, p, p, p, p, p, p, p) %}{% set s = p ~ 'b' %}"
        + "{% for i in range(99999) %}{{ s.endswith(t) }}{% endfor %}",
      "{% for " + (0..<5000).map { "n\($0)" }.joined(separator: ", ")
        + " in [range(5000) | list] * 9000 %}{% endfor %}",
    ])
  func payment(source: String) {
    var limits = TemplateLimits()
    (limits.steps, limits.valueBytes) = (1_000_000, 32 << 20)
    let error = Self.refusal(source, limits: limits)
    #expect(error?.kind == .limit, "\(source.prefix(100)): \(error.map(\.description) ?? "ends well")")
  }

  @Test("a name of more than 256 bytes is refused, and a message quotes little of a longer one")
  func names() {
    #expect(Self.refusal("{{ \(Self.many("a", 256)) is defined }}") == nil)
    #expect(Self.refusal("{{ \(Self.many("a", 257)) is defined }}")?.reason == "a name of more than 256 bytes")
    let long = Self.refusal("{{ messages[0]['e' ~ '\\u0301' * 100000].x }}")
    #expect(long?.kind == .evaluation && long?.reason.utf8.count ?? 0 < 300)
  }

  @Test(
    "what is searched and cut is what Python finds",
    arguments: [
      ("{{ 'aaaa'.rfind('aa') }},{{ 'aéa'.rfind('a') }},{{ 'ab'.rfind('') }},{{ 'ab'.rfind('c') }}", "2,2,2,-1"),
      ("{{ 'aé'.replace('', '-') }},{{ ''.replace('', '-') }},{{ 'ab'.replace('', '') }}", "-a-é-,-,ab"),
      (
        "{{ 'a\\r\\nb\\rc\\n'.splitlines() }}{{ 'a\\r\\n\\nb'.splitlines(true) }}",
        "['a', 'b', 'c']['a\\r\\n', '\\n', 'b']"
      ),
      ("{{ {'a.b': 1}['a.b'] }}{{ [{'a': {'b': 2}}] | map(attribute='a.b') | join }}", "12"),
      ("{% set ns = namespace(a=1) %}{% set ns.a = 2 %}{% set ns.b = 3 %}{{ ns.a }}{{ ns['b'] }}", "23"),
    ])
  func answers(source: String, text: String) throws {
    #expect(String(decoding: try ChatTemplate(parsing: source.utf8).render([]), as: UTF8.self) == text)
  }

  @Test(
    "arithmetic and places that would trap are errors, or what Python says",
    arguments: [
      "{{ 9223372036854775807 + 1 }}", "{{ -9223372036854775807 - 2 }}", "{{ 9223372036854775807 * 2 }}",
      "{{ (-9223372036854775807 - 1) // -1 }}", "{{ -(-9223372036854775807 - 1) }}",
      "{{ (-9223372036854775807 - 1)|abs }}",
      "{{ 2 ** 64 }}", "{{ 3 ** 9223372036854775807 }}", "{{ 1 % 0 }}", "{{ 1 // 0 }}", "{{ 1.0 % 0 }}",
      "{{ 'abc'[::0] }}",
      "{{ range(1, 5, 0) }}", "{{ 99999999999999999999 }}", "{{ 1 is divisibleby 0 }}", "{{ loop.cycle() }}",
      "{% for x in [1] %}{{ loop.cycle() }}{% endfor %}", "{{ '%s' % 1 }}", "{{ strftime_now('%Y') }}",
    ])
  func traps(source: String) {
    #expect(Self.refusal(source)?.kind == .evaluation || Self.refusal(source)?.kind == .syntax)
  }

  @Test(
    "and these have an answer",
    arguments: [
      "{{ 'abc'[-9223372036854775807:9223372036854775807:9223372036854775807] }}", "{{ 1e999 | int }}",
      "{{ 1e308 * 10 }}",
      "{{ [1, 2][-9223372036854775807 - 1] }}", "{{ 'abc'[9223372036854775807] }}",
      "{{ (-9223372036854775807 - 1) % -1 }}",
      "{{ 'abc'[::-9223372036854775807 - 1] }}", "{{ range(0, 9223372036854775807, 9223372036854775806) | list }}",
      "{{ range(-9223372036854775807, 9223372036854775807, 9223372036854775807) | list }}",
      "{{ 'a'.zfill(-9223372036854775807 - 1) }}",
      "{{ 'x' * (-9223372036854775807 - 1) }}", "{{ '' * 9223372036854775807 }}", "{{ [] * 9223372036854775807 }}",
      "{{ 'a,b'.split(',', 9223372036854775807) }}", "{{ 1e308 | round(12) }}", "{{ (-1) ** 9223372036854775807 }}",
    ])
  func edges(source: String) { #expect(Self.refusal(source) == nil) }

  @Test(
    "the sandbox has no way out, and what is not read is refused by its name",
    arguments: [
      ("{{ ''.__class__.__mro__ }}", "no attribute `__class__`"), ("{{ messages.append(1) }}", "would change a list"),
      ("{{ messages[0].update({}) }}", "would change a mapping"), ("{{ '{0.x}'.format(1) }}", "no attribute `format`"),
      ("{% include 'x' %}", "the tag `include`"), ("{% import 'x' as y %}", "the tag `import`"),
      ("{% extends 'x' %}", "the tag `extends`"), ("{% block b %}{% endblock %}", "the tag `block`"),
      ("{% call m() %}{% endcall %}", "the tag `call`"), ("{{ x | random }}", "the filter `random`"),
      ("{{ x is filter }}", "the test `filter`"), ("{{ self.x }}", "`self` is undefined"),
      ("{{ cycler(1) }}", "`cycler` is undefined"),
      ("{% for x in y recursive %}{% endfor %}", "recursive loops"), ("{{ f(*x) }}", "arguments by `*`"),
      ("{{ [1] | map('map', 'map') | list }}", "`map` of `map`"), ("{% set loop = 1 %}", "`loop` cannot be set"),
      ("{% set ns = namespace() %}{% set ns.me = ns %}", "a namespace cannot be kept"),
      ("{{ namespace() }}", "cannot be printed"),
      ("{% break %}", "outside of a loop"),
      ("{% for x in [1] %}{% set y %}{% break %}{% endset %}{% endfor %}", "outside of a loop"),
      ("{{ {1: 2} }}", "only texts name"), ("{{ raise_exception('no!') }}", "refuses the conversation: no!"),
      ("a\nb\n{{ x.y }}", "line 3: `x` is undefined"),
    ])
  func sandbox(source: String, reason: String) {
    let error = Self.refusal(source)
    #expect(error?.description.contains(reason) == true, "\(error.map(\.description) ?? "rendered")")
  }

  @Test("every cut and many a flipped byte of a template ends with a text or a refusal")
  func mutations() throws {
    let text =
      "{%- set ns = namespace(a=[1, {'b': 'c'}]) %}{% macro m(x, y='z') -%} {{ x ~ y[1:] }} {%- endmacro %}"
      + "{% for k in messages if k.role is string %}{{ m(k['content']|trim, loop.index) }}{# c #}{% else %}-{% endfor %}"
      + "{% raw %}{{{% endraw %}{{ ns.a|tojson(indent=2) if ns.a[-1].b == 'c' else '\\u00e9' }}"
    let source = Array(text.utf8)
    for end in source.indices { _ = try? ChatTemplate(parsing: source[..<end]).render([]) }
    var random = SeededGenerator(seed: 11)
    for _ in 0..<3000 {
      var changed = source
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        let place = Int.random(in: 0..<changed.count, using: &random)
        if Bool.random(using: &random) {
          changed[place] = UInt8.random(in: 0...127, using: &random)
        } else {
          changed.remove(at: place)
        }
      }
      _ = try? ChatTemplate(parsing: changed).render([ChatMessage(role: "user", content: "é")])
    }
  }

  @Test("limits are those that were given, and a template that is not UTF-8 is refused")
  func limits() {
    var limits = TemplateLimits()
    (limits.steps, limits.outputBytes) = (50, 10)
    #expect(Self.refusal("{{ 'a' * 11 }}", limits: limits)?.reason == "more than 10 bytes of text")
    #expect(Self.refusal("{% for i in range(60) %}{% endfor %}", limits: limits)?.reason == "more than 50 steps")
    #expect(throws: TemplateError.self) { try ChatTemplate(parsing: [0x61, 0xff]) }
  }
}
