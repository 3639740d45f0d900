#!/usr/bin/env python3
"""What `transformers` makes of chat templates: the reference of Tests/InferenceTests/ChatTemplateTests.swift.

  chat_templates.py OUT                  the project's own templates, through transformers, to OUT/cases.json
  chat_templates.py OUT FOLDER           every *.jinja of a folder, through Jinja with transformers' settings
"""
import datetime
import json
import pathlib
import sys
import zoneinfo

import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment

TIME = 1_772_539_389  # 2026-03-03 12:03:09 UTC


class Generation(jinja2.ext.Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

    def _body(self, caller):
        return caller()


def strftime_now(text):
    return datetime.datetime.fromtimestamp(TIME, zoneinfo.ZoneInfo("UTC")).strftime(text)


def compile_plain(source):
    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    env = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
    env.filters["tojson"] = tojson
    env.globals.update(raise_exception=raise_exception, strftime_now=strftime_now)
    return env.from_string(source)


def compile_real(source):
    from transformers.utils import chat_template_utils
    template = chat_template_utils._compile_jinja_template(source)
    template.environment.globals["strftime_now"] = strftime_now
    template.globals["strftime_now"] = strftime_now
    return template


def case(source, variables, compile):
    try:
        return {"template": source, "variables": variables, "text": compile(source).render(**variables)}
    except Exception as error:
        return {"template": source, "variables": variables, "refused": type(error).__name__}


SPECIAL = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
CONVERSATIONS = [
    [{"role": "user", "content": "Hello"}],
    [{"role": "system", "content": " You are brief.\n"}, {"role": "user", "content": "Zähle auf:\n a, b "}],
    [{"role": "user", "content": "1 < 2 & \"x\""}, {"role": "assistant", "content": "<think>\nhm\n</think>\n\nyes"},
     {"role": "user", "content": "why? 😀"}],
    [{"role": "system", "content": "S"}, {"role": "user", "content": "one"}, {"role": "assistant", "content": "two "},
     {"role": "user", "content": ""}, {"role": "assistant", "content": "four"}],
    [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}],
    [{"role": "assistant", "content": "first"}],
    [],
]

CHATML = """{% for message in messages %}
{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}
{% endfor %}
{% if add_generation_prompt %}
{{ '<|im_start|>assistant\\n' }}
{% endif %}"""

HEADERS = """{{- bos_token }}
{%- set date = strftime_now("%d %b %Y") if strftime_now is defined else "26 Jul 2024" %}
{%- if messages and messages[0]['role'] == 'system' %}
    {%- set system_text = messages[0]['content'] | trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_text = "" %}
{%- endif %}
{{- "<|begin|>system<|end|>\\n\\nToday: " + date + "\\n" + system_text + "<|stop|>" }}
{%- for message in messages %}
    {%- if message.role not in ['user', 'assistant'] %}
        {{- raise_exception("Unknown role: " ~ message.role) }}
    {%- endif %}
    {{- '<|begin|>' ~ message['role'] ~ '<|end|>\\n\\n' ~ message['content'] | trim ~ '<|stop|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|begin|>assistant<|end|>\\n\\n' }}
{%- endif %}
"""

BRACKETS = """{%- if messages and messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{%- set ns = namespace(index=0) %}
{{- bos_token }}
{%- for message in loop_messages %}
    {%- if (message["role"] == "user") != (ns.index % 2 == 0) %}
        {{- raise_exception("roles must alternate") }}
    {%- endif %}
    {%- set ns.index = ns.index + 1 %}
    {%- if message.role == 'user' %}
        {%- if loop.last and system_message is defined %}
            {{- '[INST] ' + system_message + '\\n\\n' + message['content'] + '[/INST]' }}
        {%- else %}
            {{- '[INST] ' + message['content'] + '[/INST]' }}
        {%- endif %}
    {%- else %}
        {{- ' ' + message['content'] | trim + eos_token }}
    {%- endif %}
{%- endfor %}
"""

SYSTEM_INSIDE = """{% if messages and messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}{% for message in loop_messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if loop.index0 == 0 and system_message != false %}{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}{% else %}{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ ' '  + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"""

TURNS = """{{ bos_token }}
{%- if messages and messages[0]['role'] == 'system' -%}
    {%- set first_prefix = messages[0]['content'] | trim + '\\n\\n' -%}
    {%- set rest = messages[1:] -%}
{%- else -%}
    {%- set first_prefix = "" -%}
    {%- set rest = messages -%}
{%- endif -%}
{%- for message in rest -%}
    {%- if message['role'] == 'assistant' -%}
        {%- set role = "model" -%}
    {%- else -%}
        {%- set role = message['role'] -%}
    {%- endif -%}
    {{ '<turn>' + role + '\\n' + (first_prefix if loop.first else "") }}
    {%- if message['content'] is string -%}
        {{ message['content'] | trim }}
    {%- elif message['content'] is iterable -%}
        {%- for item in message['content'] if item.type == 'text' -%}
            {{ item['text'] | trim }}
        {%- endfor -%}
    {%- endif -%}
    {{ '</turn>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{'<turn>model\\n'}}
{%- endif -%}
"""

THINKING = """{%- macro open(role) -%}
    {{- '<|' ~ role ~ '|>' -}}
{%- endmacro -%}
{%- if tools %}
    {{- open('system') + "# Tools\\n" }}
    {%- for tool in tools %}
        {{- "\\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\\n" }}
{%- endif %}
{%- set ns = namespace(multi=true, last=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi and message.role == "user" and not(message.content.startswith('<answer>') and message.content.endswith('</answer>')) %}
        {%- set ns.multi = false %}
        {%- set ns.last = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.role == "assistant" %}
        {%- set content = message.content %}
        {%- set reasoning = '' %}
        {%- if '</think>' in message.content %}
            {%- set content = message.content.split('</think>')[-1].lstrip('\\n') %}
            {%- set reasoning = message.content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
        {%- endif %}
        {%- if loop.index0 > ns.last and (loop.last or reasoning) %}
            {{- open(message.role) + '<think>\\n' + reasoning.strip('\\n') + '\\n</think>\\n\\n' + content }}
        {%- else %}
            {{- open(message.role) }}{% generation %}{{ content }}{% endgeneration %}
        {%- endif %}
        {%- if message.tool_calls %}
            {%- for call in message.tool_calls %}
                {%- if call.function %}{% set call = call.function %}{% endif %}
                {{- '\\n<call>{"name": "' ~ call.name ~ '", "arguments": ' }}
                {%- if call.arguments is string %}{{ call.arguments }}{% else %}{{ call.arguments | tojson }}{% endif %}
                {{- '}</call>' }}
            {%- endfor %}
        {%- endif %}
    {%- elif message.role == "tool" %}
        {%- if loop.first or (messages[loop.index0 - 1].role != "tool") %}{{ open('user') }}{% endif %}
        {{- '\\n<answer>\\n' + message.content + '\\n</answer>' }}
    {%- else %}
        {{- open(message.role) + message.content }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- open('assistant') }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}"""

SCHEMAS = """{%- macro type_of(spec) -%}
{%- if spec.type == "array" -%}{{ type_of(spec["items"]) }}[]
{%- elif spec.type is sequence and spec.type is not string -%}{{ spec.type | join(" | ") }}
{%- elif spec.enum -%}{{ spec.enum | map("tojson") | join(" | ") }}
{%- elif spec.type == "object" -%}
{ {%- for name, member in spec.properties.items() %}{{ name }}{% if name not in (spec.required or []) %}?{% endif %}: {{ type_of(member) }}{% if not loop.last %}, {% endif %}{% endfor -%} }
{%- else -%}{{ spec.type | default("any", true) }}
{%- endif -%}
{%- endmacro -%}
{% for tool in tools or [] -%}
// {{ tool.function.description | replace("\\n", " ") | trim }}
type {{ tool["function"]["name"] | upper }} = (_: {{ type_of(tool.function.parameters) }}) => any;
{% endfor -%}
{% for m in messages | rejectattr("role", "equalto", "tool") | selectattr("content") -%}
[{{ m.role | capitalize }}] {{ m.content }}
{% endfor %}"""

PARTS = """{% for m in messages %}{{ m.role | upper }}: {% if m.content is string %}{{ m.content }}{% else %}{% for part in m.content | selectattr('type', 'eq', 'text') %}{{ part.text }}{% if not loop.last %} {% endif %}{% endfor %}{% endif %}
{% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}"""

TOOLS = [
    {"type": "function", "function": {"name": "weather", "description": "Tells the\nweather. <b>",
     "parameters": {"type": "object", "required": ["city"], "properties": {
         "city": {"type": "string"}, "days": {"type": ["integer", "null"]},
         "unit": {"enum": ["°C", "°F"]}, "tags": {"type": "array", "items": {"type": "string"}}}}}},
    {"type": "function", "function": {"name": "stop", "description": "", "parameters": {"type": "object", "properties": {}}}},
]
CALLS = [
    {"role": "user", "content": "weather?"},
    {"role": "assistant", "content": "", "tool_calls": [
        {"function": {"name": "weather", "arguments": {"city": "Köln", "days": 2, "f": 1.5, "x": None, "y": [True]}}},
        {"name": "stop", "arguments": "{}"}]},
    {"role": "tool", "content": "sun"}, {"role": "tool", "content": "wind"},
    {"role": "assistant", "content": "<think>\nok\n</think>\n\nSunny."}]
MODELS = [CHATML, HEADERS, BRACKETS, SYSTEM_INSIDE, TURNS, THINKING, SCHEMAS, PARTS]

DATA = {
    "s": "Ab c\td  é😀x", "t": "  pad\n", "e": "", "n": 7, "m": -3, "f": 2.5, "z": 0, "yes": True, "no": False,
    "nil": None, "xs": [3, 1, 2], "ws": ["b", "A", "c", "a"], "mixed": [1, "a", None, True, 2.5, [1], {"k": "v"}],
    "d": {"b": 1, "a": {"x": [1, 2]}, "items": "mine", "C": None},
    "rows": [{"n": "x", "v": 2, "ok": True}, {"n": "y", "v": 1}, {"n": "Z", "v": 3, "ok": False}], "html": "<a href='x'>\"&</a>",
}
SNIPPETS = """{{ s[0] }}|{{ s[-1] }}|{{ s[1:3] }}|{{ s[::-1] }}|{{ s[99] }}|{{ s[:-2] }}|{{ s[5:2:-1] }}
{{ xs[0] }} {{ xs[-1] }} {{ xs[5] }} {{ xs[1:] }} {{ xs[:1] }} {{ xs[::-1] }} {{ xs[::2] }} {{ xs[-2:] }} {{ xs[4:] }}
{{ 1 + 2 * 3 - 4 / 2 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ 2 ** 10 }} {{ 2 ** -1 }} {{ 7.5 // 2 }} {{ -7.5 % 2 }}
{{ 1 / 3 }} {{ 1e20 }} {{ 1e-7 }} {{ 100000.0 }} {{ 1e16 }} {{ 123456789.125 }} {{ 0.1 + 0.2 }} {{ 1.0 }} {{ -0.0 }}
{{ -n|abs }} {{ m|abs }} {{ -m }} {{ +m }} {{ -n + 1 }} {{ not n }} {{ not not n }} {{ not n == 7 }}
{{ "a" ~ 1 ~ none ~ 2.0 ~ true }} {{ "a" ~ undef ~ "b" }} {{ "x" * 3 }} {{ [1] * 2 }} {{ [1] + [2] }} {{ (1, 2) + (3,) }}
{{ 1 == 1.0 }} {{ true == 1 }} {{ "a" == "a" }} {{ [1, 2] == [1, 2] }} {{ (1,) == [1] }} {{ none == false }} {{ undef == none }} {{ undef == other }} {{ d == d }}
{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ "a" < "b" }} {{ "B" < "a" }} {{ [1, 2] < [1, 3] }} {{ 2 >= 2 }} {{ 3 != 4 }} {{ 1 <= 1.5 }}
{{ "a" in "abc" }} {{ "z" not in "abc" }} {{ 2 in xs }} {{ "b" in d }} {{ "q" in d }} {{ 1 in undef }} {{ "" in "" }} {{ not "a" in "b" }}
{{ yes and "x" }} {{ no or "y" }} {{ no and 1 or 2 }} {{ nil or undef or 0 or "last" }} {{ e or "empty" }} {{ z and 1 }}
{{ "a" if yes else "b" }} {{ "a" if no else "b" }} [{{ "a" if no }}] {{ 1 if no else 2 if no else 3 }} {{ (1 if yes else 2) + 1 }}
{{ none }} {{ true }} {{ True }} {{ None }} {{ False }} {{ [none, true, "q'", 'd"', "b'\\"", 1.5] }} {{ {"a": 1, "b": [2]} }} {{ () }} {{ (1,) }} {{ 1, 2 }}
{{ "tab\\there\\\\ \\x41 \\u00e9 \\q" }} {{ 'single \\' quote' }} {{ "two" "joined" }} {{ ["\\n\\x01\\u200b\\xa0é"] }}
{{ d.b }} {{ d["b"] }} {{ d.a.x[1] }} {{ d.missing }} {{ d["items"] }} {{ d.get("b") }} {{ d.get("q") }} {{ d.get("q", 5) }} {{ d.C }} {{ d.a["x"].0 }}
{{ d.keys() | list }} {{ d.values() | list }} {{ d.items() | list }} {{ d | list }} {{ d | items | list }} {{ d | length }} {{ d.a }}
{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}{% for k in d %}{{ k }}{% endfor %}{% for c in "aé😀" %}<{{ c }}>{% endfor %}
{% for x in xs %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }}{{ loop.cycle("a", "b") }} {% endfor %}
{% for x in xs %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }}{% if loop.previtem is defined %}!{% endif %} {% endfor %}
{% for x in xs if x > 1 %}{{ x }}:{{ loop.length }} {% else %}none{% endfor %}{% for x in xs if x > 9 %}{{ x }}{% else %}none{% endfor %}{% for x in undef %}{% else %}undef{% endfor %}
{% for x in range(5) %}{% if x == 1 %}{% continue %}{% endif %}{% if x == 3 %}{% break %}{% endif %}{{ x }}{% endfor %} {{ range(2, 8, 3) | list }} {{ range(3, 0, -1) | list }} {{ range(0) | list }}
{% for a, b in [(1, 2), [3, 4], "xy"] %}{{ a }}-{{ b }} {% endfor %}{% for i in range(2) %}{% for j in range(2) %}{{ i }}{{ j }}{{ loop.depth }} {% endfor %}{% endfor %}
{% set x = 1 %}{% for i in xs %}{% set x = x + i %}{{ x }} {% endfor %}{{ x }} {% if yes %}{% set x = 9 %}{% endif %}{{ x }}
{% set ns = namespace(a=1, b="x") %}{% for i in xs %}{% set ns.a = ns.a + i %}{% endfor %}{{ ns.a }} {{ ns.b }} {{ ns.c }} {% set ns.c = [ns.a] %}{{ ns["c"] }}
{% set a, b = 1, 2 %}{{ a }}{{ b }} {% set (c, d) = [3, 4] %}{{ c }}{{ d }} {% set t = 1, 2 %}{{ t }} {% set q %}block {{ a }}{% endset %}[{{ q }}] {% set w | upper | trim %} hi {% endset %}[{{ w }}]
{% macro m(a, b=2, c="x") %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(1) }} {{ m(1, c=5) }} {{ m(b=7, a=0) }} {{ m() }} {{ m("p", "q", "r") | upper }}
{% macro f(n) %}{{ n }}{% if n > 0 %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(5) }} {% set g = 1 %}{% macro r() %}{{ g }}{% endmacro %}{% set g = 2 %}{{ r() }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(b=2) }}
{% with a = 1, b = n %}{{ a }}{{ b }}{% set a = 5 %}{{ a }}{% endwith %}{{ a }} {% filter upper %}abc {{ s }}{% endfilter %} {% filter replace("a", "o") | trim %} banana {% endfilter %}
{{ t | trim }}| {{ "xxaxx" | trim("x") }}| {{ s | upper }} {{ s | lower }} {{ "hello wORLD-foo (bar" | title }} {{ "hELLO w" | capitalize }} {{ "ß" | upper }} {{ "ǆ" | capitalize }}
{{ s | length }} {{ xs | length }} {{ undef | length }} {{ xs | count }} {{ e | length }} {{ xs | first }} {{ xs | last }} [{{ [] | first }}] {{ s | first }} {{ s | last }}
{{ xs | join }} {{ xs | join(", ") }} {{ rows | join("+", attribute="n") }} {{ mixed | join("/") }} {{ "abc" | join("-") }} {{ d | join(",") }}
{{ undef | default("D") }} {{ e | default("D") }}{{ e | default("D", true) }} {{ nil | default("D") }} {{ nil | d("D", boolean=true) }} [{{ undef | default }}] {{ d.zz | default(1) }}
{{ rows | map(attribute="n") | list }} {{ rows | map(attribute="ok", default="?") | join(",") }} {{ ws | map("upper") | join }} {{ ["a b", "c"] | map("replace", " ", "_") | list }} {{ [[1, 2], [3]] | map("length") | list }} {{ [d] | map(attribute="a.x.1") | list }}
{{ xs | select("odd") | list }} {{ xs | reject("gt", 1) | list }} {{ mixed | select | list }} {{ mixed | select("string") | list }} {{ xs | select("in", [1, 2]) | list }} {{ mixed | reject("none") | list | length }}
{{ rows | selectattr("ok") | map(attribute="n") | list }} {{ rows | selectattr("v", "gt", 1) | list | length }} {{ rows | rejectattr("n", "equalto", "x") | map(attribute="v") | list }} {{ rows | selectattr("ok", "defined") | list | length }} {{ rows | rejectattr("ok", "undefined") | list | length }}
{{ xs | sort }} {{ xs | sort(reverse=true) }} {{ ws | sort }} {{ ws | sort(case_sensitive=true) }} {{ rows | sort(attribute="v") | map(attribute="n") | join }} {{ rows | sort(attribute="n", reverse=true) | map(attribute="n") | join }}
{{ [1, 2, 1, 3, 2] | unique | list }} {{ ["a", "A", "b"] | unique | list }} {{ ["a", "A"] | unique(true) | list }} {{ xs | max }} {{ xs | min }} {{ ws | min }} {{ rows | max(attribute="v") }} {{ xs | sum }} {{ rows | sum(attribute="v") }} {{ xs | sum(start=10) }}
{{ {"b": 1, "A": 3, "c": 2} | dictsort }} {{ {"b": 1, "A": 3, "c": 2} | dictsort(by="value") }} {{ {"b": 1, "A": 3} | dictsort(true) }} {{ {"b": 1, "A": 3} | dictsort(reverse=true) }}
{{ xs | reverse | list }} {{ s | reverse }} {{ "5" | int }} {{ "x" | int }} {{ "x" | int(9) }} {{ 5.9 | int }} {{ -5.9 | int }} {{ "5.7" | int }} {{ " 8 " | int }} {{ "2.5" | float }} {{ "x" | float }} {{ 3 | float }} {{ true | int }}
{{ 2.5 | round }} {{ 3.5 | round }} {{ 2.567 | round(2) }} {{ 2.1 | round(method="ceil") }} {{ 2.9 | round(0, "floor") }} {{ 7 | round }} {{ 5 | string + "x" }} {{ [1] | string }} {{ html | safe }} {{ html }}
{{ "a\\nb\\n\\nc" | indent }}| {{ "a\\nb" | indent(2, true) }}| {{ "a\\n\\nb" | indent(1, blank=true) }}| {{ "a\\nb" | indent("> ") }} {{ "aXbX" | replace("X", "--") }} {{ "aaa" | replace("a", "b", 2) }} {{ "ab" | replace("", "-") }}
{{ d | tojson }} {{ mixed | tojson }} {{ html | tojson }} {{ s | tojson }} {{ "\\u2028\\x7f\\x1f" | tojson }} {{ s | tojson(ensure_ascii=true) }} {{ (1, 2) | tojson }} {{ 1.0 | tojson }} {{ 1e100 | tojson }} {{ none | tojson }} {{ [] | tojson(indent=2) }}
{{ d | tojson(indent=2) }}{{ rows | tojson(indent=1, sort_keys=true) }}{{ d | tojson(separators=(",", ":")) }}{{ {} | tojson }}{{ {"k": []} | tojson(indent=4) }}
{{ undef | tojson }}
{{ undef.x }}
{{ undef["x"] }}
{{ undef() }}
{{ undef + 1 }}
{{ d.missing.deeper }}
{{ nil.x }}|{{ nil["x"] }}|{{ n.x }}|{{ n[0] }}|{{ xs.x }}|{{ xs["a"] }}
{{ d[1:] }}
{{ nil[1:] }}
{{ 1 ~ 2 + 3 }}
{{ 1 is == 1 }}
{{ x is string if x }}
{{ rows | map(attribute="a.b") | list }}
{{ 1 + "a" }}
{{ "a" + 1 }}
{{ n / 0 }}
{{ n % 0 }}
{{ 1 < "a" }}
{{ xs < 1 }}
{{ n | length }}
{{ nil | join }}
{% for x in 5 %}{% endfor %}
{% for a, b in [[1, 2, 3]] %}{% endfor %}
{% set x.y = 1 %}
{{ xs.append(4) }}
{{ d.update({}) }}
{{ s.nope() }}
{{ s.strip() }}|{{ t.strip() }}|{{ t.lstrip() }}|{{ t.rstrip() }}|{{ "xyx".strip("x") }}|{{ "xyx".lstrip("x") }}|{{ "aXYb".strip("ab") }}|{{ s.upper() }}|{{ s.lower() }}|{{ "they're bill's" .title() }}|{{ "aB C".capitalize() }}
{{ "a,b,,c".split(",") }} {{ "a,b,c".split(",", 1) }} {{ " a  b\\tc ".split() }} {{ " a  b c ".split(none, 1) }} {{ "a,b,c".rsplit(",", 1) }} {{ " a b  c ".rsplit(none, 1) }} {{ "".split() }} {{ "".split(",") }} {{ "abc".split("abc") }} {{ "a<>b".split("<>")[-1] }}
{{ "a\\nb\\r\\nc\\x0bd".splitlines() }} {{ "a\\nb\\n".splitlines(true) }} {{ "abc".startswith("ab") }} {{ "abc".startswith(("x", "a")) }} {{ "abc".endswith("bc") }} {{ "abc".startswith("") }} {{ "x".endswith("xx") }}
{{ "banana".replace("an", "AN") }} {{ "banana".replace("a", "o", 2) }} {{ "abc".replace("", "-") }} {{ "banana".find("an") }} {{ "éab".find("b") }} {{ "banana".rfind("an") }} {{ "x".find("y") }} {{ "banana".count("an") }} {{ "aaa".count("aa") }} {{ "ab".count("") }}
{{ ", ".join(ws) }} {{ "-".join("abc") }} {{ "12".isdigit() }} {{ "".isdigit() }} {{ "a1".isalnum() }} {{ "ab".isalpha() }} {{ " \\n".isspace() }} {{ "AB1".isupper() }} {{ "ab1".islower() }} {{ "1".isupper() }} {{ "²".isdigit() }} {{ "½".isnumeric() }} {{ "²".isdecimal() }}
{{ "prefix-x".removeprefix("prefix-") }} {{ "x.txt".removesuffix(".txt") }} {{ "a:b:c".partition(":") }} {{ "a:b:c".rpartition(":") }} {{ "abc".partition(":") }} {{ "abc".rpartition(":") }} {{ "7".zfill(3) }} {{ "-7".zfill(4) }} {{ xs.index(1) }} {{ xs.count(2) }}
{{ ",".join([1]) }}
{{ xs.index(9) }}
{{ n is defined }} {{ undef is defined }} {{ undef is undefined }} {{ nil is none }} {{ n is none }} {{ undef is none }} {{ s is string }} {{ n is string }} {{ d is mapping }} {{ xs is mapping }} {{ xs is sequence }} {{ s is sequence }} {{ d is sequence }} {{ n is sequence }} {{ undef is sequence }}
{{ xs is iterable }} {{ n is iterable }} {{ undef is iterable }} {{ nil is iterable }} {{ n is number }} {{ f is number }} {{ yes is number }} {{ n is integer }} {{ yes is integer }} {{ f is float }} {{ yes is boolean }} {{ n is boolean }} {{ yes is true }} {{ no is false }} {{ 1 is true }} {{ range is callable }} {{ n is callable }}
{{ 2 is even }} {{ 3 is odd }} {{ 9 is divisibleby 3 }} {{ 9 is divisibleby(2) }} {{ "ab" is lower }} {{ "AB" is upper }} {{ "Ab" is upper }} {{ 1 is eq 1 }} {{ 1 is ne 2 }} {{ 1 is lt 2 }} {{ 2 is ge 2 }} {{ 2 is in [1, 2] }} {{ "a" is in "abc" }} {{ 1 is sameas 1 }} {{ true is sameas true }} {{ 1 is sameas true }}
{{ 2 is ge(2) }} {{ 1 is not none and 2 is not string }} {{ not n is defined }} {{ n is defined and n is not none and n > 3 }} {{ undef is not defined or undef.x }} {{ 1 is eq 1 and 2 is eq 3 }} {{ (s is string) if x is defined else "no" }}
A {% if yes %} B {% endif %} C
A{%- if yes -%} B {%- endif -%} C
  {% if yes %}
    line
  {% endif %}
end
  {%+ if yes %} keep {%+ endif %} x
a
  {# comment #}
b {# in line #} c
{#- x -#}   d
{% raw %}{{ not }} {% this %} {# run #}{% endraw %}|{%- raw -%}  x  {%- endraw -%}  |
{{ "{{" }} {{ '%}' }} {{ {"a": {"b": 1}}["a"]["b"] }} {{ {"a": {}} }} }} %} { { #
{{ s -}}   x   {{- s }}
{% if no %}1{% elif z %}2{% elif n %}3{% else %}4{% endif %}{% if undef %}u{% endif %}{% if [] %}l{% endif %}{% if " " %}s{% endif %}{% if 0.0 %}f{% endif %}
{{ strftime_now("%Y-%m-%d %H:%M:%S %d %B %b %A %a %j %I %p %y %e %-d %-m %%") }} {{ strftime_now("%F %T") }}
{{ raise_exception("no " ~ n) }}
{{ dict(a=1, b=2) }} {{ dict({"x": 1}, y=2) }} {{ namespace({"q": 3}).q }}
{{ s | nofilter }}
{{ s is notest }}
{% nosuchtag %}
{% if yes %}
{{ (1 }}
{{ 1 + }}
{{ "abc }}
{% for %}{% endfor %}
{% endif %}
{{ 'a' 'b' ~ 'c' | upper }} {{ ('a' ~ 'b') | upper }} {{ 'x' ~ xs | length }} {{ n + 1 | string | length }} {{ -1 | string }} {{ 2 ** 3 ** 2 }} {{ 2 * 3 % 4 }} {{ 10 - 3 - 2 }} {{ 100 / 10 / 2 }}
{{ rows[0].n ~ rows[-1]["v"] }} {{ (rows | first).n }} {{ (rows | selectattr("v", "==", 3) | first).n }} {{ rows | map(attribute="v") | sum }} {{ "%s" | length }} {{ [1, 2,] | length }} {{ {"a": 1,} | length }}
{% set msgs = rows + [{"n": "w", "v": 0}] %}{{ msgs | length }} {{ msgs[-1].n }} {% set o = {"a": 1} %}{{ dict(o, b=2) }} {{ o }}
{% for r in rows | sort(attribute="v") %}{{ r.n }}{{ ", " if not loop.last else "." }}{% endfor %} {% for k, v in d | dictsort %}{{ k }}{% endfor %} {{ loop is defined }}
{% set loop_var = "outer" %}{% for i in [1] %}{% set loop_var = "inner" %}{{ loop_var }}{% endfor %}{{ loop_var }} {% generation %}{% set g2 = 1 %}gen{{ g2 }}{% endgeneration %}{{ g2 is defined }}""".split("\n")
# Lines that belong together, since whitespace between them is what they are about.
BLOCKS = ["  {% if yes %}\n    line\n  {% endif %}\nend", "a\n  {# comment #}\nb {# in line #} c\n{#- x -#}   d",
          "{% for x in xs %}\n  - {{ x }}\n{% endfor %}\n\nend\n\n", "x\r\ny\rz\n", "{% set a = 1 -%}\n\n  text\n{%- set b = 2 +%}\nmore\n",
          "\t{%- if yes %}\n\ta\n\t{%- else %}\n\tb\n\t{%- endif %}\n", "{{ s }}\n  {%+ if yes %}\n x\n  {%+ endif %}\n", "{% if yes +%}\nk{% endif %}",
          "é  {%- if yes %}\u3000{%- endif %}x", "{% raw %}\n a\n  {% endraw %}\nb", "   {{ n }}   \n   {% set q = 1 %}   \n  x",
          "{%\n  if yes\n%}multi{%\nendif\n%}", "{# a #}\n  {# b #}\n{# c\n d #}\ne"]


def own():
    cases = []
    for source in MODELS:
        for messages in CONVERSATIONS + [CALLS, [{"role": "user", "content": [{"type": "text", "text": "p1"}, {"type": "image"}, {"type": "text", "text": " p2"}]}]]:
            for prompt in (True, False):
                variables = {"messages": messages, "tools": None, "documents": None, "add_generation_prompt": prompt, **SPECIAL}
                cases.append(case(source, variables, compile_real))
        cases.append(case(source, {"messages": CALLS, "tools": TOOLS, "add_generation_prompt": True, "enable_thinking": False, **SPECIAL}, compile_real))
    cases += [case(source, DATA, compile_real) for source in SNIPPETS + BLOCKS]
    for one in cases:
        plain = case(one["template"], one["variables"], compile_plain)
        assert plain.get("text") == one.get("text"), (plain, one)
    return cases


def folder(path):
    cases = []
    for file in sorted(pathlib.Path(path).glob("*.jinja")):
        source = file.read_text()
        for messages in CONVERSATIONS + [CALLS]:
            for tools in (None, TOOLS):
                variables = {"messages": messages, "tools": tools, "documents": None, "add_generation_prompt": True, **SPECIAL}
                cases.append({"name": file.name, **case(source, variables, compile_plain)})
    return cases


if __name__ == "__main__":
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    cases = folder(sys.argv[2]) if len(sys.argv) > 2 else own()
    # One a line; templates and variables that repeat are written once.
    templates, variables, lines = [], [], []
    for one in cases:
        for kind, seen in (("template", templates), ("variables", variables)):
            if one[kind] not in seen:
                seen.append(one[kind])
            one[kind] = seen.index(one[kind])
        lines.append(json.dumps(one, ensure_ascii=False))
    text = '{"time": %d, "templates": [\n%s\n], "variables": [\n%s\n], "cases": [\n%s\n]}\n' % (
        TIME, ",\n".join(json.dumps(x) for x in templates),
        ",\n".join(json.dumps(x, ensure_ascii=False) for x in variables), ",\n".join(lines))
    (out / "cases.json").write_text(text)
    print(len(cases), "cases,", sum("refused" in one for one in cases), "refused")
