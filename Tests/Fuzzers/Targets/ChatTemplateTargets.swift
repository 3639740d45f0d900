import Inference

extension FuzzTarget {
  /// A chat template, an empty byte, and what the user says. It ends, within limits that a fuzzer's patience has, and
  /// says the same again.
  static let chatTemplate = FuzzTarget("chat-template", seeds: { ChatTemplateSeeds.all }) { bytes in
    var input = Scissors(bytes)
    var limits = TemplateLimits()
    (limits.steps, limits.valueBytes, limits.outputBytes) = (50_000, 1 << 20, 1 << 16)
    let template = try ChatTemplate(parsing: input.part(), limits: limits)
    let said = String(decoding: input.all(), as: UTF8.self)
    let messages = [ChatMessage(role: "system", content: "s"), ChatMessage(role: "user", content: said)]
    func render() throws(TemplateError) -> [UInt8] {
      try template.render(messages, specialTokens: ["bos_token": "<s>"], secondsSince1970: 1_772_539_389)
    }
    let text = try render()
    try hold(text.count <= limits.outputBytes, "a text is within its limit")
    try hold(String(validating: text, as: UTF8.self) != nil, "a text is UTF-8")
    try hold(try render() == text, "a template says the same again")
  }
}

private enum ChatTemplateSeeds {
  static let all = [
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message.content | trim }}\n{% endfor %}\0hello",
    "{%- set ns = namespace(a=[1, {'b': 'c'}], n=0) -%}{% for m in messages[1:] if m.role is string %}{% set ns.n = ns.n + 1 %}"
      + "{{ loop.index ~ ns.n * 2 }}{% if loop.last %}{% break %}{% endif %}{% else %}-{% endfor %}{{ ns.a | tojson(indent=2) }}\0é",
    "{% macro m(x, y='z') -%} {{ x ~ y[::-1] }} {%- endmacro %}{{ m(1) if 1 < 2 <= 3 and not none else m('a', y='b') }}\0",
    "{{ messages | map(attribute='content') | join(', ') | upper }}{{ messages | selectattr('role', 'eq', 'user') | list | length }}\0x",
    "{% set x %}a{% endset %}{% set a, b = 1, 2.5 %}{{ -a // b ** 2 % 3 }}{{ 'x,y'.split(',') }}{{ x in ['a'] }}{# c #}\0",
    "  {% if bos_token is defined %}\n {{ bos_token.strip('<') }}\n {%+ elif false %}{% raw %}{{ }}{% endraw %}{% endif %}\0",
    "{{ strftime_now('%d %b %Y') }}{% generation %}{{ {'a': (1, 2)}.items() | list }}{% endgeneration %}{{ 'q' | default('\\u00e9') }}\0",
    "{{ 'aXb'.replace('X', '--').rsplit('-', 1) }}{{ range(3) | sort(reverse=true) | list }}{{ 'a b'.title() | indent(2, true) }}\0",
    "{{ raise_exception('no') }}\0",
  ].map { Array($0.utf8) }
}
